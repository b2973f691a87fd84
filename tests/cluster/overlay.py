"""The overlay of these tests: `external`, pointed at the backing services of this machine, and quick to fall asleep."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from local.process import ROOT

NAMESPACE = "video-to-mp3"
EXTERNAL = ROOT / "knative" / "overlays" / "external"
# By the setting that has the address: the name and the port under which pods know the service.
SERVICES = {
    "MYSQL_URL": ("mysql", 3306),
    "MONGO_URL": ("mongodb", 27017),
    "RABBITMQ_URL": ("rabbitmq", 5672),
    "SMTP_URL": ("smtp", 25),
}
WINDOW = "6s"  # the shortest that Knative takes
# What the tests need of a service that is otherwise set up as for production.
CHANGED = {"SIGNUP_OPEN": "true", "PUBLIC_URL": "http://127.0.0.1", "MAX_UPLOAD_BYTES": "300000000"}


def write(folder: Path, settings: Mapping[str, str], **changed: str) -> None:
    """Writes the overlay into `folder`; `settings` is what `python -m local backing --json` printed.

    `changed` are plain settings of the functions.
    """
    window = {
        "op": "add",
        "path": "/spec/template/metadata/annotations/autoscaling.knative.dev~1window",
        "value": WINDOW,
    }
    asleep = {"target": {"group": "serving.knative.dev", "kind": "Service"}, "patch": yaml.safe_dump([window])}
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(EXTERNAL, folder.resolve())],
        "configMapGenerator": [
            {
                "name": "settings",
                "namespace": NAMESPACE,
                "behavior": "merge",
                "literals": [f"{name}={text}" for name, text in {**CHANGED, **changed}.items()],
            }
        ],
        "patches": [asleep, *(patch for url, (name, _) in SERVICES.items() for patch in _address(name, settings[url]))],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay, sort_keys=False), encoding="utf-8")


def _address(name: str, url: str) -> list[dict[str, object]]:
    # Where the service is, and that one may go there.
    address = urlsplit(url)
    slice_ = {"/endpoints": [{"addresses": [address.hostname]}], "/ports/0/port": address.port}
    policy = {"/spec/egress/0/to/0/ipBlock/cidr": f"{address.hostname}/32", "/spec/egress/0/ports/0/port": address.port}
    return [_patch("EndpointSlice", name, slice_), _patch("NetworkPolicy", f"(source-)?to-{name}", policy)]


def _patch(kind: str, name: str, values: Mapping[str, object]) -> dict[str, object]:
    patch = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
    return {"target": {"kind": kind, "name": name}, "patch": yaml.safe_dump(patch)}


def inside(settings: Mapping[str, str]) -> dict[str, str]:
    """The same settings with the addresses that hold inside the cluster."""
    return {name: _inside(name, url) for name, url in settings.items() if _service(name)}


def _service(name: str) -> tuple[str, int] | None:
    return next((service for url, service in SERVICES.items() if name.startswith(url)), None)


def _inside(name: str, url: str) -> str:
    service = _service(name)
    assert service
    address = urlsplit(url)
    user = address.netloc.rpartition("@")[0]
    return address._replace(netloc=f"{user}{'@' if user else ''}{service[0]}:{service[1]}").geturl()
