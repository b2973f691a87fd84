"""What the manifests say, with each overlay's patches applied; tests/hardening.py has the rules that all of them keep.

The few things of kustomize that the overlays use are done here, so that the rules are checked where there is no
kubectl; anything else is refused. tests/cluster/test_rendered.py holds it against the real one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
KNATIVE = ROOT / "knative"
OVERLAYS = ("local", "external", "production")
FUNCTIONS = ("auth", "upload", "convert", "notify", "download")
SERVING, SOURCES = "serving.knative.dev/v1", "sources.knative.dev/v1alpha1"
KNOWN = {"apiVersion", "kind", "namespace", "resources", "patches", "images", "labels", "configMapGenerator"} | {
    "configurations",
    "generatorOptions",
}

Object = dict[str, Any]


def overlay(name: str) -> list[Object]:
    """The objects of an overlay of knative/overlays."""
    return load(KNATIVE / "overlays" / name)


def load(folder: Path) -> list[Object]:
    """The objects that a kustomization brings together, patched. Names, images and ConfigMaps stay as they are."""
    told = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert told.keys() <= KNOWN, f"{folder}: {told.keys() - KNOWN} is not understood here"
    things: list[Object] = []
    for resource in told["resources"]:
        path = folder / resource
        things += load(path) if path.is_dir() else documents(path)
    for patch in told.get("patches", []):
        _patch(things, patch, folder)
    return things


def documents(path: Path) -> list[Object]:
    """What is in a file."""
    return [thing for thing in yaml.safe_load_all(path.read_text(encoding="utf-8")) if thing]


def _patch(things: list[Object], patch: Object, folder: Path) -> None:
    text = patch.get("patch") or (folder / patch["path"]).read_text(encoding="utf-8")
    for part in yaml.safe_load_all(text):
        wanted = patch.get("target") or {"kind": part["kind"], "name": part["metadata"]["name"], **_group(part)}
        found = [thing for thing in things if wanted.items() <= _identity(thing).items()]
        assert found, f"{folder}: a patch for {wanted} finds nothing"
        for thing in found:
            if isinstance(part, list):
                for operation in part:
                    _operate(thing, **operation)
            else:
                _merge(thing, part)


def _group(thing: Object) -> Object:
    group, _, version = thing["apiVersion"].rpartition("/")
    return {"group": group, "version": version}


def _identity(thing: Object) -> Object:
    return {"kind": thing["kind"], "name": thing["metadata"]["name"], **_group(thing)}


def _merge(into: Object, values: Object) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            assert not isinstance(into.get(name), list), f"a list is patched: {name}"
            into[name] = value


def _operate(thing: Any, op: str, path: str, value: Any = None) -> None:
    *parents, last = (part.replace("~1", "/") for part in path.split("/")[1:])
    for part in parents:
        thing = thing[int(part)] if isinstance(thing, list) else thing[part]
    if isinstance(thing, list):
        assert (op, last) == ("add", "-"), f"a list is patched: {path}"
        thing.append(value)
        return
    assert op == "add" or last in thing, f"nothing to {op}: {path}"
    if op == "remove":
        del thing[last]
    else:
        thing[last] = value


def one(things: list[Object], api_version: str, kind: str, name: str) -> Object:
    """The one object of that name."""
    (found,) = [thing for thing in things if (thing["apiVersion"], thing["kind"]) == (api_version, kind)
                and thing["metadata"]["name"] == name]  # fmt: skip
    return found


def functions(things: list[Object]) -> dict[str, Object]:
    """The revision's spec of each Knative Service, by its name."""
    return {
        thing["metadata"]["name"]: thing["spec"]["template"]["spec"]
        for thing in things
        if thing["apiVersion"] == SERVING
    }


def scale(things: list[Object], name: str, annotation: str) -> int:
    """An autoscaling annotation of a function."""
    annotations = one(things, SERVING, "Service", name)["spec"]["template"]["metadata"]["annotations"]
    return int(annotations[f"autoscaling.knative.dev/{annotation}"])


def pods(things: list[Object]) -> Iterator[tuple[str, Object]]:
    """The pod template of whatever makes pods, by its name; a source's adapter is Knative's."""
    for thing in things:
        spec = thing.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            yield thing["metadata"]["name"], template


def settings(template: Object) -> dict[str, Object]:
    """The environment of a pod's only container."""
    (container,) = template["spec"]["containers"]
    return {variable["name"]: variable for variable in container.get("env", [])}


def secrets(template: Object, mounted: bool = True) -> set[str]:
    """Which secrets a pod is given, each as `name/key` or, of a whole one that is mounted, `name`."""
    spec = template["spec"]
    volumes = spec.get("volumes", []) if mounted else []
    found = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    sources = [source["secret"] for volume in volumes for source in volume.get("projected", {}).get("sources", [])]
    found |= {f"{secret['name']}/{item['key']}" for secret in sources for item in secret["items"]}
    for container in spec["containers"]:
        assert not any("secretRef" in source for source in container.get("envFrom", []))
        references = [variable.get("valueFrom", {}).get("secretKeyRef") for variable in container.get("env", [])]
        found |= {f"{reference['name']}/{reference['key']}" for reference in references if reference}
    return found
