"""Which refusals of a write say that MongoDB has no room, in each form in which they come."""

from typing import Any

import pytest
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, WriteError

from functions.common.mongo import StorageFullError, writing

FULL: list[dict[str, Any]] = [
    {"code": 14031, "errmsg": "available disk space of 100 bytes is less than required minimum of 200"},
    {"code": 8, "errmsg": "28: No space left on device"},
    {"code": 371, "errmsg": "User writes blocked, reason: DiskUseThresholdExceeded"},
    {"code": 8000, "errmsg": "you are over your space quota, using 513 MB of 512 MB"},
]
OTHERS: list[dict[str, Any]] = [
    {"code": 371, "errmsg": "User writes blocked, reason: ClusterToClusterMigrationInProgress"},
    {"code": 8000, "errmsg": "user is not allowed to do action [insert]"},
    {"code": 13, "errmsg": "not authorized", "keyValue": "no space left on device"},
]


def forms(refusal: dict[str, Any]) -> list[OperationFailure]:
    """The refusal of a command, of a single document, of one of several: those are told with their contents."""
    one = {"index": 0, "op": {"data": b"14031 No space left on device"}, **refusal}
    return [
        OperationFailure(refusal["errmsg"], refusal["code"], {"ok": 0, **refusal}),
        WriteError(refusal["errmsg"], refusal["code"], one),
        BulkWriteError({"writeErrors": [one], "nInserted": 3}),
    ]


@pytest.mark.parametrize("error", [error for refusal in FULL for error in forms(refusal)])
def test_a_write_without_room_is_told_as_such(error: OperationFailure) -> None:
    with pytest.raises(StorageFullError), writing():
        raise error


@pytest.mark.parametrize("error", [*(e for refusal in OTHERS for e in forms(refusal)), DuplicateKeyError("taken")])
def test_any_other_refusal_stays_what_it_is(error: OperationFailure) -> None:
    with pytest.raises(type(error)), writing():
        raise error
