"""The wiring of a home: who gets which address, and what a URL from outside replaces."""

import ast
import base64
import hashlib
import os
from pathlib import Path

import pytest

from local import gateway, rabbitmq
from local.plan import SETTINGS, URLS, Plan, chosen
from local.process import ROOT

OUTSIDE = {
    "MYSQL_URL": "mysql://u:p@db.example/a",
    "MONGO_URL": "mongodb://db.example/a",
    "RABBITMQ_URL": "amqp://u:p@broker.example/%2F",
    "SMTP_URL": "smtps://u:p@mail.example",
}
SERVERS = {
    "MYSQL_URL": {"mariadb"},
    "MONGO_URL": {"mongo"},
    "RABBITMQ_URL": {"epmd", "rabbitmq"},
    "SMTP_URL": {"inbox"},
}


@pytest.mark.parametrize("name", URLS)
def test_a_given_url_replaces_the_server_and_reaches_whoever_needs_it(tmp_path: Path, name: str) -> None:
    plan = Plan(tmp_path, 0, {name: OUTSIDE[name]})

    programs = {program.name: program for program in [*plan.servers(), *plan.product()]}

    assert not SERVERS[name] & set(programs)
    assert {"mariadb", "mongo", "rabbitmq", "inbox"} - SERVERS[name] <= set(programs)
    assert ("topology" in programs) == (name == "RABBITMQ_URL")
    told = {program for program, made in programs.items() if OUTSIDE[name] == made.environment.get(name)}
    assert (
        told
        == {
            "MYSQL_URL": {"auth", "migrate"},
            "MONGO_URL": {"upload", "convert", "notify", "download", "janitor", "migrate"},
            "RABBITMQ_URL": {"upload", "convert", "janitor", "source-video", "source-mp3", "topology"},
            "SMTP_URL": {"notify"},
        }[name]
    )


def test_no_program_gets_an_address_that_it_has_no_use_for(tmp_path: Path) -> None:
    plan = Plan(tmp_path, 0, OUTSIDE)

    given = {name: set(URLS) & set(plan.environment(name)) for name in ("auth", "download", "notify")}

    assert given == {"auth": {"MYSQL_URL"}, "download": {"MONGO_URL"}, "notify": {"MONGO_URL", "SMTP_URL"}}


def test_settings_from_outside_win_and_what_is_not_one_stays_outside() -> None:
    environ = {"LOG_LEVEL": "DEBUG", "MONGO_URL": "mongodb://db.example/a", "SMTP_URL": "", "HOME": "elsewhere"}

    assert chosen(environ) == {"LOG_LEVEL": "DEBUG", "MONGO_URL": "mongodb://db.example/a"}


def test_make_up_hands_on_every_setting_that_has_a_default() -> None:
    optional = {
        field.target.id.upper()
        for path in (ROOT / "functions").glob("*/main.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.value
    }
    secret = {name for name in optional if name.endswith("_URL") and name != "PUBLIC_URL"}  # these have no default

    assert optional - secret <= set(SETTINGS)


def test_a_setting_reaches_every_function(tmp_path: Path) -> None:
    plan = Plan(tmp_path, 0, {"LOG_LEVEL": "DEBUG", "SIGNUP_OPEN": "false"})

    assert plan.environment("auth")["SIGNUP_OPEN"] == "false"
    assert {plan.environment(name)["LOG_LEVEL"] for name in ("auth", "janitor", "source-mp3")} == {"DEBUG"}


def test_ports_and_passwords_are_the_same_the_next_time(tmp_path: Path) -> None:
    assert Plan(tmp_path, 0, {}).urls == Plan(tmp_path, 0, {}).urls


def test_the_gateways_template_is_filled_in_and_its_limit_leaves_room_for_a_form() -> None:
    values = gateway.variables(8080, {name: 21_000 for name in gateway.FUNCTIONS}, 1000)

    text = gateway.render(values)

    assert "${" not in text
    assert "client_max_body_size 66536;" in text


def test_scaled_delay_queues_are_otherwise_the_tracked_ones() -> None:
    tracked, scaled = rabbitmq.definitions(), rabbitmq.definitions(2000)

    delays = [queue["arguments"].pop("x-message-ttl", None) for queue in scaled["queues"]]
    for queue in tracked["queues"]:
        queue["arguments"].pop("x-message-ttl", None)

    assert delays.count(2000) == 2
    assert scaled == tracked


def test_the_brokers_account_holds_a_hash_that_fits_the_password() -> None:
    (user,) = rabbitmq.account("a password")["users"]

    salted = base64.b64decode(user["password_hash"])

    assert salted[4:] == hashlib.sha256(salted[:4] + b"a password").digest()


def test_children_inherit_no_more_of_the_environment_than_is_named(tmp_path: Path) -> None:
    handed_on = set(Plan(tmp_path, 0, {}).environment()) & set(os.environ)

    assert handed_on <= {"PATH", "LANG", "HOME", "TMPDIR", "PYTHONPATH", "PYTHONUNBUFFERED"}
