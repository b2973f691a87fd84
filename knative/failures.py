"""Why something did not become ready: first in words for a newcomer, then what the cluster itself has to say."""

import json
import re

from knative import pods
from knative.cluster import AwayError, Cluster, Object
from knative.objects import key, kind
from knative.readiness import Verdict

EVENTS = 5
LOG_LINES = 10
LINE_CHARACTERS = 300
_UNREACHED = "not migrated: "  # as functions/migrate/main.py says it
_UNSET = re.compile(r"\b([A-Z][A-Z0-9_]+) is not set")  # as functions/common/settings.py says it


def explain(cluster: Cluster, thing: Object, verdict: Verdict, overlay: str) -> list[str]:
    """Lines of text: the cause, what to do, the cluster's reason, warnings, and the last log lines."""
    try:
        mine = pods.of(thing, cluster.list("v1", "Pod", thing["metadata"]["namespace"]))
        failing = next((pod for pod in mine if pods.trouble(pod)), None)
        log = _log(cluster, failing) if failing else []
        warnings = _warnings(cluster, thing, mine)
    except AwayError as error:
        return [f"{key(thing)} did not become ready: {verdict.why}", f"  {error}"]
    cause = pods.trouble(failing) if failing else verdict.why or "no reason is known"
    if unset := sorted(set(_UNSET.findall("\n".join(log)))):
        cause = f"the setting {', '.join(unset)} is missing; {cause}"
    lines = [f"{key(thing)} did not become ready: {cause[:LINE_CHARACTERS]}"]
    lines += [f"  {line}" for line in (_advice(thing, cause, overlay, log), _meanwhile(thing)) if line]
    if verdict.why and verdict.why != cause:
        lines.append(f"  the cluster says: {verdict.why}")
    return [*lines, *(f"  event: {line}" for line in warnings), *(f"  log: {line}" for line in log)]


def _advice(thing: Object, cause: str, overlay: str, log: list[str]) -> str:
    if kind(thing) == "Job" and any(_UNREACHED in line for line in log):
        return (
            "are the addresses in the secrets mysql and mongodb right? With right ones in the environment, "
            f"`make secrets OVERLAY={overlay} ROTATE='mysql mongodb'` takes them"
        )
    if kind(thing) == "RabbitmqSource" and "ended with exit code" in cause:
        return "it ends so when it finds no broker: is RabbitMQ up, and are host, port and account in its secret right?"
    if "the setting" in cause:
        return "docs/configuration.md says what it is for; its value is in knative/base/settings.env or in a secret"
    if "the image" in cause:
        return "`make images` makes the images; LOAD=... or PUSH=1 brings them to where the nodes find them"
    if "the secret" in cause:
        return f"`make secrets OVERLAY={overlay}` makes what is missing"
    if "more memory" in cause:
        return "raise resources.limits.memory in its manifest, or let it do less at once"
    if "no node takes" in cause:
        return "the nodes have too little free: lower resources.requests in the overlay, or add a node"
    return ""


def _meanwhile(thing: Object) -> str:
    status = thing.get("status") or {}
    serving = status.get("latestReadyRevisionName")
    if kind(thing) == "KnativeService" and serving and serving != status.get("latestCreatedRevisionName"):
        return f"requests still go to {serving}, so nothing that worked is broken"
    return ""


def _warnings(cluster: Cluster, thing: Object, mine: list[Object]) -> list[str]:
    names = {thing["metadata"]["name"], *(pod["metadata"]["name"] for pod in mine)}
    if newest := (thing.get("status") or {}).get("latestCreatedRevisionName"):
        names |= {newest, f"{newest}-deployment"}
    found: dict[str, str] = {}
    for event in cluster.list("v1", "Event", thing["metadata"]["namespace"]):
        if event.get("type") == "Warning" and event["involvedObject"].get("name") in names:
            found[f"{event['reason']}: {event['message'].strip()}"] = event.get("lastTimestamp") or ""
    return [_readable(line) for line in sorted(found, key=lambda line: found[line])[-EVENTS:]]


def _log(cluster: Cluster, pod: Object) -> list[str]:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    lines: list[str] = []
    for container, previous in pods.ended(pod):
        text = cluster.log(name, namespace, container, LOG_LINES, previous)
        lines += [_readable(line) for line in text.splitlines() if line.strip()]
    return lines


def _readable(line: str) -> str:
    """Of a line of JSON what a person looks for; the adapter of a source adds its whole stack to each."""
    try:
        fields = json.loads(line)
        words = [fields.get("severity") or fields["level"], fields.get("message") or fields["msg"]]
        extra = [f"{name}={value}" for name, value in fields.items() if name in ("reason", "error", "exception")]
        line = " ".join(map(str, words + extra))
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # it is no such line, so it is shown as it is
    return line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]}…"
