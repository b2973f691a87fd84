"""docs/kn.md as it stands, with a real kn: the lines work and show what the page shows, and kn makes of them what
tests/kn.py says. In a namespace of its own; tests/cluster/conftest.py leaves this out where there is no kn.
"""

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import kn
from tests.cluster.overlay import EXTERNAL, NAMESPACE
from tests.cluster.site import Site
from tests.cluster.test_rendered import kubectl, rendered
from tests.manifests import FUNCTIONS, ROOT, SERVING, Object, one

MARK = "__NEXT__"
COPIED = ("metadata", "data", "type", "apiVersion", "kind", "automountServiceAccountToken")


class Page:
    """The page's sessions, typed in a namespace of which all is there that kn does not make."""

    def __init__(self, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self._folder = folder
        self._before = "\n".join(line for line, _ in kn.session("Before"))
        assert f"NS={NAMESPACE}\n" in self._before

    def type(self, steps: list[tuple[str, str]], function: str = "auth") -> None:
        """Runs the lines for a function, where the page says auth, and holds against the page what they print."""
        steps = [(_for(function, line), _for(function, shown)) for line, shown in steps]
        printed = self.run("\n".join(f"{line}\necho; echo {MARK}" for line, _ in steps)).split(MARK)
        for (line, shown), output in zip(steps, printed, strict=False):
            assert re.fullmatch(_pattern(shown), _plain(output), re.S), (
                f"{line}\nprinted\n{output}\ninstead of\n{shown}"
            )

    def run(self, script: str) -> str:
        """What a script prints whose variables are those of the page."""
        before = self._before.replace(f"NS={NAMESPACE}\n", f"NS={self.namespace}\n")
        done = subprocess.run(
            ["bash", "-e"],
            input=f"export TMPDIR='{self._folder}'\n{{ {before}\n}} >/dev/null\n{script}\n",
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    def service(self, function: str) -> Object:
        """A function as the cluster has it."""
        found: Object = json.loads(kubectl("-n", self.namespace, "get", "ksvc", function, "-o", "json"))
        return found


def _for(function: str, text: str) -> str:
    return re.sub(r"\bauth\b", function, text)


def _plain(text: str) -> str:
    # The width of a column follows from what is in it.
    return " ".join(text.split())


def _pattern(shown: str) -> str:
    return ".*".join(re.escape(_plain(part)) for part in re.sub(r"\d+\.\d{3}s", "…", shown).split("…"))


def _same(part: Object, whole: Object) -> None:
    """All that `part` says, `whole` says too."""
    live = dict(kn.flat(whole))
    assert {place: live.get(place) for place, _ in kn.flat(part)} == dict(kn.flat(part))


@pytest.fixture
def page(cluster: Site, tmp_path: Path) -> Iterator[Page]:
    name = f"kn-{uuid.uuid4().hex[:8]}"
    things: list[Any] = [thing for thing in rendered(EXTERNAL) if thing["kind"] in ("ConfigMap", "ServiceAccount")]
    things += [secret for secret in cluster.api.list("v1", "Secret", NAMESPACE) if secret["type"] == "Opaque"]
    try:
        cluster.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="tests")
        for thing in things:
            copy = {field: value for field, value in thing.items() if field in COPIED}
            copy["metadata"] = {"name": thing["metadata"]["name"], "namespace": name}
            cluster.api.apply({"apiVersion": "v1", **copy}, manager="tests")
        yield Page(name, tmp_path)
    finally:
        kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def test_every_function_is_deployed_from_its_file_looked_at_split_and_rolled_back(page: Page) -> None:
    page.type(kn.session("Before")[1:])
    page.type(kn.session(kn.BY_FILE))
    wanted = rendered(EXTERNAL)
    for function in FUNCTIONS:
        thing = one(wanted, SERVING, "Service", function)
        container = thing["spec"]["template"]["spec"]["containers"][0]
        container["image"] = page.run(f"echo ${function}").strip()
        thing["metadata"]["namespace"] = page.namespace
        _same(thing, page.service(function))

    page.type(kn.session("Look"))

    for function in FUNCTIONS:
        page.type(kn.session("Change, split, roll back"), function)
        status = page.service(function)["status"]
        first = [target["revisionName"] for target in status["traffic"] if target.get("percent")]
        assert (first, status["latestReadyRevisionName"]) == ([f"{function}-00001"], f"{function}-00002")


def test_every_function_is_deployed_by_flags_and_is_what_they_say(page: Page) -> None:
    page.type(kn.session(kn.BY_FLAGS))

    values = page.run(f"echo $NS $settings {' '.join(f'${function}' for function in FUNCTIONS)}").split()
    variables = dict(zip(("NS", "settings", *FUNCTIONS), values, strict=True))
    for function in FUNCTIONS:
        live = page.service(function)
        _same(kn.made(kn.command(kn.BY_FLAGS, function), variables), live)
        spec = live["spec"]["template"]["spec"]
        assert "readOnlyRootFilesystem" not in spec["containers"][0]["securityContext"]
        assert spec.get("responseStartTimeoutSeconds", 0) in (0, min(300, spec["timeoutSeconds"]))
        assert spec["containers"][0]["name"] == "user-container"
        assert spec["enableServiceLinks"] is False
