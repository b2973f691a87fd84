"""The images: what each is made of, what it is called, and `make images`, which builds them.

`python -m knative.images` prints NAME=REFERENCE lines, `python -m knative.images build [NAME ...]` builds. A tag is a
hash of all that goes into the image, so an unchanged tree makes no new tag, and no new revision when deployed.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FUNCTIONS = ("auth", "upload", "convert", "notify", "download")
ONE_SHOT = ("janitor", "migrate")
NAMES = (*FUNCTIONS, *ONE_SHOT, "gateway")
PREFIX = "video-to-mp3-"
TAG_CHARACTERS = 12
BUILDERS = ("podman", "buildah", "docker")


class ImageError(Exception):
    """No image was made; the message says why."""


@dataclass(frozen=True)
class Image:
    """One image; `inputs` are the files and folders of the checkout that it is made of."""

    name: str
    dockerfile: str
    inputs: tuple[str, ...]
    arguments: tuple[str, ...] = ()

    def tag(self, root: Path = ROOT) -> str:
        """A hash of the inputs' names and contents."""
        digest = hashlib.sha256("\0".join(self.arguments).encode())
        for file in sorted(_files(root, self.inputs)):
            content = file.read_bytes()
            digest.update(f"\0{file.relative_to(root)}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:TAG_CHARACTERS]


def _files(root: Path, inputs: tuple[str, ...]) -> Iterator[Path]:
    for given in inputs:
        path = root / given
        yield from [path] if path.is_file() else (file for file in path.rglob("*") if _counts(file))


def _counts(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts


def image(name: str) -> Image:
    """The image of one of NAMES."""
    if name == "gateway":
        inputs = tuple(f"gateway/{file}" for file in ("Dockerfile", "nginx.conf", "nginx.conf.template", "start.sh"))
        return Image(name, "gateway/Dockerfile", inputs)
    code = ("functions/__init__.py", "functions/common", f"functions/{name}")
    program = (f"PROGRAM=functions.{name}.main",) if name in ONE_SHOT else ()
    return Image(
        name,
        "functions/Dockerfile",
        ("functions/Dockerfile", f"requirements/{name}.txt", *code),
        (f"FUNCTION={name}", *program),
    )


def references(registry: str = "", tag: str = "") -> dict[str, str]:
    """What each image is called; the environment's REGISTRY and TAG count where nothing is given."""
    where = registry or os.environ.get("REGISTRY") or "dev.local"
    tag = tag or os.environ.get("TAG", "")
    return {name: f"{where}/{PREFIX}{name}:{tag or image(name).tag()}" for name in NAMES}


class Builder:
    """podman, buildah or docker, as far as they do not agree."""

    def __init__(self, program: str) -> None:
        self.program = program

    def has(self, reference: str) -> bool:
        """Whether there is such an image."""
        words = ["inspect", "--type", "image"] if self.program == "buildah" else ["image", "inspect"]
        return self._run(*words, reference).returncode == 0

    def build(self, made: Image, reference: str, flags: list[str]) -> None:
        """Makes the image; the builder's own lines go to the terminal."""
        words = [word for argument in made.arguments for word in ("--build-arg", argument)]
        command = ["build", *flags, "--file", made.dockerfile, *words, "--tag", reference, "."]
        if subprocess.run([self.program, *command], cwd=ROOT, check=False).returncode:
            raise ImageError(f"{reference} was not built: {self.program}'s last lines say why")

    def save(self, reference: str, archive: Path) -> None:
        """Writes the image as a docker archive."""
        words = {
            "podman": ["save", "--quiet", "--format", "docker-archive", "--output", str(archive), reference],
            "buildah": ["push", "--quiet", reference, f"docker-archive:{archive}:{reference}"],
            "docker": ["save", "--output", str(archive), reference],
        }
        self._must(*words[self.program])

    def push(self, reference: str) -> None:
        """Hands the image to its registry."""
        self._must("push", reference)

    def size(self, reference: str) -> str:
        """How large the image is, its base included, as the builder puts it."""
        return self._must("images", "--format", "{{.Size}}", reference).strip()

    def _must(self, *words: str) -> str:
        done = self._run(*words)
        if done.returncode:
            raise ImageError(f"{self.program} {words[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([self.program, *words], capture_output=True, text=True, check=False)


def choose() -> Builder:
    """The builder that BUILDER names, or the first on the PATH that works: docker may be there without its daemon."""
    wanted = os.environ.get("BUILDER")
    for program in [wanted] if wanted else BUILDERS:
        if shutil.which(program) and not subprocess.run([program, "info"], capture_output=True, check=False).returncode:
            return Builder(program)
    raise ImageError(f"nothing here builds images; what is needed is one of {', '.join(BUILDERS)}")


def make(builder: Builder, name: str, reference: str) -> None:
    """Builds the image unless it is there, then loads and pushes it if the environment says so."""
    there = builder.has(reference)
    if not there:
        builder.build(image(name), reference, shlex.split(os.environ.get("BUILD_FLAGS", "")))
    if loader := os.environ.get("LOAD"):
        _load(builder, reference, shlex.split(loader))
    if os.environ.get("PUSH") == "1":
        builder.push(reference)
    print(f"{reference:<52} {builder.size(reference):>10}  {'was there' if there else 'built'}", flush=True)


def _load(builder: Builder, reference: str, loader: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        builder.save(reference, archive)
        if subprocess.run([*loader, archive], check=False).returncode:
            raise ImageError(f"{reference} was not loaded by {shlex.join(loader)}")


def main(words: list[str]) -> int:
    """The command; returns its exit status: 0 done, 1 not built, 2 asked for what there is not."""
    named = references()
    strangers = [word for word in words[1:] if word not in NAMES]
    if strangers or words[:1] not in ([], ["build"]):
        print(f"usage: python -m knative.images [build [{'|'.join(NAMES)} ...]]", file=sys.stderr)
        return 2
    if not words:
        print("\n".join(f"{name}={reference}" for name, reference in named.items()))
        return 0
    try:
        builder = choose()
        for name in words[1:] or NAMES:
            make(builder, name, named[name])
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
