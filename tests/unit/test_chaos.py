"""The storm's checker: what it counts as kept, and what as broken. Its schedule: what is in each storm."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest

from tests.chaos.checker import RECORD_SECONDS, Checker, Found, Row
from tests.chaos.schedule import FROZEN, KILLED, LEAST, dealt

DONE = Found("j1", "a.mp4", "done", files=1, whole=True)
FAILED = Found("j2", "b.mp4", "failed", "no_audio")
MAILS = [("j1", 100.0), ("j2", 101.0)]


def checker() -> Checker:
    made = Checker()
    made.attempted("a.mp4", "done")
    made.acknowledged("a.mp4", "j1")
    made.attempted("b.mp4", "failed")
    made.acknowledged("b.mp4", "j2")
    made.attempted("c.mp4", "done")
    return made


def counts(rows: list[Row]) -> dict[str, int]:
    return {row.what: len(row.names) for row in rows if row.names}


def broken(rows: list[Row]) -> list[str]:
    return [row.what for row in rows if row.broken]


def test_a_storm_in_which_all_is_kept() -> None:
    rows = checker().rows([DONE, FAILED], MAILS, [], [])

    assert broken(rows) == []
    kept = {"attempted": 3, "acknowledged": 2, "done": 1, "failed with a reason": 1, "unanswered, absent": 1}
    assert counts(rows) == kept


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([FAILED], {"lost", "unexpected"}),  # its mail speaks of a job that is not there
        ([replace(DONE, state="converting", files=0), FAILED], {"half-done"}),
        ([replace(DONE, state="cancelled", files=0), FAILED], {"half-done"}),
        ([replace(DONE, whole=False), FAILED], {"half-done"}),
        ([replace(DONE, files=0), FAILED], {"half-done"}),
        ([replace(DONE, state="failed", code="corrupt", files=0), FAILED], {"ended wrongly"}),
        ([DONE, replace(FAILED, code=None)], {"half-done"}),
        ([replace(DONE, files=2), FAILED], {"duplicated"}),
        ([DONE, FAILED, replace(DONE, job_id="j3")], {"duplicated", "without a mail"}),
        ([DONE, FAILED, replace(DONE, job_id="j3", name="x")], {"ended wrongly", "unexpected", "without a mail"}),
    ],
)
def test_jobs_that_are_not_as_they_should_be(found: list[Found], says: set[str]) -> None:
    assert set(broken(checker().rows(found, MAILS, [], []))) == says


def test_an_upload_acknowledged_as_two_jobs_is_duplicated() -> None:
    made = checker()
    made.acknowledged("a.mp4", "j4")

    assert set(broken(made.rows([DONE, FAILED], MAILS, [], []))) == {"lost", "duplicated"}


def test_an_unanswered_upload_may_be_a_job_but_then_a_whole_one() -> None:
    job = Found("j5", "c.mp4", "done", files=1, whole=True)
    mails = [*MAILS, ("j5", 102.0)]

    assert broken(checker().rows([DONE, FAILED, job], mails, [], [])) == []
    assert broken(checker().rows([DONE, FAILED, replace(job, state="queued")], mails, [], [])) == ["half-done"]


def test_every_job_that_ended_has_a_mail() -> None:
    assert broken(checker().rows([DONE, FAILED], MAILS[:1], [], [])) == ["without a mail"]


@pytest.mark.parametrize(
    ("disturbed", "says"),
    [
        ([], ["mailed twice"]),
        ([(90.0, 99.9)], ["mailed twice"]),
        ([(100.0 + RECORD_SECONDS + 0.1, 120.0)], ["mailed twice"]),
        ([(90.0, 100.5)], []),
        ([(101.0, 102.0)], []),
    ],
)
def test_a_second_mail_needs_an_excuse_at_its_time(disturbed: list[tuple[float, float]], says: list[str]) -> None:
    rows = checker().rows([DONE, FAILED], [*MAILS, ("j1", 110.0)], [], disturbed)

    assert broken(rows) == says


def test_orphans_and_refusals_are_broken() -> None:
    made = checker()
    made.refused_with("c.mp4", "415")

    assert broken(made.rows([DONE, FAILED], MAILS, ["videos 1"], [])) == ["refused", "orphaned"]


def test_a_seed_fixes_the_faults() -> None:
    assert list(islice(dealt(7), 100)) == list(islice(dealt(7), 100)) != list(islice(dealt(8), 100))


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_fault_is_in_the_shortest_storm(seed: int) -> None:
    faults = list(islice(dealt(seed), LEAST))
    kinds = Counter((fault.how, fault.name, fault.outlasts_a_lease) for fault in faults)

    expected = {("kill", name, True) for name in KILLED} | {("drop the connections of", "rabbitmq", True)}
    expected |= {("freeze", name, outlasts) for name in FROZEN for outlasts in (False, True)}
    assert kinds == dict.fromkeys(expected | {("wipe", "rabbitmq", True)}, 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_broker_is_wiped_once_and_early_however_long_a_storm_lasts(seed: int) -> None:
    wipes = [place for place, fault in enumerate(islice(dealt(seed), 20 * LEAST)) if fault.how == "wipe"]

    assert len(wipes) == 1
    assert wipes[0] < LEAST / 2
