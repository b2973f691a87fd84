"""The pods behind an object, and what keeps one from working, in words that need no knowledge of Kubernetes."""

import re
from collections.abc import Iterable
from typing import Any

from knative.objects import Object, kind
from knative.readiness import condition

RESTARTS = 3  # who has ended so often will not get well by itself; its pauses are then 40 s and longer

_NO_IMAGE = ("ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName")
_NO_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def of(thing: Object, pods: Iterable[Object]) -> list[Object]:
    """Those of `pods` that an object made, the newest first; of a function those of its newest revision."""
    wanted = _labels(thing)
    if not wanted:
        return []
    mine = [pod for pod in pods if wanted.items() <= (pod["metadata"].get("labels") or {}).items()]
    return sorted(mine, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)


def _labels(thing: Object) -> dict[str, str]:
    name = thing["metadata"]["name"]
    match kind(thing):
        case "KnativeService":
            newest = (thing.get("status") or {}).get("latestCreatedRevisionName", "")
            return {"serving.knative.dev/service": name, "serving.knative.dev/revision": newest}
        case "RabbitmqSource":
            return {
                "eventing.knative.dev/source": "rabbitmq-source-controller",
                "eventing.knative.dev/SourceName": name,
            }
        case "Job":
            return {"batch.kubernetes.io/job-name": name}
        case "Deployment" | "StatefulSet":
            return dict(thing["spec"]["selector"]["matchLabels"])
    return {}


def trouble(pod: Object) -> str:
    """What keeps a pod from working; empty when nothing is known to."""
    if pod["metadata"].get("deletionTimestamp"):
        return ""
    status = pod.get("status") or {}
    scheduled = condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return f"no node takes its pod: {scheduled.get('message', '')}"
    states = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    found = [words for state in states if (words := _trouble(state, pod))]
    return "; ".join(found)


def hopeless(pod: Object) -> bool:
    """Whether the trouble will not pass by waiting."""
    status = pod.get("status") or {}
    for state in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        often = state.get("restartCount", 0) >= RESTARTS and not state.get("ready")
        if often or _waiting(state).get("reason", "") in (*_NO_IMAGE, *_NO_CONFIG):
            return True
    return False


def ended(pod: Object) -> list[tuple[str, bool]]:
    """The containers worth reading: each one's name, and whether the log to read is that before its restart."""
    status = pod.get("status") or {}
    states = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return [
        (state["name"], bool(_waiting(state)) and state.get("restartCount", 0) > 0)
        for state in states
        if not state.get("ready") and state["name"] != "queue-proxy"
    ]


def _waiting(state: Object) -> Object:
    return (state.get("state") or {}).get("waiting") or {}


def _trouble(state: Object, pod: Object) -> str:
    waiting = _waiting(state)
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _NO_IMAGE:
        return f"the image {state['image']} is not on the node and could not be fetched"
    if reason in _NO_CONFIG:
        return _missing(message)
    current = state.get("state") or {}
    last = current.get("terminated") or (state.get("lastState") or {}).get("terminated")
    if last and last.get("exitCode") and not current.get("running"):
        return f"{_program(state, pod)} {_end(last, state.get('restartCount', 0))}"
    if current.get("running") and not state.get("ready") and state["name"] != "queue-proxy":
        return f"{_program(state, pod)} runs and does not say that it is ready"
    return ""


def _missing(message: str) -> str:
    if absent := re.search(r'(secret|configmap) "?([\w.-]+)"? not found', message):
        return f"the {absent[1]} {absent[2]} is missing"
    if absent := re.search(r"couldn't find key ([\w.-]+) in (Secret|ConfigMap) [\w.-]+/([\w.-]+)", message):
        return f"the {absent[2].lower()} {absent[3]} has no {absent[1]}"
    return f"it cannot be started: {message}"


def _program(state: Object, pod: Object) -> str:
    name = state["name"]
    return "its program" if name in ("user-container", pod["metadata"]["name"]) else f"its program {name}"


def _end(last: dict[str, Any], restarts: int) -> str:
    often = f", {restarts + 1} times so far" if restarts else ""
    if last.get("reason") == "OOMKilled":
        return f"was ended for taking more memory than its limit allows{often}"
    if last.get("reason") in ("StartError", "ContainerCannotRun"):
        return f"cannot be started: {last.get('message', '')}"
    return f"ended with exit code {last['exitCode']}{often}"
