"""docs/openapi.yaml as the yardstick: which calls there are, and whether an answer is one that it tells of."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, Response
from schemathesis.checks import CheckFunction
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.yaml"
# What only a mistake lets out: traces, modules, files, servers and their addresses.
INTERNAL = re.compile(
    r"Traceback|File \"|\.py\b|\w(Error|Exception)\b|functions\.|mongo|gridfs|pika|amqp|rabbit|mysql|mariadb|kombu|"
    r"gunicorn|werkzeug|flask|nginx|pyjwt|argon2|localhost|127\.0\.0\.1|/(home|usr|tmp|opt|work)/"
)
# What a client chose, and gets back.
ECHOED = re.compile(r'"(filename|email)": "(\\.|[^"\\])*"')
# Checks of schemathesis that are not made, and why.
EXCLUDED: tuple[CheckFunction, ...] = (
    # What a schema cannot say: that bytes are a video, an address somebody's, a cursor one that was given out.
    checks.positive_data_acceptance,
    # DELETE ends a job; its record stays and can be read, as the document says.
    checks.use_after_free,
)


CONFIGURATION = {
    "generation": {"with-security-parameters": False},  # tokens are the tests' own doing
    # A wrong request may be refused for whatever is wrong with it: for its length before anything else is looked at.
    "checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}},
}


def load() -> Any:
    """The document, as what schemathesis makes calls of."""
    return schemathesis.openapi.from_path(DOCUMENT, config=SchemathesisConfig.from_dict(CONFIGURATION))


class Yardstick:
    """Holds answers against the document; `secrets` are texts that no answer may have besides what INTERNAL finds."""

    def __init__(self, schema: Any, secrets: Iterable[str]) -> None:
        self._everywhere = _named(schema.raw_schema["info"]["description"])
        self._secrets = [secret for secret in secrets if secret]
        self.seen: set[tuple[str, int, str]] = set()

    def check(self, case: Case, response: Response, **sent: Any) -> None:
        """Raises unless the answer is one that the document tells of, as it tells it."""
        extra: list[CheckFunction] = [self._is_documented, self._lets_nothing_out]
        case.validate_response(response, additional_checks=extra, excluded_checks=list(EXCLUDED), **sent)

    def _is_documented(self, _context: Any, response: Response, case: Case) -> None:
        # `default` would cover anything: what it stands for is listed in the document's introduction.
        status, code = response.status_code, _code(response)
        self.seen.add((case.operation.label, status, code))
        listed = case.operation.responses.get(str(status))
        told = listed and (status < 400 or not response.content or f"`{code}`" in listed.definition["description"])
        elsewhere = {known for known in self._everywhere if known[0] == status}
        assert told or (status, code) in elsewhere or (elsewhere and not response.content), (
            f"undocumented: {status} {code}"
        )

    def _lets_nothing_out(self, _context: Any, response: Response, case: Case) -> None:
        if response.headers.get("content-type", [""])[0].startswith("audio/"):
            return
        text = ECHOED.sub("", response.content.decode(errors="replace"))
        assert not (found := INTERNAL.search(text)), f"an internal name in the body: {found}"
        assert not any(secret in text for secret in self._secrets), "an internal address in the body"


def _named(text: str) -> set[tuple[int, str]]:
    """The pairs of status and code that a text tells of."""
    return {(int(status), code) for status, code in re.findall(r"\b(\d{3}) `([a-z_]+)`", text)}


def _code(response: Response) -> str:
    try:
        return str(json.loads(response.content)["code"])
    except (ValueError, KeyError, TypeError):
        return ""
