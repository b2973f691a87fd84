"""The functions' pods need no user of their own, no capability, no writable root: each runs as a user of no name."""

import json
import random
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.cluster.overlay import NAMESPACE
from tests.cluster.site import Site
from tests.cluster.test_rendered import kubectl
from tests.hardening import SECURE
from tests.manifests import FUNCTIONS, Object

Make = Callable[[Object, str], str]


@pytest.fixture
def pod() -> Iterator[Make]:
    """Makes a pod of a container that a function runs in, without what Knative puts beside it; its name."""
    made: list[str] = []

    def make(spec: Object, function: str) -> str:
        name = f"any-user-{function}"
        thing = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
        made.append(name)
        kubectl("apply", "-f", "-", text=yaml.safe_dump(thing))
        return name

    yield make
    for name in made:
        kubectl("-n", NAMESPACE, "delete", "pod", name, "--ignore-not-found")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_serves_as_any_user_with_nothing_to_write_to(cluster: Site, function: str, pod: Make) -> None:
    user = random.Random().randrange(100_000, 2_000_000)
    revision = json.loads(kubectl("-n", NAMESPACE, "get", "ksvc", function, "-o", "json"))["status"][
        "latestReadyRevisionName"
    ]
    running = json.loads(kubectl("-n", NAMESPACE, "get", "revision", revision, "-o", "json"))["spec"]
    (container,) = running["containers"]
    spec = {
        "automountServiceAccountToken": running["automountServiceAccountToken"],
        "terminationGracePeriodSeconds": 5,
        "volumes": running["volumes"],
        "containers": [
            {
                **{name: container[name] for name in ("name", "image", "volumeMounts")},
                "env": [*container["env"], {"name": "PORT", "value": "8080"}],
                "resources": {"limits": container["resources"]["limits"], "requests": {"cpu": "1m", "memory": "16Mi"}},
                "securityContext": {**container["securityContext"], "runAsUser": user, "runAsGroup": user},
                "readinessProbe": {"tcpSocket": {"port": 8080}},
            }
        ],
    }
    name = pod(spec, function)
    kubectl("-n", NAMESPACE, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=600s")

    asked = "id -u; grep CapEff /proc/1/status; touch /x 2>&1; ls /var/run/secrets/kubernetes.io 2>&1"
    said = kubectl("-n", NAMESPACE, "exec", name, "--", "sh", "-c", f"{asked}; true").splitlines()

    assert container["securityContext"].items() >= SECURE.items()
    assert said[:2] == [str(user), "CapEff:\t0000000000000000"]
    assert "Read-only file system" in said[2]
    assert "No such file" in said[3]
