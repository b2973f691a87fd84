"""The rules of tests/hardening.py hold in every overlay, and each of them notices what it is there for."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import manifests
from tests.hardening import SECURE, lacking, topology
from tests.manifests import FUNCTIONS, OVERLAYS, SERVING, Object

# Where a setting stands in a pod: what holds it, and its name there.
Loss = Callable[[Object], Iterator[tuple[Object, str]]]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_has_them_all(name: str) -> None:
    assert lacking(manifests.overlay(name), topology()) == []


def of_a_pod(setting: str) -> Loss:
    return lambda spec: iter([(spec, setting)])


def of_a_container(*path: str) -> Loss:
    def places(spec: Object) -> Iterator[tuple[Object, str]]:
        for container in spec["containers"]:
            holder: Any = container
            for name in path[:-1]:
                holder = holder[name]
            yield holder, path[-1]

    return places


def of_a_volume(spec: Object) -> Iterator[tuple[Object, str]]:
    return ((volume["emptyDir"], "sizeLimit") for volume in spec.get("volumes", []) if "emptyDir" in volume)


LOSSES = {
    **{name: of_a_container("securityContext", name) for name in SECURE},
    **{
        f"{kind}.{what}": of_a_container("resources", kind, what)
        for kind in ("requests", "limits")
        for what in ("cpu", "memory")
    },
    "sizeLimit": of_a_volume,
    "automountServiceAccountToken": of_a_pod("automountServiceAccountToken"),
}
LIMITS = ("timeoutSeconds", "responseStartTimeoutSeconds", "containerConcurrency")


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_pod_without_a_setting_is_named(name: str, loss: str) -> None:
    things = manifests.overlay(name)
    tried = 0
    for program, template in manifests.pods(things):
        of_the_pod = template["spec"].get("securityContext", {})
        for holder, setting in LOSSES[loss](template["spec"]):
            kept = holder.pop(setting)
            found = lacking(things, topology())
            assert len(found) == 1, (program, loss, found)
            assert found[0].startswith(f"{program}: ")
            assert setting not in of_the_pod
            holder[setting] = kept
            tried += 1

    assert tried >= len(FUNCTIONS)
    assert lacking(things, topology()) == []


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_without_a_limit_is_named(function: str, limit: str) -> None:
    things = manifests.overlay("production")

    del manifests.functions(things)[function][limit]

    assert lacking(things, topology()) == [f"{function}: {limit} is not set"]


@pytest.mark.parametrize("program", [*FUNCTIONS, "gateway", "janitor", "migrate"])
def test_a_program_with_no_policy_or_account_of_its_own_is_named(program: str) -> None:
    things = manifests.overlay("production")
    names = {program, *(thing["metadata"]["name"] for thing in things if _is_way_for(thing, program))}
    closed = [thing for thing in things if thing["kind"] != "NetworkPolicy" or thing["metadata"]["name"] not in names]

    assert f"{program}: no policy of its own for Ingress" in lacking(closed, topology())

    for name, template in manifests.pods(things):
        if name == program:
            template["spec"]["serviceAccountName"] = "default"
    assert lacking(things, topology()) == [f"{program}: has no account of its own"]


def _is_way_for(thing: Object, program: str) -> bool:
    return thing["kind"] == "NetworkPolicy" and program in str(thing["spec"]["podSelector"])


@pytest.mark.parametrize("function", ["convert", "notify"])
def test_what_a_source_calls_and_outside_can_is_named(function: str) -> None:
    things = manifests.overlay("production")

    del manifests.one(things, SERVING, "Service", function)["metadata"]["labels"]["networking.knative.dev/visibility"]

    assert lacking(things, topology()) == [f"{function}: can be reached from outside"]


@pytest.mark.parametrize(
    ("function", "variable", "other"),
    [
        ("auth", "MYSQL_URL", "migrate-url"),
        *((name, "MONGO_URL", "janitor-url") for name in ("upload", "convert", "notify", "download")),
        *((name, "RABBITMQ_URL", "janitor-url") for name in ("upload", "convert")),
    ],
)
def test_an_account_that_two_have_is_named(function: str, variable: str, other: str) -> None:
    things = manifests.overlay("production")
    for name, template in manifests.pods(things):
        if name == function:
            manifests.settings(template)[variable]["valueFrom"]["secretKeyRef"]["key"] = other

    found = lacking(things, topology())

    assert len(found) == 2
    assert [problem for problem in found if problem.startswith(f"{function}: shares the account ")]


@pytest.mark.parametrize("queue", ["video", "mp3"])
@pytest.mark.parametrize(
    "argument",
    [
        "x-queue-type",
        "x-overflow",
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-dead-letter-strategy",
        "x-delivery-limit",
    ],
)
def test_a_queue_that_may_lose_messages_is_named(queue: str, argument: str) -> None:
    queues = topology()
    for known in queues["queues"]:
        if known["name"] == queue:
            del known["arguments"][argument]

    (found,) = lacking(manifests.overlay("production"), queues)

    assert found.startswith(f"{queue}: {argument} is ")


@pytest.mark.parametrize("way", ["hostNetwork", "hostPID", "hostIPC"])
def test_a_pod_that_sees_its_node_is_named(way: str) -> None:
    things = manifests.overlay("production")
    for name, template in manifests.pods(things):
        if name == "convert":
            template["spec"][way] = True

    assert lacking(things, topology()) == [f"convert: sees the node by {way}"]
