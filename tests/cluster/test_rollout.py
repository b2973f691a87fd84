"""A new revision of each function while clients are at work: nobody notices."""

from collections.abc import Callable

import requests

from tests.cluster import load
from tests.cluster.conftest import Stage
from tests.cluster.site import FUNCTIONS, Site
from tests.e2e.account import PASSWORD, Account, until


def test_a_roll_out_of_every_function_under_load_fails_no_request(
    cluster: Site, new_account: Callable[[], Account], clip: bytes, stage: Stage
) -> None:
    account, watcher = new_account(), new_account()
    credentials = {"email": watcher.email, "password": PASSWORD}
    uploaded: list[str] = []
    calls = [
        lambda: watcher.call("POST", "/v1/tokens", json=credentials),
        lambda: watcher.call("GET", "/v1/jobs"),
        lambda: uploads(account, clip, uploaded),
    ]

    with load.under(calls) as answers:
        until(lambda: answers.good() > 10, 300, "the load is answered")
        with stage("roll-out of all five under load"):
            for name in FUNCTIONS:
                before = answers.good()
                cluster.roll_out(name)
                until(lambda before=before: answers.good() > before + 5, 300, f"answers after the roll-out of {name}")

    assert set(answers.of()) <= {"200", "202"}, answers.of()
    for job_id in uploaded:
        assert account.ended(job_id, 900)["state"] == "done"
    assert len({mail["message_id"] for mail in account.mails(len(uploaded), 900)}) == len(uploaded)


def uploads(account: Account, clip: bytes, uploaded: list[str]) -> requests.Response:
    answer = account.call("POST", "/v1/jobs", files={"file": ("clip.mp4", clip)})
    if answer.status_code == 202:
        uploaded.append(answer.json()["id"])
    return answer
