"""OpenAPI document of the HTTP API, made of the types of its requests and answers. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from robojam import __version__
from robojam.web.api_types import (
    ContinueAnswer,
    ContinueRequest,
    Fault,
    PredictAnswer,
    PredictRequest,
)

_JSON: Final = "application/json"
_SCHEMAS: Final = "#/components/schemas/"
#: Requests by which the document shows what can be asked.
CONTINUE_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "slide": {
        "summary": "Two continuations of a slide, each of a second",
        "value": {
            "touches": [
                {"x": 0.25, "y": 0.5, "dt": 0, "phase": "down"},
                {"x": 0.27, "y": 0.49, "dt": 0.017, "phase": "move"},
                {"x": 0.3, "y": 0.48, "dt": 0.017, "phase": "move"},
                {"x": 0.3, "y": 0.48, "dt": 0.02, "phase": "up"},
            ],
            "seconds": 1,
            "count": 2,
            "seed": 7,
        },
    },
    "nothing": {
        "summary": "The machine begins, and plays calmly for two seconds",
        "value": {"seconds": 2, "temperature": 0.7, "spread": 0.8, "seed": 7},
    },
    "answer": {
        "summary": "An answer that follows the call, half a second after it",
        "value": {
            "touches": [
                {"x": 0.25, "y": 0.5, "dt": 0, "phase": "down"},
                {"x": 0.75, "y": 0.5, "dt": 0.3, "phase": "down"},
                {"x": 0.25, "y": 0.5, "dt": 0.3, "phase": "down"},
            ],
            "seconds": 1.5,
            "silence": 0.5,
            "follow": 0.5,
            "seed": 7,
        },
    },
}
PREDICT_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "microjam": {
        "summary": "A performance as MicroJam sends it",
        "value": {
            "perf": "time,x,y,z,moving\n"
            "0.005213, 0.711230, 0.070856, 25.524292, 0\n"
            "0.022601, 0.719251, 0.062834, 25.524292, 1\n"
            "0.512225, 0.240000, 0.557487, 25.524292, 0\n"
        },
    }
}
_FAULTS: Final = {
    "400": "The request is wrong: the error names the field, and what is wrong with it",
    "401": "The token is missing or wrong",
    "403": "Pages of this origin may not ask",
    "405": "This path is asked with another method",
    "408": "The body did not come",
    "413": "The body is too long",
    "415": "The body is of a type that is not read",
    "429": "This host has too many requests: try again after the seconds of Retry-After",
    "503": "The server is busy, or has nothing to play with: try again after Retry-After",
}


def document() -> dict[str, Any]:
    """Return the document, of OpenAPI 3.1."""
    types = (ContinueRequest, ContinueAnswer, PredictRequest, PredictAnswer, Fault)
    _, schemas = msgspec.json.schema_components(types, ref_template=_SCHEMAS + "{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "robojam",
            "version": __version__,
            "description": "A machine that has learnt from people's touches continues a "
            "performance on a touch surface.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        # None: a server on a loopback address asks for no token.
        "security": [{"bearer": []}, {"query": []}, {}],
        "paths": {
            "/v1/continue": {
                "post": _operation(
                    "continuePerformance",
                    "Continue a performance, or begin one",
                    ContinueRequest,
                    ContinueAnswer,
                    CONTINUE_EXAMPLES,
                )
            },
            "/api/predict": {
                "post": _operation(
                    "predict",
                    "Answer a performance of MicroJam, as RoboJam's service does",
                    PredictRequest,
                    PredictAnswer,
                    PREDICT_EXAMPLES,
                )
            },
            "/v1/health": {
                "get": {
                    "operationId": "health",
                    "summary": "Whether the server is up, and what it does",
                    "security": [],
                    "responses": {"200": _answer("It is up", {"type": "object"})},
                }
            },
            "/v1/openapi.json": {
                "get": {
                    "operationId": "openapi",
                    "summary": "This document",
                    "responses": {"200": _answer("The document", {"type": "object"})},
                }
            },
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    }


def _operation(
    name: str, summary: str, asked: type[object], made: type[object], examples: dict[str, Any]
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": _reference(asked), "examples": examples}},
        },
        "responses": {
            "200": _answer("The answer", _reference(made)),
            **{code: _answer(text, _reference(Fault)) for code, text in _FAULTS.items()},
        },
    }


def _answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {_JSON: {"schema": schema}}}


def _reference(kind: type[object]) -> dict[str, str]:
    return {"$ref": _SCHEMAS + kind.__name__}
