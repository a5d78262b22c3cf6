"""The manifest for Kubernetes: its form, by what KubeRay and Kubernetes ask for.

The schema describes the fields that the manifest has, as the custom resource of KubeRay does:
another field, or one of another type, is refused.
"""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from support import ROOT

PATH = ROOT / "examples" / "kubernetes" / "robojam.yaml"


def fields(required: str = "", **properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has these fields and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def items(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1}


TEXT, COUNT, SWITCH = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
NAME = {"type": "string", "pattern": "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
TEXTS = {"type": "object", "additionalProperties": TEXT}
AMOUNT = {"type": "string", "pattern": r"^\d+(m|Ki|Mi|Gi)?$"}
AMOUNTS = fields("cpu memory", cpu=AMOUNT, memory=AMOUNT)
SECRET = fields("name key", name=NAME, key=TEXT)
CONTAINER = fields(
    "name image resources",
    name=NAME,
    image=TEXT,
    env=items(fields("name", name=TEXT, value=TEXT, valueFrom=fields(secretKeyRef=SECRET))),
    ports=items(fields("name containerPort", name=NAME, containerPort=PORT)),
    readinessProbe=fields("exec", exec=fields("command", command=items(TEXT))),
    resources=fields("requests limits", requests=AMOUNTS, limits=AMOUNTS),
)
POD = fields("spec", spec=fields("containers", containers=items(CONTAINER)))
CLUSTER = fields(
    "rayVersion authOptions headGroupSpec workerGroupSpecs",
    rayVersion=TEXT,
    authOptions=fields("mode", mode={"enum": ["disabled", "token"]}),
    enableInTreeAutoscaling=SWITCH,
    headGroupSpec=fields("rayStartParams template", rayStartParams=TEXTS, template=POD),
    workerGroupSpecs=items(
        fields(
            "groupName rayStartParams template",
            groupName=NAME,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=TEXTS,
            template=POD,
        )
    ),
)
META = fields("name", name=NAME)
JOB = fields(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=META,
    spec=fields(
        "entrypoint rayClusterSpec",
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        backoffLimit=COUNT,
        shutdownAfterJobFinishes=SWITCH,
        rayClusterSpec=CLUSTER,
    ),
)
SERVICE = fields(
    "apiVersion kind metadata spec",
    apiVersion={"const": "v1"},
    kind={"const": "Service"},
    metadata=META,
    spec=fields(
        "selector ports",
        selector=TEXTS,
        ports=items(fields("port", name=NAME, port=PORT, targetPort=PORT)),
    ),
)


def documents() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml", reason="no PyYAML here")
    return list(yaml.safe_load_all(PATH.read_text("utf-8")))


def test_manifest_has_the_form_that_kuberay_and_kubernetes_ask_for():
    job, service = documents()
    jsonschema.validate(job, JOB)
    jsonschema.validate(service, SERVICE)


def test_manifest_has_the_pinned_ray_a_token_and_the_port_that_is_served():
    job, service = documents()
    cluster = job["spec"]["rayClusterSpec"]
    pins = (ROOT / "constraints.txt").read_text("utf-8")
    assert f"\nray=={cluster['rayVersion']}\n" in pins
    assert cluster["authOptions"]["mode"] == "token"
    [head] = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in head["ports"]}
    assert f"0.0.0.0:{ports['api']} --ray $RAY_ADDRESS" in job["spec"]["entrypoint"]
    assert service["spec"]["ports"][0]["targetPort"] == ports["api"]
    assert "ROBOJAM_WEB_TOKEN" in [each["name"] for each in head["env"]]


def test_field_that_kuberay_does_not_know_is_noticed():
    job, _ = documents()
    job["spec"]["rayClusterSpec"]["authOption"] = {"mode": "token"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, JOB)
