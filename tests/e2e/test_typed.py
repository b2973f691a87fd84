"""The lines that README and docs/api.md tell a reader to type, typed as they stand, give what is shown there."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import media

ROOT = Path(__file__).parents[2]
MARK = "__NEXT__"
API = "http://127.0.0.1:8080"
TOLD_EARLIER = f"""\
API={API}
IT='{{"email": "typist@demo.example", "password": "correct horse"}}'
curl -s $API/v1/users -H 'Content-Type: application/json' -d "$IT" >/dev/null
TOKEN=$(curl -s $API/v1/tokens -H 'Content-Type: application/json' -d "$IT" | cut -d'"' -f4)
"""


def session(page: str) -> list[tuple[str, str]]:
    """The commands under the page's mark up to its next heading, each with the output shown under it."""
    text = (ROOT / page).read_text(encoding="utf-8").split("<!-- tests/e2e/test_typed.py")[1].split("\n## ")[0]
    steps: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(\$ .*?)```", text, re.S):
        for step in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, shown = step.partition("\n")
            steps.append((command, shown.strip()))
    return steps


def pattern(shown: str) -> str:
    return ".*".join(re.escape(part.strip()) for part in shown.split("…"))


@pytest.mark.parametrize(("page", "before", "least"), [("README.md", "", 13), ("docs/api.md", TOLD_EARLIER, 3)])
def test_the_lines_give_what_is_shown(stack: Any, tmp_path: Path, page: str, before: str, least: int) -> None:
    sample = tmp_path / ".local/demo/sample.mp4"
    sample.parent.mkdir(parents=True)
    sample.write_bytes(media.make("mp4", seconds=3))
    steps = session(page)
    script = before + "\n".join(f"{command}\necho; echo {MARK}" for command, _ in steps)
    script = script.replace(API, stack.url)

    ran = subprocess.run(
        ["bash", "-e"], input=script, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert ran.returncode == 0, ran.stderr
    outputs = ran.stdout.split(MARK)
    assert len(steps) >= least
    for (command, shown), output in zip(steps, outputs, strict=False):
        assert re.fullmatch(pattern(shown), output.strip(), re.S), f"{command}\ngave\n{output}"
