"""What docs/kn.md tells to type, and what kn makes of the flags there.

tests/unit/test_kn.py holds this against the manifests, tests/cluster/test_kn.py against a real kn.
"""

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping
from string import Template
from typing import Any

from tests.manifests import ROOT, SERVING, Object

PAGE = ROOT / "docs" / "kn.md"
BY_FILE, BY_FLAGS = "Deploy from the files", "Deploy by flags"
STRICT = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
ONCE = ("namespace", "image", "pull-policy", "service-account", "scale", "security-context")
NUMBERS = ("scale-utilization", "concurrency-limit", "timeout")
PAIRS = ("request", "limit")
REPEATED = ("label", "annotation-revision", "env", "env-value-from", "volume", "mount")
SCALING = "autoscaling.knative.dev"

Place = tuple[str | int, ...]


def section(heading: str) -> str:
    """The text of the page under a heading."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert found, f"{PAGE.name} has no section {heading}"
    return found[1]


def session(heading: str) -> list[tuple[str, str]]:
    """The commands of a section, each with the output that is shown under it."""
    steps: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(\$ .*?)```", section(heading), re.S):
        for step in re.split(r"^\$ ", block, flags=re.M)[1:]:
            found = re.match(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", step, re.S)
            assert found, step
            steps.append((found[1].strip(), found[2].strip()))
    return steps


def command(heading: str, function: str) -> str:
    """The one command of a section that applies a function."""
    (found,) = [line for line, _ in session(heading) if line.startswith(f"kn service apply {function} ")]
    return found


def unsaid() -> set[str]:
    """The settings that only a file can say, as the page's table has them."""
    return set(re.findall(r"^\| `([\w.]+)` \|", section(BY_FLAGS), re.M))


def made(line: str, variables: Mapping[str, str]) -> Object:
    """The Knative Service that `kn service apply` makes of its flags; an unknown flag ends the program."""
    words = shlex.split(Template(line).substitute(variables).replace("\\\n", ""))
    assert words[:3] == ["kn", "service", "apply"], line
    flags = _parser().parse_args(words[3:])
    least, _, most = flags.scale.partition("..")
    labels = _pairs(flags.label)
    annotations = {
        f"{SCALING}/min-scale": least,
        f"{SCALING}/max-scale": most,
        f"{SCALING}/target-utilization-percentage": str(flags.scale_utilization),
        **_pairs(flags.annotation_revision),
    }
    local = {"networking.knative.dev/visibility": "cluster-local"} if flags.cluster_local else {}
    spec = {
        "serviceAccountName": flags.service_account,
        "containerConcurrency": flags.concurrency_limit,
        "timeoutSeconds": flags.timeout,
        "containers": [_container(flags)],
        "volumes": [{"name": name, **_volume(text)} for name, text in _pairs(flags.volume).items()],
    }
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}
    metadata = {"name": flags.name, "labels": {**labels, **local}}
    return {"apiVersion": SERVING, "kind": "Service", "metadata": metadata, "spec": {"template": template}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("name")
    parser.add_argument("-n", "--namespace", required=True)
    parser.add_argument("--cluster-local", action="store_true")
    for name in ONCE[1:]:
        parser.add_argument(f"--{name}", required=True)
    for name in NUMBERS:
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in PAIRS:
        parser.add_argument(f"--{name}", type=lambda text: _pairs(text.split(",")), required=True)
    for name in REPEATED:
        # kn keeps the order in which both kinds of variables are given.
        place = "env" if name == "env-value-from" else name.replace("-", "_")
        parser.add_argument(f"--{name}", dest=place, action="append", default=[])
    return parser


def _container(flags: argparse.Namespace) -> Object:
    assert flags.security_context == "strict"
    volumes = _pairs(flags.volume)
    # kn mounts what is kept in the cluster for reading alone.
    mounts: list[Object] = [
        {"name": name, "mountPath": path} | ({} if volumes[name].startswith("emptyDir:") else {"readOnly": True})
        for path, name in _pairs(flags.mount).items()
    ]
    return {
        "image": flags.image,
        "imagePullPolicy": flags.pull_policy,
        "env": [{"name": name, **_value(text)} for name, text in _pairs(flags.env).items()],
        "resources": {"requests": flags.request, "limits": flags.limit},
        "securityContext": STRICT,
        "volumeMounts": mounts,
    }


def _value(text: str) -> Object:
    kind, _, rest = text.partition(":")
    name, _, key = rest.partition(":")
    sources = {"cm": "configMapKeyRef", "secret": "secretKeyRef"}
    return {"valueFrom": {sources[kind]: {"name": name, "key": key}}} if kind in sources else {"value": text}


def _volume(text: str) -> Object:
    kind, name, *options = text.split(":")
    if kind == "secret":
        return {"secret": {"secretName": name}}
    assert kind == "emptyDir", text
    given = _pairs(options[0].split(","))
    return {"emptyDir": {"medium": given["type"], "sizeLimit": given["size"]}}


def _pairs(given: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (text.partition("=") for text in given)}


def flat(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Each single setting with its place, such as ("spec", "template", "spec", "containers", 0, "image")."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(inner, (*place, key))
    else:
        yield place, value


def dotted(place: Place) -> str:
    """A place in a revision's spec as the page's table writes it, such as containers.name."""
    return ".".join(key for key in place if isinstance(key, str)).removeprefix("spec.template.spec.")
