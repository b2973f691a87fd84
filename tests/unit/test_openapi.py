"""docs/openapi.yaml says what the functions and the gateway do: routes, error codes, and examples that are right."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from functions.auth import handler as auth
from functions.common import options
from functions.common.failures import FAILURES
from functions.convert.child import Result
from functions.download import handler as download
from functions.upload import handler as upload

ROOT = Path(__file__).parents[2]
TEMPLATE = (ROOT / "gateway" / "nginx.conf.template").read_text(encoding="utf-8")
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
METHODS = ("get", "head", "post", "put", "patch", "delete")
FUNCTIONS = {"auth": auth, "upload": upload, "download": download}
CHECK = ("GET", "/check")  # for the gateway alone


def operations() -> set[tuple[str, str]]:
    """Method and path of everything in the document."""
    paths = DOCUMENT["paths"].items()
    return {(method.upper(), path) for path, item in paths for method in METHODS if method in item}


def routes(function: str) -> set[tuple[str, str]]:
    """Method and path of everything that the function answers, in the document's spelling."""
    services: Any = None
    table = FUNCTIONS[function].routes(services)
    return {(method, re.sub(r"<\w+>", "{id}", path)) for method, path, _ in table} - {CHECK}


def mapped(name: str, value: str) -> str:
    """What the gateway's regular-expression map `name` makes of `value`."""
    block = re.search(rf"map [^\n]+ \${name} \{{\n(.*?)\n\}}", TEMPLATE, re.DOTALL)
    assert block
    for pattern, result in re.findall(r'"~([^"]+)"\s+"?([\w, ]+)"?;', block[1]):
        if re.search(pattern, value):
            return str(result)
    return ""


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(inner)


def test_the_document_is_valid_openapi() -> None:
    assert not list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors())


def test_the_document_has_every_route_of_the_functions_and_no_other() -> None:
    told = {(method, path) for method, path in operations() if method != "HEAD"}

    assert told == set().union(*(routes(function) for function in FUNCTIONS))


def test_the_gateway_sends_every_route_to_its_function() -> None:
    for function in FUNCTIONS:
        for method, path in routes(function):
            assert mapped("function", f"{method} {path}") == function, (method, path)


def test_the_gateway_allows_the_methods_of_the_document_and_head_with_get() -> None:
    for path in DOCUMENT["paths"]:
        allowed = {method for method, other in operations() if other == path}
        allowed |= {"HEAD"} if "GET" in allowed else set()

        assert mapped("allow", path) == ", ".join(sorted(allowed))
        for method in METHODS:
            reached = mapped("function", f"{method.upper()} {path}") != ""
            assert reached == (method.upper() in allowed), (method, path)


def test_examples_are_what_their_schemas_say() -> None:
    checked = 0
    for node in nodes(DOCUMENT):
        schema, example = node.get("schema", node), node.get("example")
        if example is None or not isinstance(schema, dict):
            continue
        # The schema's own references start at the document's root.
        Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(example)
        checked += 1
    assert checked > 20


def test_an_example_of_a_problem_has_the_status_under_which_it_stands() -> None:
    for node in nodes(DOCUMENT):
        for status, response in node.get("responses", {}).items():
            if not status.isdecimal() or int(status) < 400:
                continue
            response = DOCUMENT["components"]["responses"].get(response.get("$ref", "").rsplit("/", 1)[-1], response)
            example = response["content"]["application/problem+json"]["example"]
            assert example["status"] == int(status)
            assert f"`{example['code']}`" in response["description"]


def test_the_document_names_every_error_code_that_is_in_use_and_no_other() -> None:
    sources = [path for function in FUNCTIONS for path in (ROOT / "functions" / function).glob("*.py")]
    sources += [ROOT / "functions" / "common" / name for name in ("web.py", "tokens.py")]
    used = set()
    for source in sources:
        text = source.read_text(encoding="utf-8")
        used |= set(re.findall(r'(?:Problem|_refusal|__init__)\(\s*(?:\d{3}, )?"(\w+)"', text))
        used |= set(re.findall(r'\d{3}: "(\w+)"', text))
    block = re.search(r"map \$status \$problem_code \{(.*?)\}", TEMPLATE, re.DOTALL)
    assert block
    used |= set(re.findall(r"\d{3} (\w+);", block[1]))

    assert set(DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == used


def test_the_document_has_the_options_of_the_code_and_their_bounds() -> None:
    parameters = DOCUMENT["components"]["parameters"].values()
    query = {parameter["name"]: parameter["schema"] for parameter in parameters}
    form = DOCUMENT["components"]["requestBodies"]["Video"]["content"]["multipart/form-data"]["schema"]["properties"]

    assert form.keys() - {"file", options.OPTIONS} == options.NAMES
    assert {name: query[name] for name in options.NAMES} == {name: form[name] for name in options.NAMES}
    assert tuple(form["quality"]["enum"]) == options.QUALITIES
    for name, least, most in (
        ("start", 0, options.MOST_SECONDS),
        ("end", 0, options.MOST_SECONDS),
        ("loudness", options.LEAST_LUFS, options.MOST_LUFS),
    ):
        assert (form[name]["minimum"], form[name]["maximum"]) == (least, most)
    assert {form[name]["maxLength"] for name in ("title", "artist", "album")} == {options.MOST_CHARACTERS}
    assert form["track"]["pattern"] == f"^({options._TRACK.pattern})$"


def test_the_page_on_the_api_has_the_options_too() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").split("### Options")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", page, re.M)

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == options.NAMES


def test_the_document_has_every_figure_of_a_receipt_and_every_failure() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    figures = {field.name for field in fields(Result)} - {"head"}
    assert schemas["Result"]["properties"].keys() == figures
    assert set(schemas["Result"]["required"]) == figures - {"loudness"}
    assert set(schemas["Failure"]["properties"]["code"]["enum"]) == FAILURES.keys()
