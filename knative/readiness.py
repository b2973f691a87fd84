"""Whether an object as the server shows it is ready, still on its way, or has failed, and what it says about that."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from knative.objects import Object, kind


class State(Enum):
    """FAILED is what its controller calls failed and may still heal; ENDED never does."""

    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"
    ENDED = "ended"


@dataclass(frozen=True)
class Verdict:
    """The state, and the reason in the cluster's own words."""

    state: State
    why: str = ""


READY = Verdict(State.READY)


def judge(thing: Object | None) -> Verdict:
    """The verdict on one object; a kind that has nothing to become is ready once it is there."""
    if thing is None:
        return Verdict(State.WAITING, "it is not there")
    status, generation = thing.get("status") or {}, thing["metadata"].get("generation", 0)
    judges = {
        "KnativeService": _service,
        "RabbitmqSource": _source,
        "Deployment": _deployment,
        "StatefulSet": _stateful_set,
        "Job": _job,
    }
    if (judge_of := judges.get(kind(thing))) is None:
        return READY
    if kind(thing) != "Job" and status.get("observedGeneration", 0) < generation:
        return Verdict(State.WAITING, "its change has not been taken up yet")
    return judge_of(thing["spec"], status)


def condition(status: Object, name: str) -> Object:
    """A condition by its name; empty when there is none."""
    return next((c for c in status.get("conditions", []) if c["type"] == name), {})


def told(condition: Object) -> str:
    """Reason and message of a condition."""
    words = (condition.get("reason", ""), condition.get("message", ""))
    return ": ".join(word for word in words if word)


def _service(_: Any, status: Object) -> Verdict:
    ready = condition(status, "Ready")
    if ready.get("status") == "False":
        return Verdict(State.FAILED, told(ready))
    newest = status.get("latestCreatedRevisionName")
    if ready.get("status") != "True" or status.get("latestReadyRevisionName") != newest:
        return Verdict(State.WAITING, told(ready) or f"its revision {newest} is starting")
    return READY


def _source(_: Any, status: Object) -> Verdict:
    ready = condition(status, "Ready")
    if ready.get("status") == "True":
        return READY
    # It says False for as long as its adapter starts, which takes some time while the broker does too.
    return Verdict(State.WAITING, told(ready) or "its adapter is starting")


def _deployment(spec: Object, status: Object) -> Verdict:
    if (progress := condition(status, "Progressing")).get("status") == "False":
        return Verdict(State.FAILED, told(progress))
    wanted = spec.get("replicas", 1)
    new, there = status.get("updatedReplicas", 0), status.get("replicas", 0)
    if new >= wanted and there == new and status.get("availableReplicas", 0) >= wanted:
        return READY
    return Verdict(State.WAITING, f"{status.get('availableReplicas', 0)} of {wanted} pods are available")


def _stateful_set(spec: Object, status: Object) -> Verdict:
    wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    if ready >= wanted and status.get("updateRevision") == status.get("currentRevision"):
        return READY
    return Verdict(State.WAITING, f"{ready} of {wanted} pods are ready")


def _job(_: Any, status: Object) -> Verdict:
    if condition(status, "Complete").get("status") == "True":
        return READY
    if (failed := condition(status, "Failed")).get("status") == "True":
        return Verdict(State.ENDED, told(failed))
    return Verdict(State.WAITING, "it has not ended yet")
