"""What a cold start is compared with, and when its bars are met."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest import bare, coldstart, questions
from loadtest.coldstart import Row

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app.kubernetes.io/name": "auth"}, "annotations": {"autoscaling.knative.dev/window": "6s"}},
    "spec": {
        "containerConcurrency": 16,
        "timeoutSeconds": 30,
        "serviceAccountName": "auth",
        "automountServiceAccountToken": False,
        "volumes": [{"name": "keys"}],
        "containers": [
            {
                "name": "auth",
                "image": "dev.local/auth:1",
                "env": [{"name": "A", "value": "b"}],
                "resources": {"limits": {"cpu": "1"}},
                "readinessProbe": {"tcpSocket": {"port": 0}},
                "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
            }
        ],
    },
}


def test_the_bare_deployment_is_the_same_pod_without_what_is_knatives() -> None:
    made = bare.deployment("auth", TEMPLATE)
    pod = made["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert made["spec"]["replicas"] == 0
    assert {"containerConcurrency", "timeoutSeconds"}.isdisjoint(pod)
    assert (pod["serviceAccountName"], pod["volumes"]) == ("auth", [{"name": "keys"}])
    assert "readinessProbe" not in container
    assert container["env"] == [{"name": "A", "value": "b"}, {"name": "PORT", "value": "8080"}]
    same = ("image", "resources", "volumeMounts")
    assert {name: container[name] for name in same} == {name: TEMPLATE["spec"]["containers"][0][name] for name in same}


def test_its_service_finds_the_bare_pod_and_its_policies_are_the_functions() -> None:
    labels = bare.deployment("auth", TEMPLATE)["spec"]["template"]["metadata"]["labels"]

    assert labels == {"app.kubernetes.io/name": "auth", bare.LABEL: "auth"}


@pytest.mark.parametrize(
    ("knative", "passed"),
    [
        ([1.25] * 10, True),
        ([1.35] * 10, False),  # the median is more than 0.3 s above
        ([1.0] * 9 + [2.5], True),
        ([1.0] * 9 + [2.6], False),  # the longest of ten is p95
    ],
)
def test_both_bars_have_to_be_met(knative: list[float], passed: bool) -> None:
    row = Row("auth", knative, [1.0] * 10)

    assert row.passed == passed
    assert ("missed" in coldstart.table([row])) != passed


def test_an_event_is_found_in_the_log_by_its_own_id_and_time() -> None:
    lines = "\n".join(
        [
            "not JSON",
            "17",
            '{"time": "2026-01-02T03:04:05.000+00:00", "message": "nothing to convert", "event": "other"}',
            '{"time": "2026-01-02T03:04:06.250+00:00", "message": "nothing to convert", "event": "mine"}',
        ]
    )

    assert questions.logged(lines, "mine") == 1767323046.25
    assert questions.logged(lines, "never") is None


def test_without_a_cluster_one_line_says_so(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "loadtest.coldstart"]
    ended = subprocess.run(
        words, env={**os.environ, "KUBECONFIG": str(tmp_path / "none")}, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("KUBECONFIG names no cluster: ")
    assert ended.stderr.count("\n") == 1
