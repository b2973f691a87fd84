"""Rows: 300 MB up, refused, and down, against pymongo doing the same to the same chunks."""

import select
import socket
import statistics
import time
from collections.abc import Iterator
from http.client import HTTPConnection

from bson import ObjectId

from bench.goods import MB, Goods, chunk_documents, media_like
from bench.memory import Watermark
from bench.rows import Row, median_ratio
from bench.serving import Served
from functions.common.files import MP3S, VIDEOS

SIZE = 300 * MB
UPLOADS, DOWNLOADS, LAST_KILOBYTES = 5, 7, 21


def uploads(goods: Goods) -> Iterator[Row]:
    """Through the function, and the chunks inserted directly."""
    ours, direct = [], []
    with goods.serving("upload") as upload:
        _send(goods, upload, 1000)
        mark = Watermark(upload.processes)
        for _ in range(UPLOADS):
            ours.append(_send(goods, upload, SIZE))
            direct.append(_insert(goods))
        growth = mark.growth()
    rates = f"{_rate(ours)} MB/s against {_rate(direct)} MB/s"
    yield Row("upload of 300 MB ÷ inserting its chunks, rate", median_ratio(direct, ours), ">= 0.7", "x", rates)
    yield Row("upload of 300 MB, memory growth", growth, "<= 24", "MiB", f"idle; {UPLOADS} one by one")


def refusals(goods: Goods) -> Iterator[Row]:
    """A body that nobody wants: is it refused before it is through, and without being kept?"""
    cases: dict[str, tuple[dict[str, str], dict[str, str]]] = {
        "401": ({}, {}),
        "413": (goods.bearer, {"MAX_UPLOAD_BYTES": str(SIZE // 2)}),
    }
    for status, (headers, settings) in cases.items():
        with goods.serving("upload", settings) as upload:
            _send(goods, upload, 1000)
            mark = Watermark(upload.processes)
            sent = max(_refused(upload, status, headers) for _ in range(UPLOADS))
            growth = mark.growth()
        name = f"refused upload of 300 MB ({status})"
        yield Row(f"{name}, memory growth", growth, "<= 8", "MiB", f"idle; {UPLOADS} one by one")
        yield Row(f"{name}, sent when the answer came", sent / MB, "< 300", "MB", "the whole body")


def downloads(goods: Goods) -> Iterator[Row]:
    """Through the function, and the chunks read directly."""
    job = goods.finished_job(media_like(SIZE))
    file_id = job["mp3"]["file_id"]
    ours, direct, last = [], [], []
    with goods.serving("download") as download:
        _fetch(goods, download, file_id, "bytes=0-0")
        for _ in range(DOWNLOADS):
            ours.append(_fetch(goods, download, file_id))
            direct.append(_read(goods, file_id))
        for _ in range(LAST_KILOBYTES):
            last.append(_fetch(goods, download, file_id, "bytes=-1024") * 1000)
    goods.remove(MP3S, file_id)
    rates = f"{_rate(ours)} MB/s against {_rate(direct)} MB/s"
    yield Row("download of 300 MB ÷ reading its chunks, rate", median_ratio(direct, ours), ">= 0.7", "x", rates)
    yield Row("download of the last kilobyte of 300 MB", statistics.median(last), "<= 20", "ms", "nothing")


def _rate(seconds: list[float]) -> int:
    return round(SIZE / MB / statistics.median(seconds))


def _send(goods: Goods, upload: Served, length: int) -> float:
    connection = HTTPConnection("127.0.0.1", upload.port, timeout=600)
    started = time.monotonic()
    connection.request(
        "POST", "/v1/jobs?filename=bench.mkv", media_like(length), {**goods.bearer, "Content-Length": str(length)}
    )
    response = connection.getresponse()
    answer = response.read()
    seconds = time.monotonic() - started
    connection.close()
    if response.status == 202:
        job = goods.mongo.database["jobs"].find_one_and_delete({"_id": response.headers["Location"].rpartition("/")[2]})
        assert job
        goods.remove(VIDEOS, job["video"]["file_id"])
    else:
        assert response.status == 413, answer  # where it is only to wake the function
    return seconds


def _insert(goods: Goods) -> float:
    chunks = goods.mongo.database["videos.chunks"]
    file_id = ObjectId()
    started = time.monotonic()
    for batch in chunk_documents(SIZE, file_id):
        chunks.insert_many(batch)
    seconds = time.monotonic() - started
    goods.remove(VIDEOS, file_id)
    return seconds


def _refused(upload: Served, status: str, headers: dict[str, str]) -> int:
    fields = {"Host": "bench", "Content-Length": str(SIZE), "Connection": "close", **headers}
    head = "POST /v1/jobs HTTP/1.1\r\n" + "".join(f"{name}: {text}\r\n" for name, text in fields.items()) + "\r\n"
    sent, block = 0, next(media_like(MB))
    with socket.create_connection(("127.0.0.1", upload.port), timeout=60) as connection:
        connection.sendall(head.encode())
        connection.setblocking(False)  # a blocked send would not see the answer
        while sent < SIZE:
            answered, free, _ = select.select([connection], [connection], [], 60)
            if answered:
                break
            sent += connection.send(block) if free else 0
        answer = connection.recv(65_536)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    return sent


def _fetch(goods: Goods, download: Served, file_id: ObjectId, wanted: str = "") -> float:
    headers = {**goods.bearer, **({"Range": wanted} if wanted else {})}
    buffer = memoryview(bytearray(MB))
    connection = HTTPConnection("127.0.0.1", download.port, timeout=600)
    started = time.monotonic()
    connection.request("GET", f"/v1/mp3s/{file_id}", headers=headers)
    response = connection.getresponse()
    expected, received = int(response.headers["Content-Length"]), 0
    while count := response.readinto(buffer):
        received += count
    seconds = time.monotonic() - started
    connection.close()
    assert (response.status, received) == (206 if wanted else 200, expected)
    return seconds


def _read(goods: Goods, file_id: ObjectId) -> float:
    chunks = goods.mongo.database["mp3s.chunks"]
    started = time.monotonic()
    received = 0
    for document in chunks.find({"files_id": file_id}).sort("n"):
        received += len(document["data"])
    seconds = time.monotonic() - started
    assert received == SIZE
    return seconds
