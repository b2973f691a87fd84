"""The HTTP edge: routes of one function, and every error as an RFC 9457 problem document with a stable code."""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from flask import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Response

log = logging.getLogger(__name__)

_CODES = {400: "malformed_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
RETRY_AFTER_SECONDS = 5
REALM = "video-to-mp3"


class Problem(HTTPException):
    """An answer that is an error: `code` is stable and for programs, `detail` one sentence for the reader."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code = status
        self.name_of_problem = code
        self.headers = dict(headers or {})

    def get_response(self, environ: Any = None, scope: Any = None) -> Response:
        """The problem document, also where the framework does the answering."""
        return problem(self)


class Unavailable(Problem):
    """A dependency is away: 503 with Retry-After."""

    def __init__(self, detail: str = "A service that this needs does not answer. Please try again.") -> None:
        super().__init__(503, "unavailable", detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})


NOT_FOUND = Problem(404, "not_found", "There is nothing here, or it is not yours.")


class View(Protocol):
    """Answers one route; the arguments are the path's."""

    def __call__(self, request: Request, **arguments: Any) -> Response: ...


Route = tuple[str, str, View]


class Routes:
    """The calls that a function answers: `(method, path, view)`, paths in Werkzeug's syntax.

    `unavailable` names the exceptions of dependencies that mean 503.
    """

    def __init__(self, routes: Iterable[Route], unavailable: tuple[type[Exception], ...] = ()) -> None:
        self.table = list(routes)
        self._map = Map(
            [Rule(path, methods=[method], endpoint=view) for method, path, view in self.table],
            strict_slashes=False,
            merge_slashes=False,
        )
        self._unavailable = unavailable

    def __call__(self, request: Request) -> Response:
        """The answer to `request`, whatever happens: never an exception, never another form of error."""
        try:
            view, arguments = self._map.bind_to_environ(request.environ).match()
            response: Response = view(request, **arguments)
        except RequestRedirect:
            return problem(NOT_FOUND)
        except HTTPException as error:
            return problem(error)
        except self._unavailable:
            log.warning("a dependency is away", exc_info=True)
            return problem(Unavailable())
        except Exception:
            log.exception("unexpected error")
            return problem(Problem(500, "internal", "Something went wrong here. It has been recorded."))
        return response


def problem(error: HTTPException) -> Response:
    """The problem document of `error`."""
    if isinstance(error, NotFound):  # the router's own: no other text than where there is a route and no thing
        error = NOT_FOUND
    status = error.code or 500
    name = error.name_of_problem if isinstance(error, Problem) else _CODES.get(status, "malformed_request")
    body = {"type": "about:blank", "title": error.name, "status": status, "detail": error.description, "code": name}
    headers = error.headers if isinstance(error, Problem) else {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers = {"Allow": ", ".join(sorted(error.valid_methods))}
    return Response(json.dumps(body) + "\n", status, headers, content_type="application/problem+json")


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer that no cache keeps, as every one here is an account's own."""
    kept = {"Cache-Control": "no-store"} | dict(headers or {})
    return Response(json.dumps(body) + "\n", status, kept, content_type="application/json")


def json_object(request: Request, limit: int = 16_384) -> dict[str, Any]:
    """The request's body as a JSON object. Raises the problems 413 (over `limit` bytes), 415 and 400."""
    if request.mimetype != "application/json":
        raise Problem(415, "unsupported_type", "Send a JSON object with Content-Type: application/json.")
    body = request.stream.read(limit + 1)
    if len(body) > limit:
        raise Problem(413, "too_large", f"The body may be at most {limit} bytes long.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "malformed_request", "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Problem(400, "malformed_request", "The body is not a JSON object.")
    return value
