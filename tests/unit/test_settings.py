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


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text("{}")
    return path


def test_values_are_read_and_cast(key_file: Path) -> None:
    values = {"MONGO_URL": "mongodb://h", "KEYS_FILE": str(key_file), "LIMIT": "7", "IS_OPEN": "true"}

    assert load(Example, values) == Example("mongodb://h", key_file, 7, True)


@pytest.mark.parametrize("url", ["nonsense", "mongodb://", "http://host", "host:27017"])
def test_an_address_of_another_form_is_named_at_the_start(key_file: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="MONGO_URL is unreadable: it must be like mongodb://HOST"):
        load(Example, {"MONGO_URL": url, "KEYS_FILE": str(key_file)})


def test_a_file_that_is_not_there_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KEYS_FILE is unreadable: there is no file"):
        load(Example, {"MONGO_URL": "mongodb://h", "KEYS_FILE": str(tmp_path / "none.json")})


def test_every_missing_and_unreadable_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, {"MONGO_URL": "", "LIMIT": "many", "IS_OPEN": "perhaps"})

    for name in ("MONGO_URL", "KEYS_FILE", "LIMIT", "IS_OPEN"):
        assert name in str(caught.value)


def test_a_secret_can_come_from_a_mounted_file(tmp_path: Path, key_file: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mongodb://from-file\n")

    assert load(Example, {"MONGO_URL_FILE": str(secret), "KEYS_FILE": str(key_file)}).mongo_url == "mongodb://from-file"


def test_a_secret_does_not_print() -> None:
    assert "hunter2" not in repr(Example("hunter2", Path("k")))
