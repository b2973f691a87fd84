from dataclasses import dataclass, field
from pathlib import Path

import pytest

from functions.common.settings import SettingsError, load


@dataclass(frozen=True)
class Example:
    mongo_url: str = field(repr=False)
    keys_file: Path
    limit: int = 5
    is_open: bool = False


def test_values_are_read_and_cast() -> None:
    values = {"MONGO_URL": "m", "KEYS_FILE": "k.json", "LIMIT": "7", "IS_OPEN": "true"}

    assert load(Example, values) == Example("m", Path("k.json"), 7, True)


def test_every_missing_and_unreadable_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, {"MONGO_URL": "", "LIMIT": "many", "IS_OPEN": "perhaps"})

    for name in ("MONGO_URL", "KEYS_FILE", "LIMIT", "IS_OPEN"):
        assert name in str(caught.value)


def test_a_secret_can_come_from_a_mounted_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mongodb://from-file\n")

    assert load(Example, {"MONGO_URL_FILE": str(secret), "KEYS_FILE": "k"}).mongo_url == "mongodb://from-file"


def test_a_secret_does_not_print() -> None:
    assert "hunter2" not in repr(Example("hunter2", Path("k")))
