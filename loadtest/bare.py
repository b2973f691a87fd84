"""The reference for cold starts: a function's own image and settings as a plain Deployment, without Knative.

Its objects are called `bare-NAME`, live in the product's namespace and are removed at the end. They have no probes, so
that no wait for one is in the reference: the caller tries until it is answered.
"""

import json
from typing import Any, Self
from urllib.parse import urlsplit

from kubernetes import client

from loadtest.cluster import RAW, Cluster

PORT = 8080
KEPT = ("serviceAccountName", "automountServiceAccountToken", "enableServiceLinks", "volumes", "imagePullSecrets")
# What Knative reads, or a plain pod has no use for.
DROPPED = ("readinessProbe", "livenessProbe", "startupProbe", "ports", "name")
LABEL = "video-to-mp3.example/bare"


class Bare:
    """Deployments of these functions, at zero at first; made and removed by the `with` block."""

    def __init__(self, cluster: Cluster, functions: tuple[str, ...]) -> None:
        self._cluster = cluster
        self._functions = functions
        self._addresses: dict[str, str] = {}

    def address(self, function: str) -> str:
        """Where the function answers once it runs."""
        return self._addresses[function]

    def scale(self, function: str, pods: int) -> None:
        """Asks for so many pods and returns at once."""
        self._cluster.apps.patch_namespaced_deployment_scale(
            f"bare-{function}", self._cluster.namespace, {"spec": {"replicas": pods}}, **RAW
        )

    def gone(self) -> bool:
        """Whether no pod of any of them is left."""
        pods = self._cluster.core.list_namespaced_pod(self._cluster.namespace, label_selector=LABEL, **RAW)
        return not json.loads(pods.data)["items"]

    def __enter__(self) -> Self:
        self._remove()  # what a run that was killed left
        try:
            for function in self._functions:
                self._make(function)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _make(self, function: str) -> None:
        space = self._cluster.namespace
        self._cluster.apps.create_namespaced_deployment(space, deployment(function, self._cluster.template(function)))
        service = self._cluster.core.create_namespaced_service(space, _service(function), **RAW)
        (port,) = json.loads(service.data)["spec"]["ports"]
        host = urlsplit(self._cluster.gateway()).hostname or "127.0.0.1"
        self._addresses[function] = f"http://{host}:{port['nodePort']}"
        self._cluster.network.create_namespaced_network_policy(space, _policy(function), **RAW)

    def _remove(self) -> None:
        space = self._cluster.namespace
        for function in self._functions:
            for delete in (
                self._cluster.apps.delete_namespaced_deployment,
                self._cluster.core.delete_namespaced_service,
                self._cluster.network.delete_namespaced_network_policy,
            ):
                try:
                    delete(f"bare-{function}", space)
                except client.ApiException as error:
                    if error.status != 404:
                        raise


def deployment(function: str, template: dict[str, Any]) -> dict[str, Any]:
    """The Deployment of the pod that a Knative Service's `template` asks for."""
    wanted = template["spec"]
    (container,) = wanted["containers"]
    kept = {name: value for name, value in container.items() if name not in DROPPED}
    kept["env"] = [*container.get("env", []), {"name": "PORT", "value": str(PORT)}]
    pod = {name: wanted[name] for name in KEPT if name in wanted}
    pod |= {"terminationGracePeriodSeconds": 1, "containers": [{"name": "function", **kept}]}
    # The function's labels as well: its network policy lets it reach its databases.
    labels = {**template["metadata"].get("labels", {}), LABEL: function}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"bare-{function}"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {LABEL: function}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _service(function: str) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": PORT}]
    spec = {"type": "NodePort", "selector": {LABEL: function}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"bare-{function}"}, "spec": spec}


def _policy(function: str) -> dict[str, Any]:
    # Where policies are enforced, nothing from outside would reach it.
    spec = {"podSelector": {"matchLabels": {LABEL: function}}, "ingress": [{"ports": [{"port": PORT}]}]}
    metadata = {"name": f"bare-{function}"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
