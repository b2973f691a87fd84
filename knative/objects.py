"""What the programs of this folder know about kinds of objects: their order, their pods, the secrets that they need."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

SERVING = "serving.knative.dev/v1"
SOURCES = "sources.knative.dev/v1alpha1"
PART_OF = "app.kubernetes.io/part-of=video-to-mp3"

# What comes first is applied first and removed last. A kind that is not named comes with the settings.
_FIRST = ("Namespace", "ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Secret", "NetworkPolicy")
_THEN = ("Service", "EndpointSlice", "PersistentVolumeClaim", "StatefulSet", "Job")
_FUNCTIONS = ("PodDisruptionBudget", "KnativeService", "Deployment", "CronJob")
_SOURCES = ("RabbitmqSource",)
_ORDER = (*_FIRST, *_THEN, *_FUNCTIONS, *_SOURCES)

_WORDS = {
    "KnativeService": "function",
    "Deployment": "deployment",
    "StatefulSet": "server",
    "Job": "job",
    "RabbitmqSource": "source",
}


@dataclass(frozen=True)
class Key:
    """What tells one object from all others."""

    api_version: str
    kind: str
    name: str
    namespace: str | None

    @property
    def sort(self) -> str:
        """The kind, in which a Service of Knative's is none of Kubernetes'."""
        return "KnativeService" if self.api_version == SERVING and self.kind == "Service" else self.kind

    def __str__(self) -> str:
        return f"{_WORDS.get(self.sort, self.sort)} {self.name}"


def key(thing: Object) -> Key:
    """The object's key."""
    metadata = thing["metadata"]
    return Key(thing["apiVersion"], thing["kind"], metadata["name"], metadata.get("namespace"))


def kind(thing: Object) -> str:
    """The object's kind, as Key.sort has it."""
    return key(thing).sort


def in_order(things: Iterable[Object]) -> list[Object]:
    """As they are applied: what others need comes first."""
    return sorted(things, key=lambda thing: (_rank(thing), thing["metadata"]["name"]))


def _rank(thing: Object) -> int:
    return _ORDER.index(kind(thing)) if kind(thing) in _ORDER else _ORDER.index("ConfigMap")


def stages(things: Iterable[Object]) -> list[list[Object]]:
    """The same in three parts, each of which is to be ready before the next is applied.

    The servers with their migration, so that no function meets a schema that it does not know; the functions; the
    sources, so that no message is taken for a function that cannot work.
    """
    ordered = in_order(things)
    functions = [thing for thing in ordered if kind(thing) in _FUNCTIONS]
    sources = [thing for thing in ordered if kind(thing) in _SOURCES]
    first = [thing for thing in ordered if kind(thing) not in (*_FUNCTIONS, *_SOURCES)]
    return [stage for stage in (first, functions, sources) if stage]


def namespace(things: Iterable[Object]) -> str:
    """The namespace that they are for. Raises ValueError when it is not one."""
    names = {thing["metadata"].get("namespace") for thing in things} - {None}
    if len(names) != 1:
        raise ValueError(f"an overlay has one namespace, this one: {', '.join(sorted(names)) or 'none'}")
    (name,) = names
    return str(name)


def pod_spec(thing: Object) -> Object:
    """The pods that it makes, themselves and no copy; empty when it makes none."""
    spec = thing.get("spec") or {}
    if kind(thing) == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if kind(thing) in ("KnativeService", "Deployment", "StatefulSet", "Job", "CronJob"):
        pods: Object = spec["template"]["spec"]
        return pods
    return {}


def containers(thing: Object) -> list[Object]:
    """All containers of its pods, themselves and no copies."""
    spec = pod_spec(thing)
    return [*spec.get("initContainers", []), *spec.get("containers", [])]


def secrets(thing: Object) -> set[tuple[str, str]]:
    """The secrets that must exist for it to start: name and key; the key is empty where any will do."""
    return {reference for reference in _secret_references(thing) if reference[0]}


def _secret_references(thing: Object) -> Iterator[tuple[str, str]]:
    if kind(thing) == "RabbitmqSource":
        yield thing["spec"]["rabbitmqClusterReference"].get("connectionSecret", {}).get("name", ""), ""
    for container in containers(thing):
        for variable in container.get("env", []):
            yield _reference(variable.get("valueFrom", {}).get("secretKeyRef"))
        for source in container.get("envFrom", []):
            yield _reference(source.get("secretRef"))
    for volume in pod_spec(thing).get("volumes", []):
        parts = [volume, *volume.get("projected", {}).get("sources", [])]
        for secret in (part["secret"] for part in parts if part.get("secret")):
            name = secret.get("secretName") or secret.get("name", "")
            for item in secret.get("items") or [{"key": ""}]:
                yield _reference({**secret, "name": name, "key": item["key"]})


def _reference(of: Object | None) -> tuple[str, str]:
    if not of or of.get("optional"):
        return "", ""
    return of.get("name", ""), of.get("key", "")
