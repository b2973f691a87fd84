"""The kill points: what is named is in the code, and ends the process as often as it should, without tidying up."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from functions.common import killpoints

ROOT = Path(__file__).parents[2]
NAMES = [f"U{n}" for n in range(1, 8)] + [f"C{n}" for n in range(1, 10)] + [f"N{n}" for n in range(1, 7)]
REACH = """
from functions.common.killpoints import reach
try:
    reach("U1")
    print("after U1", flush=True)
    reach("U2")
    print("after U2", flush=True)
finally:
    print("tidied up", flush=True)
"""


def run(**settings: str) -> tuple[int, list[str]]:
    environment = {"PYTHONPATH": str(ROOT), **settings}
    ended = subprocess.run([sys.executable, "-c", REACH], env=environment, capture_output=True, text=True)
    return ended.returncode, ended.stdout.splitlines()


def test_every_point_of_the_table_is_in_the_code_once() -> None:
    table = re.findall(r"\b[UCN][1-9]\b", killpoints.__doc__ or "")
    called = [*killpoints.UNCONFIRMED.values(), *killpoints.UNMARKED.values()]
    for path in (ROOT / "functions").rglob("*.py"):
        called += re.findall(r'\breach\("([A-Z]\d)"\)', path.read_text(encoding="utf-8"))

    assert sorted(table) == sorted(called) == sorted(NAMES)


def test_without_the_setting_nothing_is_compared() -> None:
    assert killpoints.reach is killpoints._pass


@pytest.mark.parametrize(
    ("point", "said"), [("", ["after U1", "after U2", "tidied up"]), ("C1", ["after U1", "after U2", "tidied up"])]
)
def test_other_points_are_passed(point: str, said: list[str]) -> None:
    assert run(KILL_POINT=point) == (0, said)


def test_the_point_ends_the_process_at_once() -> None:
    assert run(KILL_POINT="U2") == (137, ["after U1"])


def test_with_a_flag_it_ends_the_process_once(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()

    assert run(KILL_POINT="U2", KILL_FLAG=str(flag)) == (137, ["after U1"])
    assert not flag.exists()
    assert run(KILL_POINT="U2", KILL_FLAG=str(flag)) == (0, ["after U1", "after U2", "tidied up"])
