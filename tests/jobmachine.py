"""Everybody at once on the job records: uploads, workers, the owner and the janitor, with crashes, freezes and outages.

tests/jobworld.py has what they do, tests/jobactor.py how they take turns, tests/joblaws.py what must hold after each
operation.
"""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from functions.common.files import MP3S, VIDEOS
from functions.common.jobrecord import TERMINAL
from functions.janitor import rounds
from tests.jobactor import Actor
from tests.joblaws import Laws
from tests.jobworld import DATA, World

MOST = {"upload": 2, "convert": 2, "notify": 2, "owner": 1, "janitor": 2}
QUIET_ROUNDS = 40
PICK = strategies.integers(0, 11)
BEGUN = strategies.sampled_from([0, 2, 3, 5])  # operations of who has just come: the second one takes the job


def run_machine(fresh: Callable[[], Any], examples: int, steps: int) -> None:
    """Lets the machine loose on an empty database each time; JOB_MACHINE=examples seeks anew in place of CI's ones."""
    wanted = os.environ.get("JOB_MACHINE")
    chosen = settings(
        max_examples=int(wanted or examples),
        stateful_step_count=2 * steps if wanted else steps,
        derandomize=not wanted,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # a failure is printed as found: shrinking takes minutes
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: JobMachine(fresh()), settings=chosen)


class JobMachine(RuleBasedStateMachine):
    """`mongo` is an empty database. Ends by letting time pass until all is quiet."""

    def __init__(self, mongo: Any) -> None:
        super().__init__()
        self.world = World(mongo)
        self.laws = Laws(self.world)

    def _start(self, kind: str, work: Any, operations: int = 0) -> None:
        if sum(actor.kind == kind and not actor.finished for actor in self.world.actors) < MOST[kind]:
            self.world.start(kind, work)
            self._advance(-1, operations)

    def _job(self, pick: int) -> str:
        jobs = list(self.world.mongo.database["jobs"].find({}, {"_id": 1}, sort=[("created", 1)]))
        return str(jobs[pick % len(jobs)]["_id"]) if jobs else "none"

    def _advance(self, pick: int, operations: int, fault: str = "") -> None:
        living = [actor for actor in self.world.actors if not actor.finished]
        if not living:
            return
        actor = living[pick % len(living)]
        for number in range(operations, 0, -1):
            if actor.finished:
                return
            actor.step(fault if number == 1 else "")
            self.laws.look(actor)

    # -- who comes ---------------------------------------------------------------------------------------------

    @initialize(far=strategies.sampled_from(["", "queued", "done"]))
    def a_job_that_has_come_so_far(self, far: str) -> None:
        """Or what comes late in a job's life would hardly ever be seen."""
        if far:
            self._start("upload", self.world.upload("k", True), 1000)
        if far == "done":
            self._start("convert", self.world.convert(self._job(0)), 1000)

    @rule(
        key=strategies.sampled_from([None, "k"]), whole=strategies.sampled_from([True, True, True, False]), begun=BEGUN
    )
    def upload(self, key: str | None, whole: bool, begun: int) -> None:
        self._start("upload", self.world.upload(key, whole), begun)

    @rule(
        pick=PICK,
        ending=strategies.sampled_from(["done", "done", "done", "corrupt", "back"]),
        days=strategies.sampled_from([7, 60]),
        begun=BEGUN,
    )
    def convert(self, pick: int, ending: str, days: int, begun: int) -> None:
        self._start("convert", self.world.convert(self._job(pick), ending, days), begun)

    @rule(pick=PICK, ending=strategies.sampled_from(["sent", "sent", "away", "back", "refused"]), begun=BEGUN)
    def notify(self, pick: int, ending: str, begun: int) -> None:
        self._start("notify", self.world.notify(self._job(pick), ending), begun)

    @rule(pick=PICK, act=strategies.sampled_from(["cancel", "expire"]))
    def owner(self, pick: int, act: str) -> None:
        self._start("owner", self.world.owner(self._job(pick), act))

    @rule()
    def janitor(self) -> None:
        self._start("janitor", self.world.janitor)

    # -- how it goes -------------------------------------------------------------------------------------------

    @rule(pick=PICK, operations=strategies.sampled_from([1, 2, 3, 5, 8]))
    def advance(self, pick: int, operations: int) -> None:
        self._advance(pick, operations)

    @rule(pick=PICK)
    def finish(self, pick: int) -> None:
        self._advance(pick, 1000)

    @rule(
        pick=PICK,
        operations=strategies.integers(1, 8),
        fault=strategies.sampled_from(["crash", "silent", "away"]),
    )
    def fail(self, pick: int, operations: int, fault: str) -> None:
        self._advance(pick, operations, fault)

    @rule(seconds=strategies.sampled_from([1, 61, 61, 16 * 60, 31 * 60, 31 * 60, 8 * 86_400, 31 * 86_400]))
    def jump(self, seconds: int) -> None:
        self.world.clock.forward(seconds)

    @rule(kind=strategies.sampled_from(["convert", "notify"]), operations=strategies.integers(2, 4))
    def overtake(self, kind: str, operations: int) -> None:
        """A run is frozen for longer than its lease, and another one gets its job."""
        frozen = [actor for actor in self.world.actors if actor.kind == kind and not actor.finished and actor.run]
        if len(frozen) == 1 and frozen[0].run:
            self.world.clock.forward(61)
            work = self.world.convert if kind == "convert" else self.world.notify
            self.world.start(kind, work(frozen[0].run.job_id))
            self._advance(-1, operations)
            self._thaw(frozen[0])

    def _thaw(self, actor: Actor) -> None:
        self._advance([actor for actor in self.world.actors if not actor.finished].index(actor), 3)

    @rule(picks=strategies.lists(PICK, min_size=1, max_size=3), operations=strategies.integers(1, 5))
    def outage(self, picks: list[int], operations: int) -> None:
        """Database and broker are away for a while, and some notice."""
        self.world.down = True
        for pick in picks:
            self._advance(pick, operations)
        self.world.down = False

    # -- how it ends -------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self._settle()
        finally:
            for actor in self.world.actors:
                actor.end()

    def _settle(self) -> None:
        self._finish_all()
        self.world.published.clear()  # the broker's data may be lost
        for _ in range(QUIET_ROUNDS):
            for seconds in (31 * 60, 61):
                self.world.clock.forward(seconds)
                self._round()
            if self._quiet():
                break
        self._all_is_well()

    def _finish_all(self) -> None:
        while any(not actor.finished for actor in self.world.actors):
            for pick in range(len(self.world.actors)):
                self._advance(pick, 1)

    def _round(self) -> None:
        self.world.start("janitor", self.world.janitor)
        self._finish_all()
        coming, self.world.published = self.world.published, []
        for queue, job_id in coming:
            work = self.world.convert if queue == "video" else self.world.notify
            self.world.start(queue, work(job_id))
        self._finish_all()

    def _quiet(self) -> bool:
        return all(
            (
                job["state"] in TERMINAL
                and not job["litter"]
                and not job.get("discarded")
                and job.get("mail", {}).get("state") not in ("pending", "sending")
            )
            or (job["state"] == "expired" and not job["litter"])
            for job in self.laws.look().values()
        )

    def _all_is_well(self) -> None:
        self.world.start("orphans", lambda actor: self._orphans())
        self._finish_all()
        jobs = self.laws.look()
        assert self._quiet(), "it does not come to rest"
        for job in jobs.values():
            assert job["state"] != "failed" or job["error"]["code"] in ("corrupt", "timeout", "gave_up")
            assert job.get("mail", {}).get("state") != "sent" or self.world.mails[job["_id"]]
        kept = {job["mp3"]["file_id"] for job in jobs.values() if job["state"] == "done"}
        for name, wanted in ((VIDEOS, set()), (MP3S, kept)):
            assert self.laws.stored(name).keys() == wanted, f"{name}: left over or lost"
        for job_id in self.world.acknowledged:
            gone = job_id not in jobs and job_id in self.laws.forgotten
            assert gone or jobs[job_id]["state"] in TERMINAL, "an acknowledged upload is lost"
        self.world.start("reader", lambda actor: self._read(kept))
        self._finish_all()

    def _orphans(self) -> None:
        rounds.remove_orphans(self.world.jobs, self.world.buckets, -5)

    def _read(self, kept: set[Any]) -> None:
        for file_id in kept:
            assert b"".join(self.world.buckets[MP3S].read(file_id, len(DATA), 0, len(DATA))) == DATA
