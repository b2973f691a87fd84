"""`make deploy` on a real cluster: a second run, a rollback, a source made anew at work, a failure in plain words."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from local.process import ROOT
from tests.cluster import overlay
from tests.cluster.site import FUNCTIONS, SERVING, Site, run
from tests.e2e.account import Account, until

JOBS = 12
END_SECONDS = 900


def revisions(cluster: Site) -> set[str]:
    """The names of all revisions."""
    return {one["metadata"]["name"] for one in cluster.api.list(SERVING, "Revision", overlay.NAMESPACE)}


def target(cluster: Site, function: str) -> str:
    """The revision that has a function's traffic."""
    (one,) = cluster.get(SERVING, "Service", function)["status"]["traffic"]
    return str(one["revisionName"])


def test_a_second_deployment_changes_nothing(cluster: Site) -> None:
    cluster.deploy()
    before = revisions(cluster)
    sources = {name: cluster.get("sources.knative.dev/v1alpha1", "RabbitmqSource", name) for name in ("video", "mp3")}

    shown = cluster.deploy().splitlines()

    assert not [line for line in shown if line.endswith((": made", ": changed", ": made anew"))]
    assert revisions(cluster) == before
    for name, source in sources.items():
        now = cluster.get("sources.knative.dev/v1alpha1", "RabbitmqSource", name)
        assert now["metadata"]["uid"] == source["metadata"]["uid"]


def test_a_rollback_holds_until_the_next_deployment(cluster: Site, account: Account) -> None:
    cluster.deploy()
    before = target(cluster, "auth")
    cluster.roll_out("auth")
    newest = target(cluster, "auth")

    run(sys.executable, "-m", "knative.deploy", str(cluster.overlay), "--rollback", "auth")
    assert target(cluster, "auth") == before
    account.log_in()

    cluster.deploy()
    assert target(cluster, "auth") == newest
    account.log_in()


@pytest.fixture
def wider(cluster: Site, tmp_path: Path) -> Path:
    """The same overlay with another parallelism of the source `video`, which cannot be changed in place."""
    patch = [{"op": "replace", "path": "/spec/rabbitmqResourcesConfig/parallelism", "value": 3}]
    overlay.write(tmp_path, cluster.settings)
    file = tmp_path / "kustomization.yaml"
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    tree["patches"].append({"target": {"kind": "RabbitmqSource", "name": "video"}, "patch": yaml.safe_dump(patch)})
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return tmp_path


def test_a_source_that_is_made_anew_at_work_loses_and_doubles_nothing(
    cluster: Site, new_account: Callable[[], Account], clip: bytes, wider: Path
) -> None:
    account = new_account()
    uploaded = [account.upload(clip) for _ in range(JOBS)]
    until(lambda: any(account.job(job)["state"] != "queued" for job in uploaded), 300, "the first conversion")

    shown = run(sys.executable, "-m", "knative.deploy", str(wider))
    assert "source video: made anew" in shown
    assert "source mp3: made anew" not in shown

    assert {account.ended(job, END_SECONDS)["state"] for job in uploaded} == {"done"}
    assert len({mail["message_id"] for mail in account.mails(JOBS, END_SECONDS)}) == JOBS
    assert len(account.inbox()) == JOBS
    assert "source video: made anew" in cluster.deploy()


def test_a_dry_run_where_nothing_is_yet_refuses_nothing(cluster: Site, tmp_path: Path) -> None:
    folder = os.path.relpath(cluster.overlay, tmp_path.resolve())
    port = [{"op": "remove", "path": "/spec/ports/0/nodePort"}]  # the product has it already
    patch = {"target": {"kind": "Service", "name": "gateway", "version": "v1"}, "patch": yaml.safe_dump(port)}
    moved = {"kind": "Kustomization", "namespace": "nowhere", "resources": [folder], "patches": [patch]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(moved), encoding="utf-8")

    shown = run(sys.executable, "-m", "knative.deploy", str(tmp_path), "--dry-run").splitlines()

    assert "namespace nowhere is not there yet" in shown[0]
    assert all(line.endswith(": would be made") for line in shown[1:])


def test_an_image_that_is_nowhere_stops_the_deployment_before_anything_that_works(
    cluster: Site, account: Account
) -> None:
    cluster.deploy()
    before = revisions(cluster)

    done = subprocess.run(
        [sys.executable, "-m", "knative.deploy", str(cluster.overlay)],
        cwd=ROOT,
        env={**os.environ, "TAG": "nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "job migrate did not become ready: the image dev.local/video-to-mp3-migrate:nowhere is not" in done.stdout
    assert "make images" in done.stdout
    assert revisions(cluster) == before
    account.log_in()
    assert "job migrate: made anew" in cluster.deploy()
    assert revisions(cluster) == before


def test_the_status_shows_all_functions_and_what_the_janitor_counted(cluster: Site) -> None:
    def shown() -> str:
        text = run(sys.executable, "-m", "knative.status", str(cluster.overlay))
        return text if "Queues   video " in text else ""

    text = until(shown, 300, "a round of the janitor")

    for name in FUNCTIONS:
        assert f"\n{name} " in text
    assert "gateway" in text
    assert ", parked 0" in text
    assert len(text.splitlines()) < 30
