"""What the load tests count, compare and write, without a cluster."""

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from loadtest import burst, client, hey, journeys, report, series, story, target
from loadtest.cluster import LABEL, count_desired, count_pods
from loadtest.recorder import Recorder

ROOT = Path(__file__).parents[2]


def pod(function: str, ready: bool = True, ending: bool = False, phase: str = "Running") -> dict[str, Any]:
    metadata = {"labels": {LABEL: function}} | ({"deletionTimestamp": "now"} if ending else {})
    conditions = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": str(ready)}]
    return {"metadata": metadata, "status": {"phase": phase, "conditions": conditions}}


def test_pods_are_counted_by_what_they_can_do() -> None:
    pods = [pod("convert"), pod("convert", ready=False), pod("convert", ending=True), pod("auth", phase="Failed")]

    counts = count_pods([*pods, pod("somebody-else")])

    assert counts["convert"] == {"ready": 1, "pending": 1, "ending": 1}
    assert counts["auth"] == {"ready": 0, "pending": 0, "ending": 0}
    assert set(counts) == {"auth", "upload", "convert", "notify", "download"}


def test_the_wishes_of_all_revisions_add_up_and_none_yet_is_none() -> None:
    scalers = [
        {"metadata": {"labels": {LABEL: "convert"}}, "status": {"desiredScale": wish}} for wish in (2, 1, -1)
    ] + [{"metadata": {"labels": {LABEL: "auth"}}}]

    assert count_desired(scalers) | {"convert": 0} == dict.fromkeys(count_desired([]), 0)
    assert count_desired(scalers)["convert"] == 3


def test_a_recording_goes_on_when_a_server_is_away(tmp_path: Path) -> None:
    def away() -> int:
        raise ConnectionError

    second = threading.Event()
    calls: list[None] = []

    def here() -> int:
        calls.append(None)
        if len(calls) == 2:
            second.set()
        return 7

    with Recorder(tmp_path / "new" / "run.jsonl", {"queues": away, "pods": here}, None):
        assert second.wait(60)

    first, *more = series.read(tmp_path / "new" / "run.jsonl")
    assert more
    assert (first["queues"], first["pods"], first["jobs"]) == (None, 7, None)


SAMPLES: list[series.Sample] = [
    {"t": 1, "pods": {"convert": {"ready": 0}}, "latency": None},
    {"t": 2, "pods": None, "latency": 0.5},
    {"t": 3, "pods": {"convert": {"ready": 2}}, "latency": 0.1, "jobs": {"done": 4}},
]


def test_what_could_not_be_read_is_a_gap_and_what_is_not_there_is_zero() -> None:
    ready = series.column(SAMPLES, "pods", "convert", "ready")

    assert ready[0] == 0
    assert math.isnan(ready[1])
    assert series.peak(ready) == 2
    assert series.reached(SAMPLES, "convert", 2) == 3
    assert math.isnan(series.reached(SAMPLES, "convert", 3))
    assert series.column(SAMPLES, "jobs", "queued")[2] == 0
    assert series.percentile(series.column(SAMPLES, "latency"), 100) == 0.5


def test_a_recording_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text('{"t": 1}\n{"t": 2}\n{"t": ')

    assert [sample["t"] for sample in series.read(tmp_path / "run.jsonl")] == [1, 2]


@pytest.mark.parametrize(("percent", "value"), [(50, 5), (95, 10), (100, 10), (10, 1), (0, 1)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert series.percentile([*range(10, 0, -1), math.nan], percent) == value
    assert math.isnan(series.percentile([], percent))


def job(number: int, state: str = "done") -> dict[str, Any]:
    mp3 = {"id": f"mp3-{number}.", "sha256": "same"} if state == "done" else None
    return {"id": f"job-{number}", "state": state, "mp3": mp3}


def mail(number: int) -> dict[str, str]:
    return {"text": f"MP3 id: mp3-{number}."}


def test_a_burst_that_went_well_has_lost_and_doubled_nothing() -> None:
    accepted = [f"job-{number}" for number in range(40)]
    end = burst.outcome(accepted, [job(number) for number in range(40)], [mail(number) for number in range(40)])

    assert (end["mp3s"], end["mails"], end["different_mp3s"], end["lost"], end["doubled"]) == (40, 40, 1, [], [])
    assert burst.passed({"count": 40, "outcome": end, "ratio": 1.6})
    assert not burst.passed({"count": 40, "outcome": end, "ratio": 1.61})


def test_a_reference_that_took_longer_than_the_whole_is_no_success() -> None:
    end = burst.outcome(["job-1"], [job(1)], [mail(1)])

    assert burst.passed({"count": 1, "outcome": end, "ratio": 1.0})
    assert not burst.passed({"count": 1, "outcome": end, "ratio": 0.85})


@pytest.mark.parametrize(
    ("jobs", "mails", "lost", "doubled"),
    [
        ([job(1), job(2, "failed")], [mail(1)], ["job-2"], []),
        ([job(1), job(2)], [mail(1)], ["job-2"], []),
        ([job(1), job(2)], [mail(1), mail(2), mail(2)], [], ["job-2"]),
        ([job(1), job(2)], [mail(1), mail(1)], ["job-2"], ["job-1"]),
        ([job(1), job(2), job(3)], [mail(1), mail(2)], [], ["job-3"]),
        ([job(1)], [mail(1)], ["job-2"], []),
    ],
)
def test_what_was_lost_or_doubled_is_named(
    jobs: list[dict[str, Any]], mails: list[dict[str, str]], lost: list[str], doubled: list[str]
) -> None:
    end = burst.outcome(["job-1", "job-2"], jobs, mails)

    assert (end["lost"], end["doubled"]) == (lost, doubled)
    assert not burst.passed({"count": 2, "outcome": end, "ratio": 1})


def test_addresses_come_from_the_environment_then_the_cluster_then_the_local_stack() -> None:
    stack = {"url": "http://local", "inbox": "http://inbox", "rabbitmq": "amqp://local"}

    assert target.find("", {}, stack) == target.Target("http://local", "http://inbox", "amqp://local")
    assert target.find("http://node", {"INBOX_URL": "http://theirs"}, stack).gateway == "http://node"
    assert target.find("http://node", {"GATEWAY_URL": "http://given"}, stack).gateway == "http://given"
    with pytest.raises(target.NoTargetError, match="INBOX_URL, RABBITMQ_URL"):
        target.find("http://node", {}, {"url": ""})


class Unwilling(BaseHTTPRequestHandler):
    """A service that takes the third try of an upload, and refuses another kind for good."""

    keys: list[str | None]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        upload = self.path.startswith("/v1/jobs")
        if upload:
            self.keys.append(self.headers["Idempotency-Key"])
        status = (415 if body == b"text" else 503 if len(self.keys) < 3 else 202) if upload else 200
        answer = json.dumps({"id": "job-1", "access_token": "token"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def account() -> Iterator[client.Account]:
    Unwilling.keys = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Unwilling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield client.Account(target.Target(f"http://127.0.0.1:{server.server_port}", "", ""))
        finally:
            server.shutdown()


def test_an_upload_is_tried_again_under_the_same_key(
    account: client.Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAUSE_SECONDS", 0.01)
    (tmp_path / "a.mp4").write_bytes(b"video")

    assert account.upload(tmp_path / "a.mp4", "key") == "job-1"
    assert Unwilling.keys == ["key"] * 3
    assert account.refused == {503: 2}


def test_an_upload_that_is_no_good_is_not_tried_again(account: client.Account, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"text")

    with pytest.raises(client.RefusedError, match="415"):
        account.upload(tmp_path / "a.mp4", "key")
    assert len(Unwilling.keys) == 1


def test_heys_answers_are_read_and_those_without_one_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "hey"
    program.write_text(
        "#!/bin/sh\necho response-time,DNS+dialup,status-code,offset\necho 0.5,0,200,0\necho 0.1,0,503,1\n"
    )
    program.chmod(0o700)
    monkeypatch.setenv("HEY", str(program))

    run = hey.hey("log-ins", 3, 1, ["http://127.0.0.1"])

    assert run.row == ["log-ins", "100 ms", "500 ms", "500 ms", "0: 1, 200: 1, 503: 1"]


def test_without_hey_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEY", "no-such-program")

    with pytest.raises(hey.MissingError, match="go install"):
        hey.program()


def test_locusts_statistics_are_told_without_their_sum() -> None:
    head = "Type,Name,Request Count,Failure Count,50%,95%,100%"

    assert journeys.rows(f"{head}\nGET,/v1/jobs,18,2,26,71,80\n,Aggregated,18,2,26,71,80\n") == [
        ["GET /v1/jobs", "18", "2", "26 ms", "71 ms", "80 ms"]
    ]


def test_a_burst_is_told_with_its_figures() -> None:
    marks = {"first_upload": 1.0, "accepted": 2.0, "converted": 101.0, "mailed": 103.0, "zero": 200.0}
    outcome = {"mp3s": 40, "mails": 39, "lost": ["x"], "doubled": []}
    result = {"count": 40, "marks": marks, "outcome": outcome, "peaks": {"convert": 2}, "refused": {503: 1}}

    text = story.told(result | {"answers": {"p50": 0.01}, "reference": 80.0, "ratio": 1.25}, SAMPLES)

    assert "40 MP3s and 39 mails for 40 jobs; 1 lost, 0 doubled." in text
    assert "Draining took 100 s" in text
    assert "a ratio of 1.25" in text
    assert "| convert at its largest scale | 2 s |" in text
    assert "Refused requests: 503: 1." in text
    assert "says nothing" not in text
    assert "says nothing" in story.told(result | {"answers": {}, "reference": 500.0, "ratio": 0.2}, SAMPLES)


def test_a_section_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- one -->\nold\n<!-- end one -->\n<!-- two -->\nkept\n<!-- end two -->\nafter\n")

    report.replace("one", "new \\1\n", page)

    assert page.read_text() == (
        "before\n<!-- one -->\nnew \\1\n<!-- end one -->\n<!-- two -->\nkept\n<!-- end two -->\nafter\n"
    )
    with pytest.raises(report.NoSectionError, match="three"):
        report.replace("three", "new", page)


@pytest.mark.parametrize("section", ["burst", "requests", "coldstart"])
def test_the_document_has_a_place_for_each_measurement(section: str) -> None:
    text = report.DOCUMENT.read_text(encoding="utf-8")

    assert text.count(f"<!-- {section} -->") == text.count(f"<!-- end {section} -->") == 1
