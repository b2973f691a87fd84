"""The wiring of a home: who gets which address, and what a URL from outside replaces."""

import ast
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local import functions, gateway, rabbitmq
from local.plan import SETTINGS, URLS, Plan, chosen
from local.process import ROOT

OUTSIDE = {
    "MYSQL_URL": "mysql://u:p@db.example/a",
    "MONGO_URL": "mongodb://db.example/a",
    "RABBITMQ_URL": "amqp://u:p@broker.example/%2F",
    "SMTP_URL": "smtps://u:p@mail.example",
}
PROGRAMS = {
    "upload": "upload",
    "convert": "convert",
    "janitor": "janitor",
    "source-video": "source",
    "source-mp3": "source",
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


def test_every_program_has_an_account_of_its_own_at_our_broker(tmp_path: Path) -> None:
    plan = Plan(tmp_path, 0, {})
    addresses = {
        name: urlsplit(plan.environment(name).get("RABBITMQ_URL", "")) for name in [*PROGRAMS, *functions.NAMES]
    }

    assert {name: address.username for name, address in addresses.items() if address.username} == PROGRAMS
    assert urlsplit(plan.urls.rabbitmq).username == "local"
    passwords = {address.password for address in [*addresses.values(), urlsplit(plan.urls.rabbitmq)]}
    assert len(passwords - {None}) == len(set(PROGRAMS.values())) + 1


def test_the_broker_loads_the_tracked_topology_and_every_account_and_no_password(tmp_path: Path) -> None:
    plan = Plan(tmp_path, 0, {})
    plan.servers()
    text = (tmp_path / "rabbitmq" / "definitions.json").read_text(encoding="utf-8")
    loaded = json.loads(text)

    assert loaded | rabbitmq.definitions() == loaded
    assert {user["name"] for user in loaded["users"]} == {"local", *PROGRAMS.values()}
    assert {right["user"] for right in loaded["permissions"]} == {"local", *PROGRAMS.values()}
    for password in json.loads((tmp_path / "passwords.json").read_text(encoding="utf-8")).values():
        assert password not in text


def test_a_home_from_before_the_accounts_keeps_its_passwords_and_gets_the_new_ones(tmp_path: Path) -> None:
    old = {"mysql": "kept-1", "rabbitmq": "kept-2"}
    (tmp_path / "passwords.json").write_text(json.dumps(old), encoding="utf-8")

    plan = Plan(tmp_path, 0, {})

    assert urlsplit(plan.urls.mysql).password == "kept-1"
    assert urlsplit(plan.urls.rabbitmq).password == "kept-2"
    now = json.loads((tmp_path / "passwords.json").read_text(encoding="utf-8"))
    assert now | old == now
    assert urlsplit(plan.environment("upload")["RABBITMQ_URL"]).password == now["rabbitmq-upload"]


def test_listen_moves_the_backing_services_and_nothing_else(tmp_path: Path) -> None:
    plan = Plan(tmp_path, 0, chosen({"LISTEN": "127.0.0.2"}))

    hosts = {name: urlsplit(address).hostname for name, address in plan.settings.items()}

    assert {name for name, host in hosts.items() if host == "127.0.0.1"} == {"INBOX_URL"}
    assert {host for name, host in hosts.items() if name != "INBOX_URL"} == {"127.0.0.2"}
    assert plan.environment("auth")["HOST"] == urlsplit(plan.url).hostname == "127.0.0.1"
    assert not any("LISTEN" in program.environment for program in [*plan.servers(), *plan.product()])


def test_the_addresses_to_hand_on_name_each_account_of_our_broker_alone(tmp_path: Path) -> None:
    ours, given = Plan(tmp_path, 0, {}).settings, Plan(tmp_path, 0, OUTSIDE).settings

    assert {urlsplit(text).username for name, text in ours.items() if name.startswith("RABBITMQ_URL_")} == {
        *PROGRAMS.values()
    }
    assert given == OUTSIDE


def test_children_inherit_no_more_of_the_environment_than_is_named(tmp_path: Path) -> None:
    handed_on = set(Plan(tmp_path, 0, {}).environment()) & set(os.environ)

    assert handed_on <= {"PATH", "LANG", "HOME", "TMPDIR", "PYTHONPATH", "PYTHONUNBUFFERED"}
