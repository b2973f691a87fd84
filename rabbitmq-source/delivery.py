"""Calling a function: which answer means what, and how often the call is repeated."""

from collections.abc import Callable

import requests
from conversion import Call

NO_ANSWER = 0
TIMED_OUT = 504
RETRIED = {NO_ANSWER, 404, 413, 425, 429, 502, 503, TIMED_OUT}


def accepted(status: int) -> bool:
    """The function has taken the event over: the message is acknowledged. Otherwise it is rejected."""
    return 200 <= status < 300


def post(call: Call, sink: str, timeout: float) -> int:
    """Calls the function once: its status, TIMED_OUT after `timeout` seconds, NO_ANSWER when the connection failed."""
    # A session a call: a kept connection that the function closes meanwhile would look like a failure.
    with requests.Session() as session:
        session.trust_env = False
        try:
            response = session.post(
                sink, data=call.body, headers=call.headers, timeout=timeout, allow_redirects=False, stream=True
            )
        except requests.ReadTimeout:
            return TIMED_OUT
        except requests.RequestException:
            return NO_ANSWER
        response.close()
        return response.status_code


def deliver(call: Callable[[], int], retries: int, backoff: float, pause: Callable[[float], bool]) -> tuple[int, int]:
    """Calls until an answer is not worth retrying, after backoff, 2 backoff, ...: the last status and the calls made.

    `pause` waits so many seconds and says whether to stop instead of calling again.
    """
    status, attempts = call(), 1
    while status in RETRIED and attempts <= retries and not pause(attempts * backoff):
        status, attempts = call(), attempts + 1
    return status, attempts
