"""An MP3 as an HTTP answer: validators, ranges and digest, read from GridFS in bounded batches.

Preconditions in the order of RFC 9110, section 13.2.2. Several ranges, other units, and ranges on HEAD are answered
whole, as sections 14.2 and 15.3.7 allow; an MP3 never changes, so its strong ETag is the only validator.
"""

from base64 import b64encode
from collections.abc import Iterator
from itertools import chain
from unicodedata import normalize
from urllib.parse import quote

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.http import parse_if_range_header, parse_range_header
from werkzeug.wrappers import Response

from functions.common.files import Bucket
from functions.common.mongo import Document
from functions.common.web import Problem


def serve(request: Request, bucket: Bucket, mp3: Document) -> Response:
    """The answer to a GET or HEAD of `mp3`. Raises the 412 and 416 problems."""
    headers = _headers(mp3)
    tag = mp3["sha256"]
    if request.if_match and not request.if_match.contains(tag):
        raise Problem(412, "precondition_failed", "The MP3 is not the one that If-Match names.")
    if request.if_none_match and request.if_none_match.contains_weak(tag):
        return Response(status=304, headers=headers)
    wanted = _range(request, mp3)
    start, end = wanted or (0, mp3["length"])
    headers["Content-Length"] = str(end - start)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{mp3['length']}"
    pieces = iter(()) if request.method == "HEAD" else _primed(bucket.read(mp3["file_id"], mp3["length"], start, end))
    return Response(pieces, 206 if wanted else 200, headers, content_type="audio/mpeg", direct_passthrough=True)


def _range(request: Request, mp3: Document) -> tuple[int, int] | None:
    asked = parse_range_header(request.headers.get("Range"))
    if request.method != "GET" or asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if "If-Range" in request.headers:
        condition = parse_if_range_header(request.headers["If-Range"])
        if condition.etag != mp3["sha256"] or request.headers["If-Range"].startswith("W/"):
            return None
    wanted = asked.range_for_length(mp3["length"])
    if wanted is None:
        total = {"Content-Range": f"bytes */{mp3['length']}"}
        raise Problem(416, "range_not_satisfiable", f"The MP3 has {mp3['length']} bytes.", total)
    return wanted


def _primed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    # The first batch is fetched before the status line is sent: a database that is away is then still a 503.
    first = next(pieces, b"")
    return chain([first], pieces)


def _headers(mp3: Document) -> Headers:
    digest = b64encode(bytes.fromhex(mp3["sha256"])).decode()
    headers = Headers(
        {
            "Accept-Ranges": "bytes",
            "ETag": f'"{mp3["sha256"]}"',
            "Repr-Digest": f"sha-256=:{digest}:",
            "Cache-Control": "private",
            "X-Content-Type-Options": "nosniff",
        }
    )
    # RFC 6266: an ASCII name for old clients, the real one in filename*.
    plain = normalize("NFKD", mp3["filename"]).encode("ascii", "ignore").decode() or "audio.mp3"
    exact = quote(mp3["filename"], safe="!#$&+-.^_`|~")
    headers.set("Content-Disposition", "attachment", filename=plain, **{"filename*": f"UTF-8''{exact}"})
    return headers
