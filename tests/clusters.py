"""A cluster in memory, in the place of knative.cluster.Cluster, and objects as real clusters showed them."""

import copy
from pathlib import Path
from typing import Any

import yaml

from knative.cluster import ClusterError

Object = dict[str, Any]
RECORDED = Path(__file__).parent / "recorded"
NAMESPACE = "video-to-mp3"
IMMUTABLE = {
    "Job": (422, "spec.template: Invalid value: field is immutable"),
    "RabbitmqSource": (400, "validation failed: Immutable fields changed (-old +new): spec"),
}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def recorded(file: str) -> dict[str, Object]:
    """Recorded objects by kind and name, or of pods by the name alone."""
    things = list(yaml.safe_load_all((RECORDED / f"{file}.yaml").read_text(encoding="utf-8")))
    short = file == "pods"
    return {
        thing["metadata"]["name"] if short else f"{thing['kind']} {thing['metadata']['name']}": thing
        for thing in things
    }


class FakeCluster:
    """Keeps objects and makes each ready at once, but for those whose status is in `broken`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.broken: dict[str, Object] = {}
        self.refused: set[str] = set()
        self.logs: dict[str, str] = {}
        self._objects: dict[tuple[str, str, str, str], Object] = {}

    def put(self, *things: Object) -> None:
        for thing in things:
            self._objects[_place(thing)] = copy.deepcopy(thing)

    def names(self, kind: str) -> list[str]:
        return sorted(thing["metadata"]["name"] for thing in self._objects.values() if thing["kind"] == kind)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return copy.deepcopy(self._objects.get((api_version, kind, namespace or "", name)))

    def list(self, api_version: str, kind: str, namespace: str, selector: str = "") -> list[Object]:
        wanted = [label.split("=") for label in selector.split(",") if label]
        return [
            copy.deepcopy(thing)
            for (api, sort, where, _), thing in self._objects.items()
            if (api, sort, where) == (api_version, kind, namespace)
            and all((thing["metadata"].get("labels") or {}).get(name) == value for name, value in wanted)
        ]

    def apply(self, wanted: Object, dry_run: bool = False, manager: str = "") -> Object:
        name = f"{wanted['kind']} {wanted['metadata']['name']}"
        live = self._objects.get(_place(wanted))
        if name in self.refused:
            raise ClusterError("admission webhook denied the request", 400)
        result = _merged(live or {}, wanted)
        changed = live is None or live.get("spec") != result.get("spec")
        if live and changed and wanted["kind"] in IMMUTABLE:
            status, message = IMMUTABLE[wanted["kind"]]
            raise ClusterError(message, status)
        if changed:
            result["metadata"]["generation"] = result["metadata"].get("generation", 0) + 1
            result["status"] = self.broken.get(name) or _well(result)
        if not dry_run:
            self.calls.append(f"apply {name}")
            self._objects[_place(wanted)] = result
        return copy.deepcopy(result)

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
        self.calls.append(f"delete {kind} {name}")
        self._objects.pop((api_version, kind, namespace or "", name), None)

    def log(self, pod: str, namespace: str, container: str, lines: int, previous: bool = False) -> str:
        return "\n".join(self.logs.get(pod, "").splitlines()[-lines:])


def _place(thing: Object) -> tuple[str, str, str, str]:
    metadata = thing["metadata"]
    return thing["apiVersion"], thing["kind"], metadata.get("namespace") or "", metadata["name"]


def _merged(live: Object, wanted: Object) -> Object:
    """Server-side apply, as far as it matters here: mappings are merged, all else is replaced."""
    result = copy.deepcopy(live)
    for name, value in wanted.items():
        result[name] = _merged(result.get(name) or {}, value) if isinstance(value, dict) else copy.deepcopy(value)
    return result


def _well(thing: Object) -> Object:
    """The status of an object all of whose wishes came true."""
    generation, name = thing["metadata"]["generation"], thing["metadata"]["name"]
    match thing["kind"]:
        case "Job":
            return {"conditions": [{"type": "Complete", "status": "True"}]}
        case "Deployment" | "StatefulSet":
            wanted = thing["spec"].get("replicas", 1)
            counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), wanted)
            return counts | {"observedGeneration": generation}
        case "Service" if thing["apiVersion"].startswith("serving"):
            revision = f"{name}-{generation:05}"
            names = {"latestCreatedRevisionName": revision, "latestReadyRevisionName": revision}
            traffic = [
                target | {"revisionName": target.get("revisionName", revision)} for target in thing["spec"]["traffic"]
            ]
            ready = [{"type": kind, "status": "True"} for kind in ("Ready", "RoutesReady")]
            return names | {"conditions": ready, "observedGeneration": generation, "traffic": traffic}
    return READY | {"observedGeneration": generation}
