"""Points a function's traffic at the revision before the one that has it now."""

from knative.cluster import Cluster, Object
from knative.objects import SERVING
from knative.readiness import condition

MANAGER = "video-to-mp3-rollback"  # not deploy's, so that nothing else of the function is taken for removed
_GENERATION = "serving.knative.dev/configurationGeneration"


class RollbackError(Exception):
    """There is nothing to go back to; the message says why."""


def previous(service: Object, revisions: list[Object]) -> str:
    """The newest ready revision that is older than those with traffic. Raises RollbackError."""
    name = service["metadata"]["name"]
    targets = (service.get("status") or {}).get("traffic") or []
    serving = {target.get("revisionName") for target in targets if target.get("percent")}
    newest_first = sorted(revisions, key=_generation, reverse=True)
    places = [place for place, one in enumerate(newest_first) if one["metadata"]["name"] in serving]
    if not places:
        raise RollbackError(f"no revision of {name} has traffic, so there is none before it")
    for revision in newest_first[places[0] + 1 :]:
        ready = condition(revision.get("status") or {}, "Ready").get("status") == "True"
        if ready and revision["metadata"]["name"] not in serving:
            return str(revision["metadata"]["name"])
    raise RollbackError(f"{name} has no older revision that is ready")


def target(cluster: Cluster, name: str, namespace: str) -> str:
    """The revision that a function goes back to. Raises RollbackError and ClusterError."""
    service = cluster.get(SERVING, "Service", name, namespace)
    if service is None:
        raise RollbackError(f"there is no function {name} in the namespace {namespace}")
    return previous(service, cluster.list(SERVING, "Revision", namespace, f"serving.knative.dev/service={name}"))


def roll_back(cluster: Cluster, name: str, namespace: str, revision: str) -> None:
    """Points all traffic of a function at one revision; `arrived` says when it is there. Raises ClusterError."""
    wanted = {
        "apiVersion": SERVING,
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"traffic": [{"revisionName": revision, "percent": 100}]},
    }
    cluster.apply(wanted, manager=MANAGER)


def arrived(service: Object | None, revision: str) -> bool:
    """Whether all traffic goes there. That the newest revision is not ready is no matter: it may be the reason."""
    if service is None:
        return False
    status = service.get("status") or {}
    if status.get("observedGeneration", 0) < service["metadata"]["generation"]:
        return False
    there = [target.get("revisionName") for target in status.get("traffic", []) if target.get("percent")]
    return there == [revision] and condition(status, "RoutesReady").get("status") == "True"


def _generation(revision: Object) -> int:
    return int(revision["metadata"]["labels"][_GENERATION])
