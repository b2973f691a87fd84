"""Removes what an overlay made, its sources first, so that messages wait in their queues."""

from collections.abc import Callable

from knative.applying import remove
from knative.cluster import Cluster, Object
from knative.objects import PART_OF, Key, in_order, key

KEPT = ("Namespace", "Secret", "PersistentVolumeClaim")  # what holds data; they go with the namespace, if that is asked


def doomed(cluster: Cluster, things: list[Object], namespace: str) -> list[Key]:
    """What is to be removed, in order: the overlay's objects, and those that an earlier form of it left behind.

    The latter are told by their label; what another object owns goes with its owner.
    """
    wanted = [key(thing) for thing in reversed(in_order(things)) if thing["kind"] not in KEPT]
    left: list[Key] = []
    for api_version, kind in dict.fromkeys((name.api_version, name.kind) for name in wanted):
        for live in cluster.list(api_version, kind, namespace, PART_OF):
            if not live["metadata"].get("ownerReferences"):
                left.append(key(live))
    present = [name for name in wanted if cluster.get(name.api_version, name.kind, name.name, name.namespace)]
    return [*present, *(name for name in left if name not in present)]


def delete(
    cluster: Cluster, things: list[Object], namespace: str, everything: bool, dry_run: bool, say: Callable[[str], None]
) -> None:
    """Removes them, with `everything` the namespace too, and so its volumes and secrets. Raises ClusterError."""
    word = "would be removed" if dry_run else "removed"
    for name in doomed(cluster, things, namespace):
        if not dry_run:
            remove(cluster, name)
        say(f"{name}: {word}")
    if not everything:
        say(f"The volumes and secrets of the namespace {namespace} stay; --delete --all removes them too.")
        return
    whole = Key("v1", "Namespace", namespace, None)
    if not dry_run:
        remove(cluster, whole, seconds=900)  # a pod has up to 600 s for what it has begun
    say(f"namespace {namespace}, with volumes and secrets: {word}")
