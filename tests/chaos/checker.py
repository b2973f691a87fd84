"""Compares what clients were told with what is there in the end, in the manner of Jepsen's total-queue checker.

Pure: it is given what was attempted and found, and gives rows. An upload is known by its file's name, which the storm
gives out once; a client may have tried it several times.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

RECORD_SECONDS = 6.0  # from a mail's arrival until its record is written or its write has run out of time


@dataclass(frozen=True)
class Found:
    """A job in the database when all is over. `files` counts the MP3s that name it, `whole` is what a download says."""

    job_id: str
    name: str
    state: str
    code: str | None = None
    files: int = 0
    whole: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table: `names` is what is counted; of what is `forbidden` there may be none."""

    what: str
    names: tuple[str, ...]
    forbidden: bool = False

    @property
    def broken(self) -> bool:
        """Whether the row says that a promise was not kept."""
        return self.forbidden and bool(self.names)


@dataclass
class Checker:
    """Collects; `rows` judges. Call `attempted` before the first try of an upload, `acknowledged` at each 202."""

    expected: dict[str, str] = field(default_factory=dict)  # how each upload has to end, if it is a job
    ids: dict[str, set[str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def attempted(self, name: str, expected: str) -> None:
        """An upload is about to be tried; as a job it must end in the state `expected`."""
        self.expected[name] = expected
        self.ids[name] = set()

    def acknowledged(self, name: str, job_id: str) -> None:
        """There was a 202."""
        self.ids[name].add(job_id)

    def refused_with(self, name: str, answer: str) -> None:
        """There was an answer that no outage explains."""
        self.refused.append(f"{name}: {answer}")

    def rows(
        self,
        found: Sequence[Found],
        mails: Iterable[tuple[str, float]],
        orphans: Iterable[str],
        disturbed: Sequence[tuple[float, float]],
    ) -> list[Row]:
        """The table. `mails` are (job id, time of arrival); `disturbed`: when its record may have failed."""
        answered = {name: ids for name, ids in self.ids.items() if ids}
        jobs = {job.job_id: job for job in found}
        ended = [job for job in found if job.state in ("done", "failed")]
        names = Counter(job.name for job in found)
        arrived = _by_job(mails)
        return [
            Row("attempted", tuple(self.expected)),
            Row("acknowledged", tuple(answered)),
            Row("done", _of(job for job in found if job.state == "done")),
            Row("failed with a reason", _of(job for job in found if job.state == "failed" and job.code)),
            Row("unanswered, absent", tuple(n for n in self.expected if not names[n] and n not in answered)),
            Row("lost", _lost(answered, jobs), forbidden=True),
            Row("half-done", _of(job for job in found if not _is_whole(job)), forbidden=True),
            Row("ended wrongly", _of(job for job in ended if job.state != self.expected.get(job.name)), forbidden=True),
            Row("duplicated", _duplicated(names, answered, found), forbidden=True),
            Row("unexpected", self._unexpected(found, arrived, jobs), forbidden=True),
            Row("refused", tuple(self.refused), forbidden=True),
            Row("without a mail", _of(job for job in ended if job.job_id not in arrived), forbidden=True),
            Row("mailed twice, excused", tuple(_repeated(arrived, disturbed, excused=True))),
            Row("mailed twice", tuple(_repeated(arrived, disturbed, excused=False)), forbidden=True),
            Row("orphaned", tuple(orphans), forbidden=True),
        ]

    def _unexpected(
        self, found: Sequence[Found], arrived: dict[str, list[float]], jobs: dict[str, Found]
    ) -> tuple[str, ...]:
        strangers = [job.name for job in found if job.name not in self.expected]
        return *strangers, *(f"a mail of {job_id}" for job_id in arrived if job_id not in jobs)


def _lost(answered: dict[str, set[str]], jobs: dict[str, Found]) -> tuple[str, ...]:
    return tuple(name for name, ids in answered.items() if not ids <= jobs.keys())


def _is_whole(job: Found) -> bool:
    if job.state == "done":
        return job.whole and job.files >= 1
    return job.state == "failed" and job.code is not None and job.files == 0


def _duplicated(names: Counter[str], answered: dict[str, set[str]], found: Sequence[Found]) -> tuple[str, ...]:
    several_ids = {name for name, ids in answered.items() if len(ids) > 1}
    several_files = {job.name for job in found if job.files > 1}
    return tuple(sorted(several_ids | several_files | {name for name, count in names.items() if count > 1}))


def _by_job(mails: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    arrived: dict[str, list[float]] = {}
    for job_id, time in mails:
        arrived.setdefault(job_id, []).append(time)
    return {job_id: sorted(times) for job_id, times in arrived.items()}


def _repeated(arrived: dict[str, list[float]], disturbed: Sequence[tuple[float, float]], excused: bool) -> list[str]:
    # Each mail but the last must have had a disturbance between its arrival and its record.
    return [
        job_id
        for job_id, times in arrived.items()
        if len(times) > 1 and excused == all(_is_excused(time, disturbed) for time in times[:-1])
    ]


def _is_excused(arrival: float, disturbed: Sequence[tuple[float, float]]) -> bool:
    return any(begin <= arrival + RECORD_SECONDS and end >= arrival for begin, end in disturbed)


def _of(jobs: Iterable[Found]) -> tuple[str, ...]:
    return tuple(job.name for job in jobs)
