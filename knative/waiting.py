"""Waits until objects are ready, and notices what will never be."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from knative import pods
from knative.cluster import AwayError, Cluster, Object
from knative.objects import Key, key, kind
from knative.readiness import State, Verdict, judge

PATIENCE_SECONDS = 45  # how long something may look failed, or hopeless, before we say so: some of it heals
STEADY_SECONDS = {"RabbitmqSource": 10}  # it says ready at once, and no more when its adapter has not found the broker
PAUSE_SECONDS = 1.0

BECOMING = ("KnativeService", "RabbitmqSource", "Deployment", "StatefulSet", "Job")


@dataclass
class NotReadyError(Exception):
    """What did not become ready, as the server showed it last; `timed_out` unless something failed for good."""

    unready: list[tuple[Object, Verdict]]
    timed_out: bool


@dataclass
class _Watched:
    wanted: Key
    since: float
    verdict: Verdict = field(default_factory=lambda: Verdict(State.WAITING))
    live: Object | None = None
    done: bool = False

    def see(self, live: Object | None, of: list[Object], now: float) -> None:
        verdict = judge(live)
        if live and verdict.state is State.WAITING and any(pods.hopeless(pod) for pod in of):
            verdict = Verdict(State.FAILED, verdict.why)
        if verdict.state is not self.verdict.state:
            self.since = now
        self.verdict, self.live = verdict, live
        steady = STEADY_SECONDS.get(self.wanted.sort, 0)
        self.done = verdict.state is State.READY and now - self.since >= steady

    def lost(self, now: float) -> bool:
        long = now - self.since >= PATIENCE_SECONDS
        return self.verdict.state is State.ENDED or (self.verdict.state is State.FAILED and long)


def wait(
    cluster: Cluster,
    things: Iterable[Object],
    deadline: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when all are ready; `deadline` is on `clock`. Raises NotReadyError, and ClusterError when refused."""
    watched = [_Watched(key(thing), clock()) for thing in things if kind(thing) in BECOMING]
    while True:
        try:
            _look(cluster, [one for one in watched if not one.done], clock, say)
        except AwayError as error:
            say(str(error))
        open_ = [one for one in watched if not one.done]
        if not open_:
            return
        if lost := [one for one in open_ if one.lost(clock())]:
            raise NotReadyError(_told(lost), timed_out=False)
        if clock() >= deadline:
            raise NotReadyError(_told(open_), timed_out=True)
        sleep(PAUSE_SECONDS)


def _look(cluster: Cluster, open_: list[_Watched], clock: Callable[[], float], say: Callable[[str], None]) -> None:
    everywhere: dict[str, list[Object]] = {}
    for one in open_:
        wanted, namespace = one.wanted, one.wanted.namespace or ""
        live = cluster.get(wanted.api_version, wanted.kind, wanted.name, namespace)
        if namespace not in everywhere:
            everywhere[namespace] = cluster.list("v1", "Pod", namespace)
        one.see(live, pods.of(live, everywhere[namespace]) if live else [], clock())
        if one.done:
            say(f"{wanted} is ready")


def _told(open_: list[_Watched]) -> list[tuple[Object, Verdict]]:
    told = []
    for one in open_:
        wanted = one.wanted
        metadata = {"name": wanted.name, "namespace": wanted.namespace}
        shell = {"apiVersion": wanted.api_version, "kind": wanted.kind, "metadata": metadata, "spec": {}}
        told.append((one.live or shell, one.verdict))
    return told
