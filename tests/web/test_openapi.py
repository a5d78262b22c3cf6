"""OpenAPI document: valid, of the types that requests are read with, its examples work."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from robojam.web import openapi
from robojam.web.api_types import ContinueRequest, InvalidError, PredictRequest, decode

DOCUMENT = msgspec.json.decode(msgspec.json.encode(openapi.document()))


def test_document_is_valid_openapi_3_1():
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(DOCUMENT, cls=validator.OpenAPIV31SpecValidator)


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/continue", ContinueRequest), ("/api/predict", PredictRequest)]
)
def test_examples_fit_the_schema_and_are_read(path: str, kind: type[Any]):
    jsonschema = pytest.importorskip("jsonschema")
    content = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert content["examples"]
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    for example in content["examples"].values():
        jsonschema.Draft202012Validator(schema).validate(example["value"])
        decode(msgspec.json.encode(example["value"]), kind)


def test_schema_refuses_what_the_server_refuses():
    jsonschema = pytest.importorskip("jsonschema")
    schema = {
        "$ref": "#/components/schemas/ContinueRequest", "components": DOCUMENT["components"]
    }  # fmt: skip
    validator = jsonschema.Draft202012Validator(schema)
    for value in ({"seconds": 0}, {"count": 33}, {"touches": [{"x": 0.5}]}, {"second": 1}):
        assert not validator.is_valid(value)
        with pytest.raises(InvalidError):
            decode(msgspec.json.encode(value), ContinueRequest)


def test_every_answer_of_an_error_has_a_reason():
    for path in ("/v1/continue", "/api/predict"):
        answers = DOCUMENT["paths"][path]["post"]["responses"]
        assert {"400", "401", "413", "415", "429", "503"} <= set(answers)
        for code, answer in answers.items():
            (content,) = answer["content"].values()
            is_fault = content["schema"] == {"$ref": "#/components/schemas/Fault"}
            assert is_fault == (code != "200")
