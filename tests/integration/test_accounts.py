"""The accounts that the migration makes in MongoDB: each suffices for its function's work, and for nothing else."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandListener, CommandStartedEvent

from functions.common import litter
from functions.common.files import MP3S, VIDEOS, Bucket
from functions.common.jobrecord import Run
from functions.common.jobs import Jobs
from functions.common.mongo import Mongo
from functions.janitor import rounds
from functions.janitor.upkeep import Times, Upkeep
from functions.migrate.accounts import make_mongo
from functions.migrate.main import migrate_mongo
from local import mongo as server
from local import ports
from tests.fakes import FakePublisher
from tests.servers import mongo_stand_in

QUOTED = "p%2Fw%2541%3A%40"  # what an address makes of p/w%41:@
# The letters are find, insert, update, remove; a collection that is not named is closed.
RIGHTS = {
    "upload": {"jobs": "fiur", "videos": "ir"},
    "convert": {"jobs": "fu", "videos": "fr", "mp3s": "fir"},
    "notify": {"jobs": "fu"},
    "download": {"jobs": "fu", "videos": "r", "mp3s": "fr"},
    "janitor": {"jobs": "fur", "videos": "fr", "mp3s": "fr"},
}
ACTIONS: dict[str, Callable[[Collection[Any]], object]] = {
    "find": lambda collection: collection.find_one({"_id": "none"}),
    "insert": lambda collection: collection.insert_one({}),
    "update": lambda collection: collection.update_one({"_id": "none"}, {"$set": {"x": 1}}),
    "remove": lambda collection: collection.delete_one({"_id": "none"}),
}
# What MongoDB asks for before it runs a command.
NEEDS = {
    "find": {"find"},
    "getMore": {"find"},
    "aggregate": {"find"},
    "insert": {"insert"},
    "update": {"update"},
    "delete": {"remove"},
    "findAndModify": {"find", "update"},
}
UNAUTHORISED = 13


def expanded(name: str) -> dict[str, set[str]]:
    """RIGHTS of an account by the collections' full names."""
    actions = {action[0]: action for action in ACTIONS}
    rights: dict[str, set[str]] = {}
    for bucket, letters in RIGHTS[name].items():
        for collection in (bucket,) if bucket == "jobs" else (f"{bucket}.files", f"{bucket}.chunks"):
            rights[collection] = {actions[letter] for letter in letters}
    return rights


class Account(Mongo, CommandListener):
    """A login that notes each command which the account's rights do not cover.

    The stand-in holds an account to its actions, but does not look at the collection; MongoDB does.
    """

    def __init__(self, name: str, url: str) -> None:
        super().__init__(url)
        self._rights = expanded(name)
        self._watched = MongoClient[Any](url, event_listeners=[self], timeoutMS=10_000, tz_aware=True)
        self.beyond: list[tuple[str, str]] = []

    @property
    def database(self) -> Database[Any]:
        """The database, watched."""
        return self._watched.get_default_database()

    def started(self, event: CommandStartedEvent) -> None:
        """Called by the driver."""
        command = event.command_name
        collection = str(event.command["collection" if command == "getMore" else command])
        if command in NEEDS and not NEEDS[command] <= self._rights.get(collection, set()):
            self.beyond.append((command, collection))

    def succeeded(self, event: object) -> None:
        """Called by the driver."""

    def failed(self, event: object) -> None:
        """Called by the driver."""


@dataclass(frozen=True)
class Site:
    """What was made: each account's address, and the privileges that the server keeps for it."""

    urls: dict[str, str]
    privileges: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A MongoDB that asks for passwords; migrated twice, the second time with others."""
    home, port = tmp_path_factory.mktemp("accounts"), ports.choose(set())
    (home / "mongodb").mkdir()
    plain = server.url(port)
    urls = {name: plain.replace("//", f"//{name}:{QUOTED}@") for name in RIGHTS}
    with mongo_stand_in(home, port):
        migrating = Mongo(plain)
        migrate_mongo(migrating)
        for password in ("old", QUOTED):
            for name, url in urls.items():
                (home / "mongodb" / name).write_text(url.replace(QUOTED, password) + "\n")
            make_mongo(migrating, home)
        kept = {name: migrating.database.command("rolesInfo", name, showPrivileges=True) for name in urls}
        migrating.database.client.close()
    with mongo_stand_in(home, port, "--auth"):
        yield Site(urls, {name: answer["roles"][0]["privileges"] for name, answer in kept.items()})


@pytest.fixture
def account(site: Site) -> Iterator[Callable[[str], Account]]:
    """Logs in; in the end nobody may have gone beyond his rights."""
    opened: list[Account] = []

    def log_in(name: str) -> Account:
        opened.append(Account(name, site.urls[name]))
        return opened[-1]

    yield log_in
    for mongo in opened:
        mongo.database.client.close()
    assert [mongo.beyond for mongo in opened if mongo.beyond] == []


def jobs(mongo: Mongo) -> Jobs:
    return Jobs(lambda: mongo.database["jobs"])


@pytest.mark.parametrize("name", RIGHTS)
def test_a_role_holds_its_functions_rights_and_no_more(site: Site, name: str) -> None:
    kept = {one["resource"]["collection"]: set(one["actions"]) for one in site.privileges[name]}

    assert kept == expanded(name)
    assert {one["resource"]["db"] for one in site.privileges[name]} == {server.DATABASE}


@pytest.mark.parametrize("name", RIGHTS)
def test_the_server_holds_an_account_to_its_role(site: Site, name: str) -> None:
    refused = set()
    with MongoClient[Any](site.urls[name], timeoutMS=10_000) as client:
        database = client.get_default_database()
        for action, act in ACTIONS.items():
            try:
                act(database["elsewhere"])
            except OperationFailure as error:
                refused |= {(action, error.code)}
        with pytest.raises(OperationFailure, match="not authorized"):
            database.command("createUser", "new", pwd="x", roles=[])
        with pytest.raises(OperationFailure, match="not authorized"):
            database["jobs"].create_index("new")

    granted = set().union(*expanded(name).values())
    assert refused == {(action, UNAUTHORISED) for action in set(ACTIONS) - granted}


def test_an_old_password_opens_nothing(site: Site) -> None:
    with MongoClient[Any](site.urls["upload"].replace(QUOTED, "old"), timeoutMS=10_000) as client:
        jobs = client.get_default_database()["jobs"]
        with pytest.raises(OperationFailure, match="authentication failed"):
            jobs.find_one({})


def upload(mongo: Mongo) -> Run:
    """What upload does: one that breaks off and is forgotten, and one that comes whole."""
    records, videos = jobs(mongo), Bucket(mongo, VIDEOS)
    broken = records.begin("owner", "a@demo.example", "a.mp4", key=uuid.uuid4().hex)
    assert broken
    writer = videos.writer(broken.file_id)
    writer.write(bytes(3_000_000))
    ended = records.discard(broken)
    assert ended
    assert litter.sweep(records, {VIDEOS: videos}, ended)
    assert records.forget(broken.job_id)
    run = records.begin("owner", "a@demo.example", "a.mp4")
    assert run
    writer = videos.writer(run.file_id)
    writer.write(bytes(3_000_000))
    writer.close("a.mp4", {})
    assert records.extend(run)
    assert records.uploaded(run, writer.length, "")
    return run


def convert(mongo: Mongo, job_id: str) -> None:
    """What convert does: gives up once, then reads the video, stores and checks an MP3, removes the video."""
    records, buckets = jobs(mongo), {name: Bucket(mongo, name) for name in (VIDEOS, MP3S)}
    abandoned = records.take("convert", job_id)
    assert abandoned
    writer = buckets[MP3S].writer(abandoned.file_id)
    writer.write(bytes(3_000_000))
    back = records.hand_back(abandoned, counted=False)
    assert back
    own = [entry for entry in back["litter"] if entry["bucket"] == MP3S]
    assert litter.sweep(records, buckets, back | {"litter": own})
    run = records.take("convert", job_id)
    assert run
    video = run.job["video"]
    assert sum(map(len, buckets[VIDEOS].read(video["file_id"], video["length"], 0, video["length"]))) == 3_000_000
    writer = buckets[MP3S].writer(run.file_id)
    writer.write(bytes(600_000))
    writer.close("a.mp3", {})
    digest = buckets[MP3S].sha256(writer.file_id, writer.length)
    mp3 = {"file_id": run.file_id, "filename": "a.mp3", "length": writer.length, "sha256": digest}
    done = records.converted(run, mp3, {}, timedelta(days=1))
    assert done
    assert litter.sweep(records, buckets, done)


def test_the_accounts_suffice_for_a_whole_journey(account: Callable[[str], Account]) -> None:
    first, second = upload(account("upload")), upload(account("upload"))
    convert(account("convert"), first.job_id)
    mailing = jobs(account("notify"))
    run = mailing.take("notify", first.job_id)
    assert run
    assert mailing.sending(run)
    assert mailing.mailed(run)

    mongo = account("download")
    records, buckets = jobs(mongo), {name: Bucket(mongo, name) for name in (VIDEOS, MP3S)}
    done, queued = (records.get(run.job_id, "owner") for run in (first, second))
    assert done
    assert queued
    mp3 = done["mp3"]
    assert b"".join(buckets[MP3S].read(mp3["file_id"], mp3["length"], 0, mp3["length"])) == bytes(600_000)
    for ended in (records.expire(done), records.cancel(queued)):
        assert ended
        assert litter.sweep(records, buckets, ended)


def test_the_janitors_account_suffices_for_its_rounds(account: Callable[[str], Account]) -> None:
    upload(account("upload"))
    mongo, publisher = account("janitor"), FakePublisher()
    upkeep = Upkeep(lambda: mongo.database["jobs"], Times())
    buckets = {name: Bucket(mongo, name) for name in (VIDEOS, MP3S)}

    rounds.tidy(upkeep, buckets)

    assert rounds.publish_pending(upkeep, publisher, -1) >= 1  # type: ignore[arg-type]
    rounds.remove_orphans(upkeep, buckets, -60)
