"""What the cluster's API says about the functions: pods, desired scale, the gateway's port. Reads only."""

import json
import os
from collections import Counter
from typing import Any

from kubernetes import client, config

FUNCTIONS = ("auth", "upload", "convert", "notify", "download")
LABEL = "serving.knative.dev/service"
PROXY = "queue-proxy"  # Knative's own container in each pod
# Answers are taken as JSON: the client's own objects cost ten times the processor time, which the functions need.
RAW = {"_preload_content": False}
CALL_SECONDS = 10


class NoClusterError(Exception):
    """There is no cluster, or the product is not on it; the message says which."""


class Cluster:
    """The product's namespace on the cluster that KUBECONFIG names."""

    def __init__(self, namespace: str = "") -> None:
        self.namespace = namespace or os.environ.get("NAMESPACE") or "video-to-mp3"
        try:
            config.load_kube_config()
        except config.ConfigException as error:
            raise NoClusterError(f"KUBECONFIG names no cluster: {error}") from error
        self.core: Any = client.CoreV1Api()
        self.apps: Any = client.AppsV1Api()
        self.network: Any = client.NetworkingV1Api()
        self.custom: Any = client.CustomObjectsApi()

    def pods(self) -> dict[str, dict[str, int]]:
        """Of each function: how many pods are `ready`, `pending` (starting), `ending` (no longer sent requests)."""
        answer = self.core.list_namespaced_pod(
            self.namespace, label_selector=LABEL, _request_timeout=CALL_SECONDS, **RAW
        )
        return count_pods(json.loads(answer.data)["items"])

    def desired(self) -> dict[str, int]:
        """Of each function: how many pods the autoscaler wants, all its revisions together."""
        scalers = self.custom.list_namespaced_custom_object(
            "autoscaling.internal.knative.dev",
            "v1alpha1",
            self.namespace,
            "podautoscalers",
            _request_timeout=CALL_SECONDS,
        )
        return count_desired(scalers["items"])

    def gone(self, *functions: str) -> bool:
        """Whether no pod of these functions is left, not even one that ends."""
        pods = self.pods()
        return not any(sum(pods[name].values()) for name in functions or FUNCTIONS)

    def gateway(self) -> str:
        """The gateway's address on this machine, through its NodePort; empty where it has none."""
        service = self._read(self.core.read_namespaced_service, "gateway")
        ports = [port["nodePort"] for port in service["spec"]["ports"] if port.get("nodePort")]
        return f"http://127.0.0.1:{ports[0]}" if ports else ""

    def template(self, function: str) -> dict[str, Any]:
        """The pod that the function's Knative Service asks for, with its annotations."""
        service = self.custom.get_namespaced_custom_object(
            "serving.knative.dev", "v1", self.namespace, "services", function, _request_timeout=CALL_SECONDS
        )
        template: dict[str, Any] = service["spec"]["template"]
        return template

    def log(self, function: str, lines: int = 40) -> str:
        """The end of the logs of all pods that the function has now."""
        selector = f"{LABEL}={function}"
        pods = json.loads(self.core.list_namespaced_pod(self.namespace, label_selector=selector, **RAW).data)["items"]
        return "\n".join(self._log_of(pod, lines) for pod in pods)

    def _log_of(self, pod: dict[str, Any], lines: int) -> str:
        (container,) = [one["name"] for one in pod["spec"]["containers"] if one["name"] != PROXY]
        try:
            answer = self.core.read_namespaced_pod_log(
                pod["metadata"]["name"], self.namespace, container=container, tail_lines=lines, **RAW
            )
            return bytes(answer.data).decode("utf-8", "replace")
        except client.ApiException:  # it has no log before its container runs, nor after it is gone
            return ""

    def _read(self, call: Any, name: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(call(name, self.namespace, **RAW).data)
        except client.ApiException as error:
            raise NoClusterError(f"{name} is not in the namespace {self.namespace}: {error.reason}") from error
        return answer


def count_pods(pods: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """The API's pods, counted by function and by what they can do."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in FUNCTIONS}
    for pod in pods:
        function = pod["metadata"]["labels"].get(LABEL, "")
        if function in counts and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            counts[function][_state(pod)] += 1
    return {name: {state: count[state] for state in ("ready", "pending", "ending")} for name, count in counts.items()}


def _state(pod: dict[str, Any]) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "ending"
    conditions = {condition["type"]: condition["status"] for condition in pod["status"].get("conditions", [])}
    return "ready" if conditions.get("Ready") == "True" else "pending"


def count_desired(scalers: list[dict[str, Any]]) -> dict[str, int]:
    """The PodAutoscalers' wishes by function; -1 stands for none yet."""
    wishes = dict.fromkeys(FUNCTIONS, 0)
    for scaler in scalers:
        function = scaler["metadata"].get("labels", {}).get(LABEL, "")
        if function in wishes:
            wishes[function] += max(0, scaler.get("status", {}).get("desiredScale", 0))
    return wishes
