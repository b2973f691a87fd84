"""The README's own lines, typed as they stand, give what the README shows."""

import re
import subprocess
from pathlib import Path
from typing import Any

from tests import media

ROOT = Path(__file__).parents[2]
MARK = "__NEXT__"


def session() -> list[tuple[str, str]]:
    """The commands of the README's sessions, each with the output shown under it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("<!-- tests/e2e/test_readme.py")[1]
    steps: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(\$ .*?)```", text, re.S):
        for step in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, shown = step.partition("\n")
            steps.append((command, shown.strip()))
    return steps


def pattern(shown: str) -> str:
    return ".*".join(re.escape(part.strip()) for part in shown.split("…"))


def test_the_readmes_lines_give_what_it_shows(stack: Any, tmp_path: Path) -> None:
    sample = tmp_path / ".local/demo/sample.mp4"
    sample.parent.mkdir(parents=True)
    sample.write_bytes(media.make("mp4", seconds=3))
    steps = session()
    script = "\n".join(f"{command}\necho; echo {MARK}" for command, _ in steps)
    script = script.replace("http://127.0.0.1:8080", stack.url)

    ran = subprocess.run(
        ["bash", "-e"], input=script, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert ran.returncode == 0, ran.stderr
    outputs = ran.stdout.split(MARK)
    assert len(steps) >= 10
    for (command, shown), output in zip(steps, outputs, strict=False):
        assert re.fullmatch(pattern(shown), output.strip(), re.S), f"{command}\ngave\n{output}"
