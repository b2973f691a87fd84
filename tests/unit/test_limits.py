"""The limits chain: settings that contradict each other stop the start and are named."""

import pytest

from functions.common.limits import LIMITS, check
from functions.common.settings import SettingsError
from functions.notify import handler as notify
from functions.upload import handler as upload


def test_a_chain_that_rises_is_fine() -> None:
    check("x", {"A": 1, "B": 2}, {"B": 2, "C": 3.5})


def test_all_that_contradicts_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        check("x", {"A": 0, "B": 5, "C": 5}, {"D": float("nan")})

    assert str(caught.value) == "x: A (0) must be above 0; B (5) must be below C (5); D (nan) must be above 0"


def test_what_is_set_in_the_code_fits_too() -> None:
    assert LIMITS["notify"].seconds > notify.RUN_SECONDS
    assert LIMITS["upload"].seconds >= upload.RUN_SECONDS
    assert {name: limits.grace_seconds for name, limits in LIMITS.items()} == {
        "auth": 5,
        "upload": 560,
        "convert": 560,
        "notify": 260,
        "download": 560,
    }
