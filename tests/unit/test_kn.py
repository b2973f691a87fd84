"""What docs/kn.md tells to type makes the functions that the manifests make."""

import copy

import pytest
import yaml

from tests import kn, manifests
from tests.manifests import FUNCTIONS, KNATIVE, SERVING, Object

VARIABLES = {"NS": "somewhere", "settings": "settings", **{name: f"video-to-mp3-{name}" for name in FUNCTIONS}}


def manifest(function: str) -> Object:
    """A function's Knative Service, with the labels that every overlay puts on it."""
    base = KNATIVE / "base"
    thing = manifests.one(manifests.load(base), SERVING, "Service", function)
    for labels in yaml.safe_load((base / "kustomization.yaml").read_text(encoding="utf-8"))["labels"]:
        thing["metadata"]["labels"] |= labels["pairs"]
    return thing


def by_flags(function: str) -> Object:
    return kn.made(kn.command(kn.BY_FLAGS, function), VARIABLES)


def unlike(made: Object, wanted: Object) -> set[str]:
    """Where the two differ; a setting that the page calls unsaid must be missing in what the flags made."""
    flags, file = dict(kn.flat(made)), dict(kn.flat(wanted))
    places = {place for place in flags.keys() | file.keys() if flags.get(place) != file.get(place)}
    excused = {place for place in places if kn.dotted(place) in kn.unsaid() and place not in flags}
    return {kn.dotted(place) for place in places - excused}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_flags_say_what_the_manifest_says_but_for_what_the_page_names(function: str) -> None:
    made, wanted = by_flags(function), manifest(function)

    assert unlike(made, wanted) == set()
    missing = dict(kn.flat(wanted)).keys() - dict(kn.flat(made)).keys()
    assert {kn.dotted(place) for place in missing} == kn.unsaid()


def test_any_change_of_a_manifest_is_noticed() -> None:
    wanted = manifest("auth")
    for place, value in kn.flat(wanted):
        if kn.dotted(place) in kn.unsaid():
            continue
        changed = copy.deepcopy(wanted)
        inner = changed
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = f"not {value}"

        assert unlike(by_flags("auth"), changed) == {kn.dotted(place)}


def test_an_added_variable_is_noticed() -> None:
    changed = manifest("auth")
    changed["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "NEW", "value": "1"})

    assert unlike(by_flags("auth"), changed) == {"containers.env.name", "containers.env.value"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_is_deployed_from_its_own_file_with_its_own_image(function: str) -> None:
    assert kn.command(kn.BY_FILE, function).split() == [
        *("kn", "service", "apply", function, "-n", "$NS"),
        *("-f", f"$rendered/serving.knative.dev_v1_service_{function}.yaml", "--image", f"${function}"),
    ]
