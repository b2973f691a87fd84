"""From an overlay to the objects that are applied: rendered by kubectl, with the images that `make images` has made.

`kubectl apply -k OVERLAY` applies the same but for the images' tags.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from knative.objects import Object, containers, in_order, kind

OVERLAYS = Path(__file__).parent / "overlays"
PRODUCT = "video-to-mp3-"
NEWEST = [{"latestRevision": True, "percent": 100}]


class OverlayError(Exception):
    """There is no such overlay."""


class RenderError(Exception):
    """The overlay could not be rendered; the message says why."""


def folder(overlay: str) -> Path:
    """The folder of an overlay: one of knative/overlays by its name, or any by its path. Raises OverlayError."""
    for path in (OVERLAYS / overlay, Path(overlay)):
        if (path / "kustomization.yaml").is_file():
            return path
    known = sorted(path.parent.name for path in OVERLAYS.glob("*/kustomization.yaml"))
    raise OverlayError(f"there is no overlay {overlay}; there are {', '.join(known)}, or give the path of a folder")


def render(path: Path) -> list[Object]:
    """The overlay's objects in the order in which they are applied. Raises RenderError."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise RenderError("kubectl is not on the PATH; it is needed to render the overlay")
    done = subprocess.run([kubectl, "kustomize", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(f"kubectl kustomize {path}: {done.stderr.strip()}")
    return in_order(thing for thing in yaml.safe_load_all(done.stdout) if thing)


def complete(things: list[Object], images: Mapping[str, str], moved: bool) -> None:
    """Puts the images in, and says where the traffic goes.

    `images` has what each of the product's images is called, by its name, such as `auth`. Unless it was `moved` to
    another registry, an image stays where the overlay has it and only its tag is set. The traffic goes to the newest
    revision: left unsaid, a function would stay where a rollback pointed it.
    """
    for thing in things:
        for container in containers(thing):
            container["image"] = _image(container["image"], images, moved)
        if kind(thing) == "KnativeService":
            thing["spec"].setdefault("traffic", NEWEST)


def _image(overlays: str, images: Mapping[str, str], moved: bool) -> str:
    folder, slash, last = overlays.partition("@")[0].rpartition("/")
    name = last.partition(":")[0]
    built = images.get(name.removeprefix(PRODUCT)) if name.startswith(PRODUCT) else None
    if not built or moved:
        return built or overlays
    return f"{folder}{slash}{name}:{built.rpartition(':')[2]}"
