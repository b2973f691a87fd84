"""The rules that keep the structure true: who may import whom, and that documents say what is there."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = ("auth", "upload", "convert", "notify", "download")
PROGRAMS = (*FUNCTIONS, "janitor", "migrate")
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.split("\n")
SOURCES = [ROOT / name for name in TRACKED if name.endswith(".py") and (ROOT / name).exists()]


def imports(path: Path) -> set[str]:
    """The full names of the modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def inside(folder: str) -> list[Path]:
    return [path for path in SOURCES if path.is_relative_to(ROOT / folder)]


def test_common_imports_no_function() -> None:
    for path in inside("functions/common"):
        for program in PROGRAMS:
            assert not any(name.startswith(f"functions.{program}") for name in imports(path)), path


@pytest.mark.parametrize("program", PROGRAMS)
def test_functions_import_only_themselves_and_common(program: str) -> None:
    for path in inside(f"functions/{program}"):
        ours = {name.split(".")[1] for name in imports(path) if name.startswith("functions.")}
        assert ours <= {program, "common"}, path


@pytest.mark.parametrize("folder", ["rabbitmq-source", "local", "gateway", "knative"])
def test_what_runs_the_functions_imports_none_of_them(folder: str) -> None:
    for path in inside(folder):
        assert not any(name.startswith("functions") for name in imports(path)), path


def test_end_to_end_tests_import_nothing_of_what_they_test() -> None:
    for path in inside("tests/e2e"):
        assert not any(name.startswith("functions") for name in imports(path)), path


def settings_of(path: Path) -> set[str]:
    """The variables that the Settings dataclass of a program declares."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == "Settings":
            return {
                field.target.id.upper()
                for field in node.body
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            }
    return set()


def documented(program: str) -> set[str]:
    """The variables in the section of docs/configuration.md that is about `program`."""
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    section = re.search(rf"^## `{re.escape(program)}`.*?(?=^## |\Z)", text, re.M | re.S)
    assert section, f"docs/configuration.md has no section for {program}"
    return set(re.findall(r"^\| `([A-Z_]+)` \|", section[0], re.M))


@pytest.mark.parametrize(
    ("program", "source"),
    [
        ("launcher", "functions/common/serve.py"),
        ("killpoints", "functions/common/killpoints.py"),
        ("accounts", "functions/auth/accounts.py"),
        *((program, f"functions/{program}/main.py") for program in PROGRAMS),
    ],
)
def test_every_setting_is_documented_and_nothing_else(program: str, source: str) -> None:
    assert settings_of(ROOT / source)
    assert documented(program) == settings_of(ROOT / source)


def test_the_environment_is_read_in_one_place_of_the_functions() -> None:
    readers = [path for path in inside("functions") if re.search(r"os\.(environ|getenv)", path.read_text())]

    assert readers == [ROOT / "functions/common/settings.py"]


def test_every_problem_and_failure_code_is_in_the_table() -> None:
    table = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| \d{3} \| `([a-z_]+)`", table, re.M))
    failures = set(re.findall(r"^\| `([a-z_]+)` \|", table.split("### Options")[0], re.M))
    used = set()
    for path in inside("functions"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Problem", "_refusal"):
                used |= {
                    a.value for a in node.args if isinstance(a, ast.Constant) and re.fullmatch(r"[a-z_]+", str(a.value))
                }

    gateway = (ROOT / "gateway/nginx.conf.template").read_text(encoding="utf-8")
    codes = re.search(r"map \$status \$problem_code \{(.*?)\}", gateway, re.S)
    assert codes
    used |= set(re.findall(r"\d{3} ([a-z_]+);", codes[1]))
    internal = {"held", "busy", "unreadable_event"}  # of event functions; no client sees them
    assert used - internal <= listed
    text = (ROOT / "functions/common/failures.py").read_text()
    assert set(re.findall(r'^    "([a-z_]+)":', text, re.M)) == failures


def test_the_readmes_tree_is_the_tree() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## Where things are\n+```\n(.*?)```", readme, re.S)
    assert block
    named = {line.split()[0].rstrip("/") for line in block[1].splitlines() if line and not line.startswith(" ")}
    there = {name.split("/")[0] for name in TRACKED if name and not name.startswith(".")} - {"README.md"}

    assert named == there


def test_every_file_stays_short_enough_to_be_read() -> None:
    for path in SOURCES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= (450 if path.is_relative_to(ROOT / "tests") else 270), f"{path.name}: {lines} lines"


def test_the_pinned_requirements_name_no_host_and_agree() -> None:
    pins: dict[str, str] = {}
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        for name, version in re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)(?: \\)?$", text, re.M):
            if (path.stem, name) != ("bench", "pillow"):  # moviepy, which the bench compares with, holds it back
                assert pins.setdefault(name, version) == version, f"{path.name}: {name}"


def test_the_sample_events_are_what_the_functions_say() -> None:
    for path in (ROOT / "tests/events").glob("*.json"):
        event = json.loads(path.read_text(encoding="utf-8"))
        assert event["type"] in (ROOT / "docs/events.md").read_text(encoding="utf-8")
