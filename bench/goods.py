"""What the measurements work on: an account, files in GridFS, jobs in the state that a row needs."""

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

from bson import ObjectId

from bench.serving import ALL, ROOT, Served, Share, serving
from functions.common.files import CHUNK_BYTES, MP3S, VIDEOS, Bucket, Writer
from functions.common.jobs import Jobs
from functions.common.mongo import Document, Mongo
from local.stack import Stack

MB = 1_000_000
BATCH = 16  # chunks


@dataclass(frozen=True)
class Goods:
    """The servers behind the functions, and an account with its token."""

    backing: Stack
    mongo: Mongo
    account: str
    email: str
    basic: str
    token: str

    @property
    def bearer(self) -> dict[str, str]:
        """The headers of a request by the account."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def jobs(self) -> Jobs:
        """The job records."""
        return Jobs(lambda: self.mongo.database["jobs"])

    def serving(
        self, name: str, settings: Mapping[str, str] | None = None, share: Share = ALL, root: Path = ROOT
    ) -> AbstractContextManager[Served]:
        """A function, or `hello`, of the checkout `root`, with its settings and these."""
        return serving(name, {**self.backing.env(name if name != "hello" else ""), **(settings or {})}, share, root)

    def store(self, bucket: str, file_id: ObjectId, pieces: Iterator[bytes]) -> Writer:
        """A file in GridFS."""
        writer = Bucket(self.mongo, bucket).writer(file_id)
        for piece in pieces:
            writer.write(piece)
        writer.close("bench.mkv", {})
        return writer

    def queued_job(self, pieces: Iterator[bytes]) -> Document:
        """A job whose video waits for convert."""
        run = self.jobs.begin(self.account, self.email, "bench.mkv")
        assert run
        writer = self.store(VIDEOS, run.file_id, pieces)
        job = self.jobs.uploaded(run, writer.length, "0" * 64)
        assert job
        return job

    def finished_job(self, pieces: Iterator[bytes]) -> Document:
        """A job that is done, with an MP3 of these bytes and its mail sent."""
        waiting = self.queued_job(iter([b""]))
        run = self.jobs.take("convert", waiting["_id"])
        assert run
        writer = self.store(MP3S, run.file_id, pieces)
        mp3 = {"file_id": writer.file_id, "filename": "bench.mp3", "length": writer.length, "sha256": "0" * 64}
        job = self.jobs.converted(run, mp3, {}, timedelta(days=1))
        mail = self.jobs.take("notify", waiting["_id"])
        assert job
        assert mail
        self.jobs.mailed(mail)
        return job

    def remove(self, bucket: str, file_id: ObjectId) -> None:
        """The file again."""
        Bucket(self.mongo, bucket).delete(file_id)


def open_account(backing: Stack) -> Goods:
    """Prepares the databases, and makes an account by the calls that anyone would make."""
    _run("functions.auth.keys", "new", str(backing.home / "keys"))
    _run("functions.migrate.main", environment=backing.env("migrate"))
    email, password = f"bench-{uuid4().hex}@example.org", "a password of the bench"
    basic = "Basic " + b64encode(f"{email}:{password}".encode()).decode()
    with serving("auth", backing.env("auth")) as auth:
        body = json.dumps({"email": email, "password": password}).encode()
        status, made = auth.call("POST", "/v1/users", body, {"Content-Type": "application/json"})
        assert status == 201, made
        status, token = auth.call("POST", "/login", headers={"Authorization": basic})
        assert status == 200, token
    return Goods(backing, Mongo(backing.mongo_url), json.loads(made)["id"], email, basic, token.decode())


def _run(module: str, *words: str, environment: Mapping[str, str] | None = None) -> None:
    subprocess.run([sys.executable, "-m", module, *words], check=True, cwd=ROOT, env=environment)


def media_like(length: int) -> Iterator[bytes]:
    """`length` bytes that begin like Matroska and don't compress; a repeated block, as making them must cost little."""
    block = Random(1).randbytes(MB)
    yield b"\x1a\x45\xdf\xa3" + block[4 : min(MB, length)]
    for start in range(MB, length, MB):
        yield block[: min(MB, length - start)]


def chunk_documents(length: int, file_id: ObjectId) -> Iterator[list[Document]]:
    """The same bytes as GridFS chunks, in batches."""
    data = memoryview(b"".join(media_like(min(length, BATCH * CHUNK_BYTES))))
    count = -(-length // CHUNK_BYTES)
    for first in range(0, count, BATCH):
        yield [
            {"_id": ObjectId(), "files_id": file_id, "n": n, "data": _slice(data, n - first, length - n * CHUNK_BYTES)}
            for n in range(first, min(first + BATCH, count))
        ]


def _slice(data: memoryview, index: int, left: int) -> bytes:
    return bytes(data[index * CHUNK_BYTES : index * CHUNK_BYTES + min(CHUNK_BYTES, left)])
