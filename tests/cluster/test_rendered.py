"""Every overlay as kubectl renders it: the rules hold there too, and the API server with Knative's webhooks takes it.

In a namespace of its own, as a source, a Job or a port that another deployment has already would be in the way.
"""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import hardening, manifests
from tests.manifests import KNATIVE, OVERLAYS, SERVING, SOURCES, Object

FIRST = ("Namespace", "ServiceAccount")  # Knative's webhook tries a pod, for which these must exist
CLUSTERWIDE = ("Namespace",)


def kubectl(*words: str, text: str = "") -> str:
    """Runs kubectl; what it printed."""
    done = subprocess.run(["kubectl", *words], input=text, capture_output=True, text=True, check=False)
    assert not done.returncode, f"kubectl {' '.join(words)}: {done.stderr}"
    return done.stdout


def rendered(folder: Path) -> list[Object]:
    """The objects of a kustomization as kubectl makes them."""
    return [thing for thing in yaml.safe_load_all(kubectl("kustomize", str(folder))) if thing]


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"rendered-{uuid.uuid4().hex[:8]}"
    yield name
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_api_server_takes_every_overlay(name: str, namespace: str, tmp_path: Path) -> None:
    moved = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [os.path.relpath(KNATIVE / "overlays" / name, tmp_path.resolve())],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(moved), encoding="utf-8")
    things = rendered(tmp_path)
    for thing in things:
        if (thing["kind"], thing["metadata"]["name"]) == ("Service", "gateway"):
            thing["spec"]["ports"][0].pop("nodePort", None)
    first = [thing for thing in things if thing["kind"] in FIRST]
    kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(first))

    taken = kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", text=yaml.safe_dump_all(things))

    assert taken.count("serverside-applied (server dry run)") == len(things)
    assert all(thing["kind"] in CLUSTERWIDE or thing["metadata"]["namespace"] == namespace for thing in things)


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_rules_hold_in_what_kubectl_renders(name: str) -> None:
    things = rendered(KNATIVE / "overlays" / name)

    assert hardening.lacking(things, _queues(things)) == []
    for queue, sink in (("video", "convert"), ("mp3", "notify")):
        source = manifests.one(things, SOURCES, "RabbitmqSource", queue)["spec"]["rabbitmqResourcesConfig"]
        places = manifests.scale(things, sink, "max-scale") * manifests.functions(things)[sink]["containerConcurrency"]
        assert source["parallelism"] == places
    maps = {thing["metadata"]["name"] for thing in things if thing["kind"] == "ConfigMap"}
    assert _config_maps(things) <= maps


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_unit_tests_read_the_overlays_as_kubectl_does(name: str) -> None:
    ours, theirs = (
        {_identity(thing): thing["spec"] for thing in things if thing["apiVersion"] in (SERVING, SOURCES)}
        for things in (manifests.overlay(name), rendered(KNATIVE / "overlays" / name))
    )

    assert len(theirs) == len(manifests.FUNCTIONS) + 2
    for identity, spec in ours.items():
        assert _without_names(spec) == _without_names(theirs[identity])


def _queues(things: list[Object]) -> Object:
    (told,) = [thing["data"]["definitions.json"] for thing in things if "definitions.json" in (thing.get("data") or {})]
    queues: Object = json.loads(told)
    return queues


def _identity(thing: Object) -> tuple[str, str, str]:
    return thing["apiVersion"], thing["kind"], thing["metadata"]["name"]


def _without_names(value: Any) -> Any:
    # Images and ConfigMaps get their names in rendering.
    if isinstance(value, list):
        return [_without_names(one) for one in value]
    if isinstance(value, dict):
        return {name: _without_names(one) for name, one in value.items() if name not in ("image", "configMapKeyRef")}
    return value


def _config_maps(things: list[Object]) -> set[str]:
    return {
        variable["valueFrom"]["configMapKeyRef"]["name"]
        for _, template in manifests.pods(things)
        for container in template["spec"]["containers"]
        for variable in container.get("env", [])
        if "configMapKeyRef" in variable.get("valueFrom", {})
    }
