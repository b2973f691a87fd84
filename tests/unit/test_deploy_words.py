"""What a deployment, a rollback and the status say; the objects are as real clusters showed them."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.janitor import survey
from knative import deploy, pods, rollback, status
from knative.failures import explain
from knative.readiness import State, judge
from knative.rollback import RollbackError
from knative.waiting import PATIENCE_SECONDS, STEADY_SECONDS, NotReadyError, wait
from tests.clusters import NAMESPACE, FakeCluster, Object, recorded

SERVING = "serving.knative.dev/v1"


@pytest.fixture
def objects() -> dict[str, Object]:
    return recorded("objects")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.mark.parametrize(
    ("pod", "words", "hopeless"),
    [
        ("no-image", "the image dev.local/video-to-mp3-auth:1 is not on the node", True),
        ("no-secret", "the secret mongodb is missing", True),
        ("no-key", "the secret rabbitmq has no upload-url", True),
        ("no-room", "no node takes its pod: 0/1 nodes are available: 1 Insufficient cpu", False),
        ("no-program", "its program a cannot be started: failed to create", True),
        ("no-setting", "its program upload ended with exit code 1, 4 times so far", True),
        ("no-memory", "its program upload was ended for taking more memory than its limit allows", True),
        ("unready", "its program a runs and does not say that it is ready", False),
        ("migrate-lost", "its program migrate cannot be started", False),
    ],
)
def test_a_pods_trouble_is_told_in_plain_words(pod: str, words: str, hopeless: bool) -> None:
    found = recorded("pods")[pod]

    assert pods.trouble(found).startswith(words)
    assert pods.hopeless(found) is hopeless


def test_who_has_ended_a_few_times_may_still_get_well() -> None:
    pod = recorded("pods")["no-setting"]
    pod["status"]["containerStatuses"][0]["restartCount"] = pods.RESTARTS - 1

    assert not pods.hopeless(pod)


def test_a_pod_that_is_leaving_is_no_trouble() -> None:
    pod = recorded("pods")["unready"]
    pod["metadata"]["deletionTimestamp"] = "2026-11-24T16:00:00Z"

    assert pods.trouble(pod) == ""


def change(thing: Object, **status: Any) -> Object:
    changed = copy.deepcopy(thing)
    changed["status"] |= status
    return changed


def test_objects_are_judged_by_what_the_cluster_showed(objects: dict[str, Object]) -> None:
    service, gate = objects["Service auth"], objects["Deployment gate"]
    failed = [{"type": "Ready", "status": "False", "reason": "RevisionFailed", "message": "no"}]

    assert judge(service).state is judge(gate).state is judge(objects["RabbitmqSource video"]).state is State.READY
    assert judge(None).state is State.WAITING
    assert judge(objects["Job migrate"]).state is State.ENDED
    assert judge(change(service, observedGeneration=5)).state is State.WAITING
    assert judge(change(service, latestCreatedRevisionName="auth-00005")).state is State.WAITING
    assert judge(change(service, conditions=failed)).why == "RevisionFailed: no"
    assert judge(change(service, conditions=failed)).state is State.FAILED
    assert judge(change(gate, updatedReplicas=0)).state is State.WAITING
    assert judge(change(gate, replicas=2)).state is State.WAITING
    assert judge(change(gate, availableReplicas=0)).why == "0 of 1 pods are available"
    server = {"kind": "StatefulSet", "apiVersion": "apps/v1", "metadata": {"name": "mysql"}, "spec": {"replicas": 1}}
    rolling = {"readyReplicas": 1, "updateRevision": "b", "currentRevision": "a"}
    assert judge(server | {"status": rolling}).state is State.WAITING
    assert judge(server | {"status": rolling | {"currentRevision": "b"}}).state is State.READY
    assert judge({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}).state is State.READY


def told(cluster: Any, thing: Object, *, pod: str = "", labels: dict[str, str] | None = None) -> str:
    """What is said of an object whose pod is the recorded one."""
    if pod:
        found = recorded("pods")[pod]
        found["metadata"]["labels"] = labels or thing["spec"]["selector"]["matchLabels"]
        cluster.put(found)
    return "\n".join(explain(cluster, thing, judge(thing), "external"))


def test_a_missing_setting_is_named(cluster: FakeCluster, objects: dict[str, Object]) -> None:
    cluster.logs["no-setting"] = "main: TOKEN_KEYS_FILE is not set; MONGO_URL is not set"

    text = told(cluster, objects["Deployment gate"], pod="no-setting")

    assert text.startswith("deployment gate did not become ready: the setting MONGO_URL, TOKEN_KEYS_FILE is missing")
    assert "docs/configuration.md" in text
    assert "  log: main: TOKEN_KEYS_FILE" in text


def test_a_missing_image_comes_with_the_command_that_makes_it(cluster: FakeCluster, objects: dict[str, Object]) -> None:
    service = change(objects["Service auth"], latestCreatedRevisionName="auth-00005")
    labels = {"serving.knative.dev/service": "auth", "serving.knative.dev/revision": "auth-00005"}
    event = {
        "involvedObject": {"name": "auth-00005"},
        "type": "Warning",
        "reason": "InternalError",
        "message": "x" * 900,
    }
    other = event | {"involvedObject": {"name": "upload-00005"}, "reason": "Other"}
    for number, one in enumerate((event, other)):
        metadata = {"name": f"e{number}", "namespace": NAMESPACE}
        cluster.put({"apiVersion": "v1", "kind": "Event", "metadata": metadata, **one})

    text = told(cluster, service, pod="no-image", labels=labels)

    assert text.startswith("function auth did not become ready: the image dev.local/video-to-mp3-auth:1 is not on")
    assert "make images" in text
    assert "requests still go to auth-00004" in text
    assert "event: InternalError: xxx" in text
    assert "Other" not in text
    assert max(map(len, text.splitlines())) < 400


def test_a_source_whose_adapter_ends_is_told_to_look_for_the_broker(
    cluster: FakeCluster, objects: dict[str, Object]
) -> None:
    labels = {"eventing.knative.dev/source": "rabbitmq-source-controller", "eventing.knative.dev/SourceName": "video"}
    line = {"level": "error", "msg": "channel is not open", "stacktrace": "main.go"}
    cluster.logs["no-setting"] = json.dumps(line) + "\n[1, 2]\n"

    text = told(cluster, objects["RabbitmqSource video"], pod="no-setting", labels=labels)

    assert "is RabbitMQ up" in text
    assert "log: error channel is not open" in text
    assert "stacktrace" not in text


def test_a_migration_that_reaches_no_database_is_told_how_to_give_another_address(
    cluster: FakeCluster, objects: dict[str, Object]
) -> None:
    labels = {"batch.kubernetes.io/job-name": "migrate"}
    cluster.logs["no-setting"] = "not migrated: (2003, \"Can't connect to MySQL server on 'nowhere'\")"

    text = told(cluster, objects["Job migrate"], pod="no-setting", labels=labels)

    assert "make secrets OVERLAY=external ROTATE='mysql mongodb'" in text
    assert "log: not migrated: (2003" in text


def test_without_pods_the_clusters_own_reason_is_told(cluster: FakeCluster, objects: dict[str, Object]) -> None:
    text = told(cluster, objects["Job migrate"])

    assert text == "job migrate did not become ready: BackoffLimitExceeded: Job has reached the specified backoff limit"


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def waited(cluster: Any, thing: Object, seconds: float = 300) -> tuple[float, NotReadyError | None]:
    """After how long the wait ended, and how."""
    clock = Time()
    try:
        wait(cluster, [thing], seconds, lambda _: None, clock, clock.sleep)
    except NotReadyError as error:
        return clock.now, error
    return clock.now, None


def test_what_is_ready_is_not_waited_for(cluster: FakeCluster, objects: dict[str, Object]) -> None:
    cluster.put(objects["Service auth"])

    assert waited(cluster, objects["Service auth"]) == (0, None)


def test_a_source_must_stay_ready_for_a_while(cluster: FakeCluster, objects: dict[str, Object]) -> None:
    source = objects["RabbitmqSource video"]
    cluster.put(source)

    seconds, error = waited(cluster, source)

    assert error is None
    assert seconds >= STEADY_SECONDS["RabbitmqSource"]


def test_a_job_that_failed_ends_the_wait_at_once(cluster: FakeCluster, objects: dict[str, Object]) -> None:
    cluster.put(objects["Job migrate"])

    seconds, error = waited(cluster, objects["Job migrate"])

    assert error
    assert (seconds, error.timed_out) == (0, False)


def test_what_looks_failed_has_a_while_to_heal(cluster: FakeCluster, objects: dict[str, Object]) -> None:
    gate = change(objects["Deployment gate"], availableReplicas=0)
    pod = recorded("pods")["no-image"]
    pod["metadata"]["labels"] = gate["spec"]["selector"]["matchLabels"]
    cluster.put(gate, pod)

    seconds, error = waited(cluster, gate)

    assert error
    assert (seconds, error.timed_out) == (PATIENCE_SECONDS, False)


def test_what_only_takes_its_time_has_all_the_time(cluster: FakeCluster, objects: dict[str, Object]) -> None:
    gate = change(objects["Deployment gate"], availableReplicas=0)
    cluster.put(gate)

    seconds, error = waited(cluster, gate, 120)

    assert error
    assert (seconds, error.timed_out) == (120, True)


def test_not_in_time_has_a_code_of_its_own(
    cluster: FakeCluster, objects: dict[str, Object], capsys: pytest.CaptureFixture[str]
) -> None:
    gate = objects["Deployment gate"]
    cluster.broken["Deployment gate"] = change(gate, availableReplicas=0)["status"]

    assert deploy.deploy(cluster, [gate], "external", 0) == deploy.TIMED_OUT  # type: ignore[arg-type]
    assert "Not ready within 0 s" in capsys.readouterr().out


@pytest.fixture
def released(cluster: FakeCluster, objects: dict[str, Object]) -> FakeCluster:
    """A function with four revisions, the last with all traffic; the second never became ready."""
    cluster.put(objects["Service auth"], *(thing for name, thing in objects.items() if name.startswith("Revision")))
    return cluster


def serving(cluster: FakeCluster, *names: str) -> None:
    service = cluster.get(SERVING, "Service", "auth", NAMESPACE)
    assert service
    share = 100 // len(names)
    cluster.put(change(service, traffic=[{"revisionName": name, "percent": share} for name in names]))


@pytest.mark.parametrize(
    ("now", "target"),
    [(["auth-00004"], "auth-00003"), (["auth-00003"], "auth-00001"), (["auth-00004", "auth-00003"], "auth-00001")],
)
def test_a_rollback_goes_to_the_last_older_revision_that_is_ready(released: Any, now: list[str], target: str) -> None:
    serving(released, *now)

    assert rollback.target(released, "auth", NAMESPACE) == target


@pytest.mark.parametrize(("name", "why"), [("auth", "no older revision"), ("nobody", "there is no function nobody")])
def test_nothing_to_go_back_to_is_said(released: Any, name: str, why: str) -> None:
    serving(released, "auth-00001")

    with pytest.raises(RollbackError, match=why):
        rollback.target(released, name, NAMESPACE)


def test_a_rollback_moves_the_traffic_and_says_how_to_go_forward(
    released: Any, objects: dict[str, Object], capsys: pytest.CaptureFixture[str]
) -> None:
    things = [objects["Service auth"]]
    arguments = deploy._parsed(["external", "--rollback", "auth", "--timeout", "5"])

    assert deploy._run(released, things, arguments) == deploy.DONE

    service = released.get(SERVING, "Service", "auth", NAMESPACE)
    assert service["spec"]["traffic"] == [{"revisionName": "auth-00003", "percent": 100}]
    shown = capsys.readouterr().out
    assert "now go to auth-00003" in shown
    assert "make deploy OVERLAY=external" in shown


def test_the_next_deployment_goes_forward_again(
    released: Any, objects: dict[str, Object], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = objects["Service auth"]
    wanted = {name: wanted[name] for name in ("apiVersion", "kind", "metadata")} | {"spec": {"template": {"spec": {}}}}
    deploy._run(released, [wanted], deploy._parsed(["external", "--rollback", "auth", "--timeout", "5"]))

    deploy._run(released, [wanted], deploy._parsed(["external", "--timeout", "0"]))

    service = released.get(SERVING, "Service", "auth", NAMESPACE)
    assert service["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}]


def test_the_status_fits_one_screen_and_shows_what_the_janitor_counted(
    released: Any, objects: dict[str, Object]
) -> None:
    counts = {"queued": 3, "stuck": 1, "oldest_seconds": 150}
    fields = {"time": "2026-11-24T16:00:00+00:00", "message": survey.MESSAGE, "jobs": counts, "queues": {"video": 7}}
    janitor = recorded("pods")["unready"]
    janitor["metadata"] |= {"name": "janitor-1", "labels": {"app.kubernetes.io/name": "janitor"}}
    janitor["status"]["phase"] = "Succeeded"
    released.put(
        janitor, recorded("pods")["no-secret"], *(objects[name] for name in ("Deployment gate", "Job migrate"))
    )
    released.logs["janitor-1"] = f"nonsense\n{json.dumps(fields)}\n" + json.dumps(fields | {"message": "other"})

    lines = status.screen(released, NAMESPACE, datetime(2026, 11, 24, 16, 0, 40, tzinfo=UTC))

    text = "\n".join(lines)
    assert "auth      yes    auth-00004  all" in text
    assert "Queues   video 7" in text
    assert "queued 3, stuck 1" in text
    assert "Oldest   2 min" in text
    assert "saw it 40 s ago" in text
    assert "no-secret: the secret mongodb is missing" in text
    assert "janitor-1" not in text
    assert len(lines) < 25
    assert status.MESSAGE == survey.MESSAGE


def test_the_status_of_nothing_says_so(cluster: Any, released: Any) -> None:
    assert "make deploy" in status.screen(cluster, "elsewhere", datetime.now(UTC))[0]
    assert "not known" in "\n".join(status.screen(released, NAMESPACE, datetime.now(UTC)))
