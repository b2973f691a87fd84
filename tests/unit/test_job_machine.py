"""The job record under everybody at once, against the in-memory fake."""

from tests.fakes import FakeMongo
from tests.jobmachine import run_machine


def test_whoever_comes_when_and_dies_where_every_job_comes_to_its_end() -> None:
    run_machine(FakeMongo, examples=200, steps=50)
