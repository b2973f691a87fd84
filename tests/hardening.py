"""Which setting that keeps a break-in small, or a message from being lost, the rendered manifests lack.

tests/unit/test_hardening.py takes each away, from each program, and wants it named.
"""

import json
from collections import Counter
from collections.abc import Iterator

from tests.manifests import FUNCTIONS, ROOT, SERVING, SOURCES, Object, functions, pods, secrets

SECURE = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
NODES = ("hostNetwork", "hostPID", "hostIPC")
SERVERS = ("mysql", "mongodb", "rabbitmq")
KEPT = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
RETURNED = {"x-dead-letter-exchange": "retry", "x-dead-letter-strategy": "at-least-once"}
PROGRAMS = (*FUNCTIONS, "gateway", "janitor", "migrate")


def topology() -> Object:
    """The queues as the broker loads them."""
    told: Object = json.loads((ROOT / "rabbitmq-source/definitions.json").read_text(encoding="utf-8"))
    return told


def lacking(things: list[Object], queues: Object) -> list[str]:
    """Each as `program: what`; empty when all is well. `queues` are the broker's definitions."""
    found = [f"{name}: {problem}" for name, template in pods(things) for problem in _of_a_pod(name, template, things)]
    found += [f"{name}: {problem}" for name, spec in functions(things).items() for problem in _of_a_function(spec)]
    return [*found, *_reachable(things), *_shared_accounts(things), *_lossy(things, queues)]


def _of_a_pod(name: str, template: Object, things: list[Object]) -> Iterator[str]:
    spec = template["spec"]
    if spec.get("automountServiceAccountToken") is not False:
        yield "has a token"
    if name in PROGRAMS and spec.get("serviceAccountName") != name:
        yield "has no account of its own"
    yield from (f"sees the node by {way}" for way in NODES if spec.get(way))
    for volume in spec.get("volumes", []):
        if "hostPath" in volume or ("emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]):
            yield f"volume {volume['name']} has no limit"
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        yield from _of_a_container(container, spec.get("securityContext", {}))
    selectors = [thing["spec"] for thing in things if thing["kind"] == "NetworkPolicy"]
    own = [policy for policy in selectors if policy["podSelector"] and _selects(policy["podSelector"], template)]
    for way in ("Ingress", "Egress"):
        if not any(way in policy["policyTypes"] for policy in own):
            yield f"no policy of its own for {way}"


def _of_a_container(container: Object, of_the_pod: Object) -> Iterator[str]:
    given = {**of_the_pod, **container.get("securityContext", {})}
    yield from (f"{name} is {given.get(name)}" for name, value in SECURE.items() if given.get(name) != value)
    resources = container.get("resources", {})
    for kind in ("requests", "limits"):
        yield from (f"no {kind} of {what}" for what in ("cpu", "memory") if what not in resources.get(kind, {}))


def _selects(selector: Object, template: Object) -> bool:
    labels = template["metadata"].get("labels", {})
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(wanted["key"]) in wanted["values"] for wanted in selector.get("matchExpressions", [])
    )


def _of_a_function(spec: Object) -> Iterator[str]:
    # Unset, the first is 300 s and so is the second, however long the first; the third has no bound.
    for name in ("timeoutSeconds", "responseStartTimeoutSeconds", "containerConcurrency"):
        if not spec.get(name):
            yield f"{name} is not set"


def _reachable(things: list[Object]) -> Iterator[str]:
    # What a source calls is for nobody outside.
    sinks = {thing["spec"]["sink"]["ref"]["name"] for thing in things if thing["apiVersion"] == SOURCES}
    for name, labels in _labels(things).items():
        if name in sinks and labels.get("networking.knative.dev/visibility") != "cluster-local":
            yield f"{name}: can be reached from outside"


def _labels(things: list[Object]) -> dict[str, Object]:
    return {
        thing["metadata"]["name"]: thing["metadata"].get("labels", {})
        for thing in things
        if thing["apiVersion"] == SERVING
    }


def _shared_accounts(things: list[Object]) -> Iterator[str]:
    # The migration reads the others' where it makes them: those are files, and no address that it uses.
    used = {name: secrets(template, mounted=False) for name, template in pods(things)}
    servers = {name: {one for one in mine if one.partition("/")[0] in SERVERS} for name, mine in used.items()}
    users = Counter(account for mine in servers.values() for account in mine if account.endswith("-url"))
    for name, mine in servers.items():
        yield from (f"{name}: shares the account {account}" for account in sorted(mine) if users[account] > 1)


def _lossy(things: list[Object], queues: Object) -> Iterator[str]:
    known = {queue["name"]: queue["arguments"] for queue in queues["queues"]}
    for thing in things:
        if thing["apiVersion"] == SOURCES:
            name = thing["spec"]["rabbitmqResourcesConfig"]["queueName"]
            wanted = {**KEPT, **RETURNED, "x-dead-letter-routing-key": name}
            given = known.get(name, {})
            yield from (f"{name}: {key} is {given.get(key)}" for key in wanted if given.get(key) != wanted[key])
            if "x-delivery-limit" not in given:  # RabbitMQ 4 would drop a message at its 21st delivery
                yield f"{name}: x-delivery-limit is not set"
