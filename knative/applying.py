"""Brings one object to what the overlay says, also where the cluster would rather have it made anew."""

import time
from collections.abc import Callable
from enum import Enum

from knative.cluster import Cluster, ClusterError, Object
from knative.objects import Key, key, kind
from knative.readiness import State, judge

GONE_SECONDS = 90
PAUSE_SECONDS = 0.5

# What the server adds to every object by itself.
_SERVERS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")


class Outcome(Enum):
    """What became of an object."""

    MADE = "made"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    MADE_ANEW = "made anew"


def apply(cluster: Cluster, wanted: Object, dry_run: bool = False) -> Outcome:
    """Applies one object; on a dry run says what would become of it. Raises ClusterError.

    A job cannot be changed: one that differs, or that failed, is removed and made again. Nor can a source. No message
    is lost by that: what its adapter has in hand as it ends, it rejects, and the queue's dead-letter exchange brings
    that back after a minute; the job's lease makes a run that is still under way and the second call do the work once.
    """
    name = key(wanted)
    live = cluster.get(name.api_version, name.kind, name.name, name.namespace)
    if live and kind(live) == "Job" and judge(live).state is State.ENDED:
        return _anew(cluster, wanted, dry_run)
    try:
        result = cluster.apply(wanted, dry_run)
    except ClusterError as error:
        if live and error.immutable and kind(wanted) in ("Job", "RabbitmqSource"):
            return _anew(cluster, wanted, dry_run)
        raise
    if live is None:
        return Outcome.MADE
    return Outcome.UNCHANGED if _substance(live) == _substance(result) else Outcome.CHANGED


def remove(
    cluster: Cluster, name: Key, seconds: float = GONE_SECONDS, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Removes an object, and returns when it is gone. Raises ClusterError, also when `seconds` were not enough."""
    cluster.delete(name.api_version, name.kind, name.name, name.namespace)
    until = time.monotonic() + seconds
    while cluster.get(name.api_version, name.kind, name.name, name.namespace):
        if time.monotonic() > until:
            raise ClusterError(f"{name} is still there {seconds:.0f} s after it was removed; something holds it")
        sleep(PAUSE_SECONDS)


def _anew(cluster: Cluster, wanted: Object, dry_run: bool) -> Outcome:
    if not dry_run:
        remove(cluster, key(wanted))
        cluster.apply(wanted)
    return Outcome.MADE_ANEW


def _substance(thing: Object) -> Object:
    metadata = {name: value for name, value in thing["metadata"].items() if name not in _SERVERS}
    return {name: value for name, value in thing.items() if name != "status"} | {"metadata": metadata}
