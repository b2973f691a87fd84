"""The product on the cluster that KUBECONFIG names, with its backing services on this machine: made, asked, removed."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knative.cluster import Cluster
from local import ports, rabbitmq, state
from local.process import ROOT
from tests.cluster import overlay
from tests.cluster.overlay import NAMESPACE
from tests.e2e.account import until

Object = dict[str, Any]
FUNCTIONS = ("auth", "upload", "convert", "notify", "download")
KNATIVE = "knative-serving"
SERVING = "serving.knative.dev/v1"
OURS = {"video-to-mp3.example/made-by": "tests"}  # a namespace with this note may be removed by the tests
STEP_SECONDS = 1800  # all eight images from nothing, on a slow machine
ZERO_SECONDS = 600
RETRY_DELAY_MS = "5000"
BASE = "docker.io/library/python:3.13-slim"


class Site:
    """All that the tests made. `url` is the gateway, `inbox_url` the inbox, both on this machine."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.overlay = home / "overlay"
        self.api = Cluster()
        self.settings: dict[str, str] = {}
        self.url = self.inbox_url = ""

    def foreign(self) -> bool:
        """Whether the namespace is there and not left by earlier tests."""
        namespace = self.api.get("v1", "Namespace", NAMESPACE)
        return bool(namespace) and not OURS.items() <= (namespace["metadata"].get("annotations") or {}).items()

    def make(self) -> None:
        """From nothing, or from what KEEP=1 left, to a product that is ready."""
        self._start_backing()
        if not self.api.get("v1", "Namespace", NAMESPACE):
            noted = {"name": NAMESPACE, "annotations": OURS}
            self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": noted}, manager="tests")
        overlay.write(self.overlay, self.settings)
        run(sys.executable, "-m", "knative.images", "build", **_building())
        run(
            sys.executable,
            "-m",
            "knative.secrets",
            str(self.overlay),
            KEYS=str(self.home / "keys"),
            **overlay.inside(self.settings),
        )
        self.deploy()
        service = self.get("v1", "Service", "gateway")
        self.url = f"http://127.0.0.1:{service['spec']['ports'][0]['nodePort']}"

    def _start_backing(self) -> None:
        environment = {"LOCAL_HOME": str(self.home), "LISTEN": _host(self.api), "RETRY_DELAY_MS": RETRY_DELAY_MS}
        own = dict.fromkeys(overlay.SERVICES, "")  # a server of somebody else's has an address that no pod may reach
        self.settings = json.loads(run(sys.executable, "-m", "local", "backing", "--json", **environment, **own))
        self.inbox_url = self.settings["INBOX_URL"]

    def deploy(self) -> str:
        """Deploys the overlay, and says what that printed."""
        return run(sys.executable, "-m", "knative.deploy", str(self.overlay))

    def remove(self) -> None:
        """Takes away whatever is there, and returns when it is gone."""
        self.api.delete("v1", "Namespace", NAMESPACE)
        until(lambda: self.api.get("v1", "Namespace", NAMESPACE) is None, ZERO_SECONDS * 2, "the namespace is gone")
        run(sys.executable, "-m", "local", "down", LOCAL_HOME=str(self.home))
        shutil.rmtree(self.home, ignore_errors=True)

    def get(self, api_version: str, kind: str, name: str) -> Object:
        """One object of the namespace, which must be there."""
        found = self.api.get(api_version, kind, name, NAMESPACE)
        assert found, f"there is no {kind} {name}"
        return found

    def pods(self, function: str) -> list[Object]:
        """A function's pods, those that are ending among them."""
        return self.api.list("v1", "Pod", NAMESPACE, f"serving.knative.dev/service={function}")

    def source_pods(self, name: str) -> list[Object]:
        """The pods of a RabbitmqSource."""
        return self.api.list("v1", "Pod", NAMESPACE, f"eventing.knative.dev/SourceName={name}")

    def delete_pods(self, pods: list[Object]) -> list[str]:
        """Begins to end these pods; their names."""
        names = [str(pod["metadata"]["name"]) for pod in pods]
        for pod in pods:
            self.api.delete("v1", "Pod", pod["metadata"]["name"], pod["metadata"]["namespace"])
        return names

    def replace_activator(self) -> None:
        """Deletes the pods of Knative's activator, and waits for another one."""
        gone = self.delete_pods(self.api.list("v1", "Pod", KNATIVE, "app=activator"))
        until(lambda: self._activators() - set(gone), ZERO_SECONDS, "another activator is ready")

    def _activators(self) -> set[str]:
        pods = self.api.list("v1", "Pod", KNATIVE, "app=activator")
        return {str(pod["metadata"]["name"]) for pod in pods if is_ready(pod)}

    def await_zero(self, *functions: str) -> None:
        """Waits until these functions, or all five, have no pod at all."""
        for function in functions or FUNCTIONS:
            until(lambda name=function: not self.pods(name), ZERO_SECONDS, f"{function} is at zero")

    def ready(self, function: str) -> bool:
        """Whether a function's Knative Service is ready as it was last changed."""
        service = self.get(SERVING, "Service", function)
        current = service.get("status", {}).get("observedGeneration") == service["metadata"]["generation"]
        return current and is_ready(service)

    def roll_out(self, function: str) -> None:
        """Makes a new revision of a function and waits until all traffic goes there."""
        note = {"annotations": {f"{NAMESPACE}.example/rolled-out": str(time.time())}}
        self._change(function, "merge", {"spec": {"template": {"metadata": note}}})

    def limit_cores(self, function: str, cores: float) -> None:
        """Gives each pod of a function at most so much of a core, and waits until all traffic goes to such pods."""
        path = "/spec/template/spec/containers/0/resources/limits/cpu"
        self._change(function, "json", [{"op": "replace", "path": path, "value": str(cores)}])

    def _change(self, function: str, sort: str, patch: Any) -> None:
        before = self.get(SERVING, "Service", function)["status"]["latestReadyRevisionName"]
        words = (f"--type={sort}", f"--patch={json.dumps(patch)}")
        run("kubectl", "-n", NAMESPACE, "patch", "ksvc", function, *words)
        until(lambda: self._traffic(function) not in (None, before), ZERO_SECONDS, f"the roll-out of {function}")

    def _traffic(self, function: str) -> str | None:
        # The revision that takes all of it, once that is so.
        status = self.get(SERVING, "Service", function)["status"]
        (target,) = status["traffic"]
        newest = status["latestCreatedRevisionName"] == target["revisionName"]
        return str(target["revisionName"]) if newest and self.ready(function) else None

    def depths(self) -> dict[str, int]:
        """How many messages wait in each queue."""
        return rabbitmq.depths(self.settings["RABBITMQ_URL"])

    def restart(self, child: str) -> None:
        """Kills one of the backing services, which its supervisor starts again."""
        (found,) = [about for about in state.read(self.home)["children"] if about["name"] == child]
        os.killpg(found["pid"], signal.SIGKILL)


def is_ready(thing: Object) -> bool:
    """Whether the object's condition Ready is true."""
    conditions = thing.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def run(*command: str, **environment: str) -> str:
    """What a program printed. An assertion with all of it when it fails."""
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    seconds = time.monotonic() - started
    assert done.returncode == 0, (
        f"{shlex.join(command)}: {done.returncode} after {seconds:.0f} s\n{done.stdout}{done.stderr}"
    )
    return done.stdout


def _building() -> Mapping[str, str]:
    # The test cluster's program says how images are built on its machine, and loads them. Else it is up to who calls.
    program = os.environ.get("CLUSTER")
    if not program:
        return {}
    (line,) = [line for line in run(program, "base-image").splitlines() if "buildah bud " in line]
    flags = line.partition("buildah bud ")[2].partition(" -t ")[0]
    # Its Python image is the only one that is there; it is a Debian too, and so does for the gateway.
    return {"LOAD": f"{program} load", "BUILD_FLAGS": f"{flags} --build-arg BASE={BASE}"}


def _host(api: Cluster) -> str:
    """The address of this machine that pods reach: BACKING_HOST, else the node's own."""
    if host := os.environ.get("BACKING_HOST"):
        return host
    for node in api.list("v1", "Node", ""):
        for about in node["status"]["addresses"]:
            if about["type"] == "InternalIP" and ports.ours(about["address"]):
                return str(about["address"])
    raise AssertionError("BACKING_HOST is to be set: an address of this machine that the cluster's pods reach")
