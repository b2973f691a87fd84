"""What images are made of and called. That they build and run is seen on a cluster (tests/cluster)."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from knative import images
from knative.images import NAMES, ROOT, Builder, ImageError, choose, image, references
from local.gateway import render

# A builder that keeps its images in $STORE, writes down what it was asked, and says that it works if $WORKS is there.
BUILDER = """#!/bin/sh
echo "$(basename "$0") $*" >> "$STORE/asked"
case "$1 $2" in
    info*) exit {works} ;;
    "image inspect"|"inspect --type") for last; do :; done; test -e "$STORE/$(echo "$last" | tr / _)" ;;
    build*) while [ "$1" != --tag ]; do shift; done; touch "$STORE/$(echo "$2" | tr / _)" ;;
    images*) echo "9 MB" ;;
    save*|push*) ;;
esac
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with a podman that works, and a docker that does not."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    monkeypatch.setenv("STORE", str(tmp_path))
    for name in ("REGISTRY", "TAG", "PUSH", "LOAD", "BUILDER", "BUILD_FLAGS"):
        monkeypatch.delenv(name, raising=False)
    for name, status in (("podman", 0), ("docker", 1)):
        (tmp_path / name).write_text(BUILDER.replace("{works}", str(status)))
        (tmp_path / name).chmod(0o755)
    return tmp_path


def asked(store: Path, word: str) -> list[str]:
    """What the builder was asked that begins with `word`."""
    lines = (store / "asked").read_text().splitlines()
    return [line.partition(" ")[2] for line in lines if line.split()[1] == word]


def test_an_image_is_built_once_and_not_again(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert images.main(["build", "janitor"]) == 0
    assert images.main(["build", "janitor"]) == 0

    (built,) = asked(store, "build")
    assert "--build-arg FUNCTION=janitor --build-arg PROGRAM=functions.janitor.main" in built
    assert built.endswith(f"--tag {references()['janitor']} .")
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[1:] == ["9", "MB", "built"]
    assert second.endswith("was there")


def test_each_image_is_loaded_and_pushed_when_asked(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD", f"{store}/load into")
    monkeypatch.setenv("PUSH", "1")
    monkeypatch.setenv("REGISTRY", "registry.demo.example/us")
    monkeypatch.setenv("TAG", "7")
    (store / "load").write_text('#!/bin/sh\necho "$1 $(basename "$2")" >> "$STORE/loaded"\n')
    (store / "load").chmod(0o755)

    assert images.main(["build", "auth", "gateway"]) == 0

    assert (store / "loaded").read_text().splitlines() == ["into image.tar"] * 2
    assert asked(store, "push") == [
        f"push registry.demo.example/us/video-to-mp3-{name}:7" for name in ("auth", "gateway")
    ]


def test_a_builder_that_does_not_work_is_passed_over(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose().program == "podman"
    monkeypatch.setenv("BUILDER", "docker")
    with pytest.raises(ImageError, match="podman, buildah, docker"):
        choose()


def test_a_build_that_fails_is_told_and_the_rest_is_left(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "podman").write_text('#!/bin/sh\n[ "$1" = info ]\n')

    assert images.main(["build"]) == 1

    assert references()["auth"] in capsys.readouterr().err
    assert Builder("podman").has("any") is False


@pytest.mark.parametrize("words", [["make"], ["build", "nothing"], ["auth"]])
def test_what_there_is_not_is_wrong_usage(words: list[str]) -> None:
    assert images.main(words) == 2


def test_without_words_the_references_are_printed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert images.main([]) == 0

    lines = dict(line.split("=") for line in capsys.readouterr().out.splitlines())
    assert lines == references()
    assert set(lines) == set(NAMES)
    assert all(re.fullmatch(rf"dev\.local/video-to-mp3-{name}:[0-9a-f]{{12}}", lines[name]) for name in NAMES)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what images are made of."""
    for name in ("functions", "gateway", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("functions/common/jobs.py", {*NAMES} - {"gateway"}),
        ("functions/auth/handler.py", {"auth"}),
        ("functions/migrate/mysql/0001-users.sql", {"migrate"}),
        ("functions/Dockerfile", {*NAMES} - {"gateway"}),
        ("requirements/convert.txt", {"convert"}),
        ("gateway/nginx.conf.template", {"gateway"}),
        ("requirements/dev.txt", set()),
        ("functions/auth/__pycache__/handler.pyc", set()),
    ],
)
def test_a_tag_changes_with_what_is_in_the_image_and_with_nothing_else(
    tree: Path, file: str, changed: set[str]
) -> None:
    before = {name: image(name).tag(tree) for name in NAMES}
    (tree / file).parent.mkdir(exist_ok=True)
    with (tree / file).open("a") as opened:
        opened.write("\n")

    assert {name for name in NAMES if image(name).tag(tree) != before[name]} == changed


def test_a_new_file_and_a_new_name_make_a_new_tag(tree: Path) -> None:
    tags = {image("auth").tag(tree)}
    (tree / "functions/auth/new.py").write_text("")
    tags.add(image("auth").tag(tree))
    (tree / "functions/auth/new.py").rename(tree / "functions/auth/other.py")
    tags.add(image("auth").tag(tree))

    assert len(tags) == 3


def test_the_inputs_of_the_hash_are_what_the_dockerfiles_copy() -> None:
    for name in NAMES:
        made = image(name)
        text = (ROOT / made.dockerfile).read_text(encoding="utf-8").replace("${FUNCTION}", name)
        words = [word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M) for word in line.split()[:-1]]
        copied = {word for word in words if not word.startswith("--")}
        assert copied | {made.dockerfile} == set(made.inputs)
        assert all((ROOT / part).exists() for part in made.inputs)


def test_nothing_secret_can_get_into_an_image() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {"!functions", "!gateway", "!requirements"}


VALUES = {
    "GATEWAY_LISTEN": "127.0.0.1:8081",
    "RESOLVER": "10.96.0.10",
    "MAX_BODY_BYTES": "1065536",
    **{f"{name}_UPSTREAM": f"{name.lower()}.demo.svc.cluster.local" for name in ("AUTH", "UPLOAD", "DOWNLOAD")},
    **{f"{name}_HOST": f"{name.lower()}.demo.svc.cluster.local" for name in ("AUTH", "UPLOAD", "DOWNLOAD")},
}


def start(store: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs the gateway's start script, with `echo` in NGINX's place."""
    (store / "nginx").write_text('#!/bin/sh\necho nginx "$@"\n')
    (store / "nginx").chmod(0o755)
    command = ["sh", str(ROOT / "gateway" / "start.sh"), str(store / "server.conf")]
    path = f"{store}:{os.defpath}"
    return subprocess.run(command, env={"PATH": path, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "environment",
    [
        VALUES,
        {
            "NAMESPACE": "demo",
            "MAX_UPLOAD_BYTES": "1000000",
            "RESOLVER": "10.96.0.10",
            "GATEWAY_LISTEN": "127.0.0.1:8081",
        },
    ],
    ids=["all", "namespace"],
)
def test_the_gateways_image_fills_the_template_in_as_the_local_stack_does(
    store: Path, environment: dict[str, str]
) -> None:
    done = start(store, **environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"nginx -c {ROOT}/gateway/nginx.conf -e stderr\n"
    assert (store / "server.conf").read_text() == render(VALUES)


def test_an_ipv6_name_server_is_written_as_nginx_wants_it(store: Path) -> None:
    assert start(store, **VALUES | {"RESOLVER": "fd00::a"}).returncode == 0

    assert "resolver [fd00::a] valid" in (store / "server.conf").read_text()


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"RESOLVER": "10.96.0.10"}, "AUTH_HOST"),
        (VALUES | {"UPLOAD_UPSTREAM": 'x"; include /etc/passwd'}, "UPLOAD_UPSTREAM"),
    ],
    ids=["missing", "hostile"],
)
def test_what_the_gateway_lacks_is_named(store: Path, environment: dict[str, str], named: str) -> None:
    done = start(store, **environment)

    assert done.returncode == 1
    assert named in done.stderr
    assert not (store / "server.conf").exists()
