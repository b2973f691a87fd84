"""docs/openapi.yaml put to the test by schemathesis: calls made up from it, right and wrong, one by one and in a row.

The same calls each time. CONTRACT_CASES says how many: 300 unless set, 2000 now and then by hand. Left out, because
other tests do it: bodies of many megabytes (test_refusals) and requests that are no HTTP (test_gateway_refusals).
"""

import os
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from schemathesis import Case, GenerationMode, Response

from tests import media
from tests.e2e import contract
from tests.e2e.account import PASSWORD, Account

CASES = int(os.environ.get("CONTRACT_CASES", "300"))
STEPS = 8  # of a row of calls, at most
# Generation alone, so that what fails is shown as it was sent. Calls take as long as they take.
REPEATABLE = settings(
    derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
UPLOADS, DOWNLOADS = ("createJob", "upload"), ("getMp3", "download")
MP3_PATHS = ("/v1/mp3s/{id}", "/download")
RANGES = ("bytes=0-99", "bytes=-100", "bytes=99999999-")


@pytest.fixture(autouse=True)
def _calls_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # Hypothesis also draws constants of whatever modules are imported: a test alone would make other calls than among
    # all, and the name of a video be one that is looked for in answers.
    monkeypatch.setattr(providers, "_get_local_constants", providers.Constants)
    monkeypatch.setattr(providers, "CONSTANTS_CACHE", type(providers.CONSTANTS_CACHE)(1024))


@pytest.fixture
def schema() -> Any:
    return contract.load()


@pytest.fixture
def yardstick(schema: Any, stack: Any) -> contract.Yardstick:
    places = (stack.mysql_url, stack.mongo_url, stack.rabbitmq_url, stack.smtp_url)
    return contract.Yardstick(schema, [str(stack.home), *(url.rpartition("@")[2].split("/")[0] for url in places)])


@pytest.fixture
def video() -> bytes:
    return media.make("mp4", seconds=1)


def name(case: Case) -> str:
    return str(case.operation.definition.raw["operationId"])


def carry(case: Case, video: bytes) -> None:
    """Gives an upload a body that is a video, as no generator makes one."""
    if name(case) in UPLOADS:
        case.media_type, case.body = "application/octet-stream", video


def basic(account: Account) -> str:
    return "Basic " + b64encode(f"{account.email}:{PASSWORD}".encode()).decode()


@pytest.mark.timeout(60 + CASES)
def test_no_call_gets_an_answer_that_the_document_does_not_have(
    account: Account, new_account: Callable[[], Account], schema: Any, yardstick: contract.Yardstick, video: bytes
) -> None:
    operations = [found.ok() for found in schema.get_all_operations()]
    calls = st.sampled_from(operations).flatmap(
        lambda operation: st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode])
    )
    bearer, login = f"Bearer {account.token}", basic(account)
    # Mostly those that open; else the wrong sort, somebody else's, none, forged ones and rubbish.
    openings = [bearer] * 7 + [login] * 3 + [f"Bearer {new_account().token}", None, bearer[:-4] + "AAAA"]
    openings += ["", "Bearer", "Basic", "Basic :", "Basic AAAA", "Bearer .", "Digest a=b", bearer * 20, "Bearer \xff"]
    sent = 0

    @settings(REPEATABLE, max_examples=CASES * 2 // 3)
    @given(case=calls, opening=st.sampled_from(openings), is_video=st.integers(0, 3).map(lambda n: n == 0))
    def each(case: Case, opening: str | None, is_video: bool) -> None:
        nonlocal sent
        if is_video:
            carry(case, video)
        to: dict[str, Any] = {"base_url": account.url, "timeout": 60}
        to |= {"headers": {} if opening is None else {"Authorization": opening}}
        response = case.call(**to)
        sent += 1
        yardstick.check(case, response, transport_kwargs=to, headers=to["headers"])

    each()

    assert sent >= CASES * 2 // 3
    assert {label for label, _, _ in yardstick.seen} == {operation.label for operation in operations}


class Calls:
    """An account's calls, one after the other; the ids come from earlier answers, along the document's links."""

    new_account: Callable[[], Account]
    yardstick: contract.Yardstick
    video: bytes
    recorder: Any
    sent = 0

    def setup(self) -> None:
        self.account, self.calls = self.new_account(), 0

    def before_call(self, case: Case) -> None:
        if case.meta and case.meta.generation.mode is GenerationMode.POSITIVE:
            carry(case, self.video)
            if name(case) in DOWNLOADS:
                case.headers["Range"] = RANGES[self.calls % len(RANGES)]
        self.calls += 1

    def get_call_kwargs(self, case: Case) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.account.token}"}
        return {"base_url": self.account.url, "timeout": 60, "headers": headers}

    def after_call(self, response: Response, case: Case) -> None:
        Calls.sent += 1
        self.recorder.record_response(case_id=case.id, response=response)
        # To its end, as what can be done with a job must not depend on how fast it is: each run is the same.
        if response.status_code == 202:
            self.account.ended(response.json()["id"])

    def validate_response(self, response: Response, case: Case, *_: Any, **to: Any) -> None:
        self.yardstick.check(case, response, transport_kwargs=to, recorder=self.recorder)


@pytest.mark.timeout(60 + CASES)
def test_no_call_after_another_gets_an_answer_that_the_document_does_not_have(
    new_account: Callable[[], Account], schema: Any, yardstick: contract.Yardstick, video: bytes
) -> None:
    about = {"new_account": staticmethod(new_account), "yardstick": yardstick, "video": video}
    row: Any = type("Row", (Calls, schema.as_state_machine()), about)

    row.run(settings=settings(REPEATABLE, max_examples=max(CASES // 12, 2), stateful_step_count=STEPS))

    assert Calls.sent >= CASES // 3
    reached = {(label, status) for label, status, _ in yardstick.seen}
    # What no single call gets at: the links lead from the upload to the MP3, and to its end.
    assert reached >= {("POST /v1/jobs", 202), ("GET /v1/jobs/{id}", 200), ("DELETE /v1/jobs/{id}", 204)}
    assert {status for label, status in reached if label.split()[1] in MP3_PATHS} & {200, 206}
