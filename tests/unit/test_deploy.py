"""What a deployment does to a cluster, in which order, and what it says; the cluster is one in memory."""

import re
import socket
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.config import kube_config

from knative import applying, deploy, waiting
from knative.cluster import AwayError, Cluster, ClusterError
from knative.objects import key, pod_spec, secrets, stages
from knative.render import OverlayError, complete, folder
from tests.clusters import NAMESPACE, FakeCluster, Object, recorded

MANIFESTS = """
apiVersion: sources.knative.dev/v1alpha1
kind: RabbitmqSource
metadata: {name: video}
spec:
  rabbitmqClusterReference: {connectionSecret: {name: rabbitmq-source}}
  rabbitmqResourcesConfig: {parallelism: 2}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: auth}
spec:
  template:
    spec:
      containers:
      - image: dev.local/video-to-mp3-auth:0.1.0
        env:
        - {name: MYSQL_URL, valueFrom: {secretKeyRef: {name: mysql, key: auth-url}}}
        - {name: MAYBE, valueFrom: {secretKeyRef: {name: other, key: a, optional: true}}}
      volumes:
      - {name: keys, secret: {secretName: token-keys}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway}
spec:
  selector: {matchLabels: {app: gateway}}
  template: {spec: {containers: [{image: "registry.example:5000/team/video-to-mp3-gateway:0.1.0"}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec: {template: {spec: {containers: [{image: video-to-mp3-migrate}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mysql}
spec: {selector: {matchLabels: {app: mysql}}, template: {spec: {containers: [{image: "mysql:8.4"}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: mysql}
spec: {ports: [{port: 3306}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {SIGNUP_OPEN: "true"}
"""
SECRETS = {"rabbitmq-source": {"uri": "x"}, "mysql": {"auth-url": "x"}, "token-keys": {"jwks.json": "x"}}
IMAGES = {"auth": "dev.local/video-to-mp3-auth:abc", "gateway": "dev.local/video-to-mp3-gateway:def"}


@pytest.fixture
def things() -> list[Object]:
    things = list(yaml.safe_load_all(MANIFESTS))
    for thing in things:
        thing["metadata"] |= {"namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": NAMESPACE}}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *things]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    monkeypatch.setitem(waiting.STEADY_SECONDS, "RabbitmqSource", 0)
    cluster = FakeCluster()
    for name, data in SECRETS.items():
        metadata = {"name": name, "namespace": NAMESPACE}
        cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    return cluster


def run(cluster: Any, things: list[Object], *words: str) -> int:
    for thing in things:
        if thing["apiVersion"].startswith("serving"):
            complete([thing], {}, moved=False)
    arguments: Namespace = deploy._parsed(["external", *words])
    if words:
        return deploy._run(cluster, things, arguments)
    return deploy.deploy(cluster, things, "external", 5)


def test_what_others_need_comes_first(cluster: FakeCluster, things: list[Object]) -> None:
    assert run(cluster, things) == deploy.DONE

    assert cluster.calls == [
        "apply Namespace video-to-mp3",
        "apply ConfigMap settings",
        "apply Service mysql",
        "apply StatefulSet mysql",
        "apply Job migrate",
        "apply Service auth",
        "apply Deployment gateway",
        "apply RabbitmqSource video",
    ]


def test_nothing_is_applied_before_what_it_builds_on_is_ready(cluster: FakeCluster, things: list[Object]) -> None:
    cluster.broken["Job migrate"] = recorded("objects")["Job migrate"]["status"]

    assert run(cluster, things) == deploy.FAILED

    assert cluster.calls[-1] == "apply Job migrate"
    assert [[key(thing).name for thing in stage][-1] for stage in stages(things)] == ["migrate", "gateway", "video"]


def test_a_second_run_changes_nothing(
    cluster: FakeCluster, things: list[Object], capsys: pytest.CaptureFixture[str]
) -> None:
    run(cluster, things)
    before = {name: cluster.get(*name) for name in (("serving.knative.dev/v1", "Service", "auth", NAMESPACE),)}
    capsys.readouterr()

    assert run(cluster, things) == deploy.DONE

    assert not [line for line in capsys.readouterr().out.splitlines() if "made" in line or "changed" in line]
    assert before == {name: cluster.get(*name) for name in before}
    assert not [call for call in cluster.calls if call.startswith("delete")]


def of(things: list[Object], kind: str) -> Object:
    return next(thing for thing in things if thing["kind"] == kind)


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("RabbitmqSource", "video", lambda thing: thing["spec"]["rabbitmqResourcesConfig"].update(parallelism=3)),
        ("Job", "migrate", lambda thing: thing["spec"]["template"]["spec"]["containers"][0].update(image="new")),
    ],
)
def test_what_cannot_be_changed_is_made_anew_and_left_alone_otherwise(
    cluster: FakeCluster, things: list[Object], kind: str, name: str, change: Callable[[Object], None]
) -> None:
    run(cluster, things)
    change(of(things, kind))
    cluster.calls.clear()

    assert run(cluster, things) == deploy.DONE

    deleted = cluster.calls.index(f"delete {kind} {name}")
    assert cluster.calls[deleted + 1] == f"apply {kind} {name}"
    assert len([call for call in cluster.calls if call.startswith("delete")]) == 1


def test_a_job_that_failed_is_run_again(cluster: FakeCluster, things: list[Object]) -> None:
    cluster.broken["Job migrate"] = recorded("objects")["Job migrate"]["status"]
    assert run(cluster, things) == deploy.FAILED
    cluster.broken.clear()

    assert run(cluster, things) == deploy.DONE
    assert "delete Job migrate" in cluster.calls


def test_a_refusal_of_anything_else_is_no_reason_to_remove_it(cluster: FakeCluster, things: list[Object]) -> None:
    run(cluster, things)
    cluster.refused.add("RabbitmqSource video")

    with pytest.raises(ClusterError, match="source video: admission webhook denied"):
        run(cluster, things)
    assert cluster.names("RabbitmqSource") == ["video"]


def test_a_dry_run_changes_nothing_and_names_every_refusal(
    cluster: FakeCluster, things: list[Object], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.refused |= {"Service auth", "Deployment gateway"}

    assert deploy.check(cluster, things, NAMESPACE) == deploy.FAILED  # type: ignore[arg-type]

    assert cluster.calls == []
    shown = capsys.readouterr().out
    assert shown.count(": refused: ") == 2
    assert "job migrate: would be made" in shown


def test_a_dry_run_where_nothing_is_yet_counts_on_nothing_that_would_be_made(
    cluster: FakeCluster, things: list[Object], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Object] = []
    monkeypatch.setattr(cluster, "apply", lambda thing, dry_run: tried.append(thing))
    for thing in things:
        if pod_spec(thing):
            pod_spec(thing)["serviceAccountName"] = "own"

    assert deploy.check(cluster, things, NAMESPACE) == deploy.DONE  # type: ignore[arg-type]

    assert len(tried) == len(things)
    assert {thing["metadata"].get("namespace") for thing in tried} <= {"default", None}
    assert not any("serviceAccountName" in pod_spec(thing) for thing in tried)
    assert all(pod_spec(thing)["serviceAccountName"] == "own" for thing in things if pod_spec(thing))


def test_secrets_that_are_missing_are_named_before_anything_is_changed(
    cluster: FakeCluster, things: list[Object], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.delete("v1", "Secret", "token-keys", NAMESPACE)
    metadata = {"name": "mysql", "namespace": NAMESPACE}
    cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {}})
    cluster.calls.clear()

    assert run(cluster, things) == deploy.FAILED

    shown = capsys.readouterr().out
    assert "the secret token-keys is missing" in shown
    assert "the secret mysql has no auth-url" in shown
    assert "make secrets OVERLAY=external" in shown
    assert cluster.calls == []


def test_a_secret_is_needed_wherever_it_is_named() -> None:
    spec = {
        "initContainers": [{"envFrom": [{"secretRef": {"name": "a"}}]}],
        "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "b", "key": "x"}}}, {"name": "plain"}]}],
        "volumes": [
            {"secret": {"secretName": "c", "items": [{"key": "y", "path": "y"}]}},
            {"projected": {"sources": [{"secret": {"name": "d"}}]}},
            {"secret": {"secretName": "e", "optional": True}},
        ],
    }
    job = {"jobTemplate": {"spec": {"template": {"spec": spec}}}}
    thing = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "janitor"}, "spec": job}

    assert secrets(thing) == {("a", ""), ("b", "x"), ("c", "y"), ("d", "")}


def test_an_image_gets_its_tag_where_the_overlay_has_it_unless_it_was_moved(things: list[Object]) -> None:
    complete(things, IMAGES, moved=False)
    assert image(things, "Deployment") == "registry.example:5000/team/video-to-mp3-gateway:def"
    assert image(things, "StatefulSet") == "mysql:8.4"
    assert image(things, "Job") == "video-to-mp3-migrate"

    complete(things, IMAGES, moved=True)
    assert image(things, "Deployment") == "dev.local/video-to-mp3-gateway:def"


def image(things: list[Object], kind: str) -> str:
    return str(of(things, kind)["spec"]["template"]["spec"]["containers"][0]["image"])


def test_an_overlay_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["no-such-overlay"]) == deploy.USAGE
    assert "external, local, production" in capsys.readouterr().err
    with pytest.raises(OverlayError):
        folder("no-such-overlay")


def test_a_missing_kubectl_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert deploy.main(["external"]) == deploy.FAILED
    assert "kubectl is not on the PATH" in capsys.readouterr().err


def test_a_cluster_that_does_not_answer_is_told_by_its_address_in_few_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # bound and not listening, so that it refuses
        taken.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{taken.getsockname()[1]}"
        config = {
            "clusters": [{"name": "one", "cluster": {"server": server}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
            "users": [{"name": "one", "user": {}}],
            "current-context": "one",
        }
        (tmp_path / "config").write_text(yaml.safe_dump(config), encoding="utf-8")
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
        with pytest.raises(AwayError) as told:
            Cluster()

    assert re.fullmatch(
        rf"the API server does not answer: {server}: [^:]*refused; is the cluster up, .*", str(told.value)
    )


@pytest.mark.parametrize("words", [[], ["external", "--all"], ["external", "--delete", "--rollback", "auth"]])
def test_wrong_usage_has_its_own_code(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        deploy.main(words)
    assert ended.value.code == deploy.USAGE


def test_deleting_takes_the_sources_first_and_keeps_what_holds_data(cluster: FakeCluster, things: list[Object]) -> None:
    run(cluster, things)
    old = {"name": "settings-old", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": NAMESPACE}}
    owned = old | {"name": "owned", "ownerReferences": [{"name": "auth"}]}
    cluster.put(*({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata} for metadata in (old, owned)))
    cluster.calls.clear()

    assert run(cluster, things, "--delete", "--dry-run") == deploy.DONE
    assert cluster.calls == []
    assert run(cluster, things, "--delete") == deploy.DONE

    assert cluster.calls[0] == "delete RabbitmqSource video"
    assert cluster.names("Secret") == sorted(SECRETS)
    assert cluster.names("Namespace") == [NAMESPACE]
    assert cluster.names("ConfigMap") == ["owned"]
    assert cluster.names("Service") == []


def test_deleting_all_takes_the_namespace_last(cluster: FakeCluster, things: list[Object]) -> None:
    run(cluster, things)

    assert run(cluster, things, "--delete", "--all") == deploy.DONE
    assert cluster.calls[-1] == f"delete Namespace {NAMESPACE}"


def test_what_will_not_go_is_said(cluster: FakeCluster, things: list[Object]) -> None:
    cluster.put(of(things, "ConfigMap"))
    stuck = key(of(things, "ConfigMap"))
    cluster.delete = lambda *_: None  # type: ignore[method-assign]

    with pytest.raises(ClusterError, match="ConfigMap settings is still there"):
        applying.remove(cluster, stuck, seconds=0, sleep=lambda _: None)  # type: ignore[arg-type]
