"""The Kubernetes API as the programs of this folder use it: plain dictionaries in and out.

The only module that knows the client library, so that tests can put a cluster of recorded objects in its place.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError

Object = dict[str, Any]

_config: Any = config  # these two have no annotations
_Dynamic: Any = DynamicClient

MANAGER = "video-to-mp3"  # the name under which the server keeps which fields are ours
REQUEST_SECONDS = 30
RETRIED = (409, 429, 500, 503, 504)  # a webhook that has just started refuses calls for a moment
RETRIES = 5
PAUSE_SECONDS = 2.0
_NO_LOG = "unable to retrieve container logs"  # is answered as if it were a log


class ClusterError(Exception):
    """The cluster refused something; the message says what, `status` is HTTP's."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def immutable(self) -> bool:
        """Whether it refused to change what cannot be changed, only made anew."""
        return self.status in (400, 403, 422) and "immutable" in str(self).lower()


class AwayError(ClusterError):
    """The API server does not answer."""


class Cluster:
    """The cluster that KUBECONFIG names (or ~/.kube/config). Every call raises ClusterError."""

    def __init__(self) -> None:
        try:
            _config.load_kube_config()
        except (config.ConfigException, OSError) as error:
            raise ClusterError(
                f"no cluster is chosen: {str(error).rstrip('.')}; KUBECONFIG names the file that says which"
            ) from error
        self._core = client.CoreV1Api()
        self._dynamic: Any = _asked(lambda: _Dynamic(client.ApiClient()))

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object as it is now, or None."""
        resource = self._resource(api_version, kind)
        try:
            found = _asked(lambda: resource.get(name=name, namespace=namespace, _request_timeout=REQUEST_SECONDS))
            return _plain(found)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def list(self, api_version: str, kind: str, namespace: str, selector: str = "") -> list[Object]:
        """All objects of a kind in a namespace that have the labels of `selector`."""
        resource = self._resource(api_version, kind)
        found = _asked(
            lambda: resource.get(namespace=namespace, label_selector=selector, _request_timeout=REQUEST_SECONDS)
        )
        return [{"apiVersion": api_version, "kind": kind} | item for item in _plain(found)["items"]]

    def apply(self, wanted: Object, dry_run: bool = False, manager: str = MANAGER) -> Object:
        """Server-side apply: makes or changes the object and answers how it is then. A dry run changes nothing."""
        resource = self._resource(wanted["apiVersion"], wanted["kind"])
        options = {"dry_run": "All"} if dry_run else {}
        return _plain(
            _asked(
                lambda: resource.server_side_apply(
                    body=wanted,
                    namespace=wanted["metadata"].get("namespace"),
                    field_manager=manager,
                    force_conflicts=True,
                    _request_timeout=REQUEST_SECONDS,
                    **options,
                ),
                retried=RETRIED,
            )
        )

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
        """Begins to remove an object and what belongs to it; that it is not there is no error."""
        resource = self._resource(api_version, kind)
        try:
            _asked(
                lambda: resource.delete(
                    name=name,
                    namespace=namespace,
                    propagation_policy="Background",
                    _request_timeout=REQUEST_SECONDS,
                )
            )
        except ClusterError as error:
            if error.status != 404:
                raise

    def log(self, pod: str, namespace: str, container: str, lines: int, previous: bool = False) -> str:
        """The last lines that a container wrote; empty when there are none. `previous`: before its last restart."""
        try:
            text = _asked(
                lambda: self._core.read_namespaced_pod_log(
                    pod,
                    namespace,
                    container=container,
                    tail_lines=lines,
                    previous=previous,
                    _request_timeout=REQUEST_SECONDS,
                )
            )
        except ClusterError:  # not started yet, or gone meanwhile
            return ""
        return "" if str(text).startswith(_NO_LOG) else str(text or "")

    def _resource(self, api_version: str, kind: str) -> Any:
        try:
            return _asked(lambda: self._dynamic.resources.get(api_version=api_version, kind=kind))
        except ResourceNotFoundError as error:
            raise ClusterError(f"the cluster knows no {kind} ({api_version}); install what brings it") from error


def _plain(answer: Any) -> Object:
    plain: Object = answer.to_dict()
    return plain


def _asked(call: Callable[[], Any], retried: tuple[int, ...] = ()) -> Any:
    for attempt in range(RETRIES):
        try:
            return call()
        except ApiException as error:
            if error.status not in retried or attempt == RETRIES - 1:
                raise ClusterError(_message(error), error.status or 0) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise AwayError(f"the API server does not answer: {_cause(error)}") from error
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("the last attempt returns or raises")


def _cause(error: Exception) -> str:
    # urllib3 wraps what happened into what it was doing, with the whole address at each step.
    host = client.Configuration.get_default_copy().host
    reason = getattr(error, "reason", None) or error
    return f"{host}: {str(reason).rpartition(': ')[2]}; is the cluster up, and is KUBECONFIG its file?"


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error.status} {error.reason}"
