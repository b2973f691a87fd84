"""The wiring of one home: its ports, its passwords, its addresses, each program's environment."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from local import functions, gateway, inbox, mariadb, mongo, passwords, rabbitmq
from local.functions import Urls
from local.ports import LOOPBACK, Ports
from local.process import ROOT, Program

MAX_UPLOAD_BYTES = 2 << 30
JANITOR_SECONDS = 60.0
# The broker's accounts and what their passwords are called in passwords.json.
BROKER_PASSWORDS = {
    account: "rabbitmq" if account == rabbitmq.ADMINISTRATOR else f"rabbitmq-{account}" for account in rabbitmq.ACCOUNTS
}
URLS = ("MYSQL_URL", "MONGO_URL", "RABBITMQ_URL", "SMTP_URL")
# What `make up` hands on from its own environment, beside the URLs. docs/configuration.md says what each means.
SETTINGS = (
    *("LOG_LEVEL", "SIGNUP_OPEN", "TOKEN_SECONDS", "MAX_UPLOAD_BYTES", "LEASE_SECONDS", "PENDING_SECONDS"),
    *("DEAD_UPLOAD_SECONDS", "REDRIVE_SECONDS", "ORPHAN_SECONDS", "MAIL_WAIT_SECONDS"),
    *("CONVERSION_SECONDS", "RUN_SECONDS", "RESULT_DAYS", "MAIL_FROM", "PUBLIC_URL", "ACCOUNTS_DIR"),
    *("JANITOR_SECONDS", "RETRY_DELAY_MS"),
)


def chosen(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What this environment sets of a stack's settings."""
    return {name: environ[name] for name in (*URLS, "LISTEN", *SETTINGS) if environ.get(name)}


class Plan:
    """What runs in `home`, with the gateway on `port` (0: any). `overrides` are settings for all programs.

    LISTEN among them is the address of the backing services; all else stays on loopback.
    """

    def __init__(self, home: Path, port: int, overrides: Mapping[str, str]) -> None:
        self.home = home
        self.listen = overrides.get("LISTEN") or LOOPBACK
        self.ports = Ports(home / "ports.json", {LOOPBACK, self.listen})
        self.port = port or self.ports["gateway"]
        self.keys = home / "keys"
        self._settings = {name: text for name, text in overrides.items() if name not in (*URLS, "LISTEN")}
        self._given = {name: overrides[name] for name in URLS if overrides.get(name)}
        self._passwords = passwords.load(home / "passwords.json", ["mysql", *BROKER_PASSWORDS.values()])

    @property
    def urls(self) -> Urls:
        """The backing services: those given, else our own with an administrator's account."""
        ports, given = self.ports, self._given
        return Urls(
            mysql=given.get("MYSQL_URL") or mariadb.url(ports["mysql"], self._passwords["mysql"], self.listen),
            mongo=given.get("MONGO_URL") or mongo.url(ports["mongo"], self.listen),
            rabbitmq=self._broker(rabbitmq.ADMINISTRATOR),
            smtp=given.get("SMTP_URL") or f"smtp://{self.listen}:{ports['smtp']}?tls=none",
        )

    def _broker(self, account: str) -> str:
        """The broker that was given, else our own for one of its accounts."""
        ours = rabbitmq.url(self.ports["rabbitmq"], account, self._passwords[BROKER_PASSWORDS[account]], self.listen)
        return self._given.get("RABBITMQ_URL") or ours

    @property
    def url(self) -> str:
        """The gateway."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def inbox_url(self) -> str:
        """The inbox's page; empty when mail goes to somebody else's server."""
        return "" if "SMTP_URL" in self._given else f"http://127.0.0.1:{self.ports['inbox']}"

    @property
    def settings(self) -> dict[str, str]:
        """The URLs as settings, by their names; at our own broker also one for each account, as RABBITMQ_URL_UPLOAD."""
        urls = self.urls
        found = {"MYSQL_URL": urls.mysql, "MONGO_URL": urls.mongo, "RABBITMQ_URL": urls.rabbitmq, "SMTP_URL": urls.smtp}
        if "RABBITMQ_URL" not in self._given:
            accounts = (account for account in rabbitmq.ACCOUNTS if account != rabbitmq.ADMINISTRATOR)
            found |= {f"RABBITMQ_URL_{account.upper()}": self._broker(account) for account in accounts}
        return found | ({"INBOX_URL": self.inbox_url} if self.inbox_url else {})

    def environment(self, name: str = "") -> dict[str, str]:
        """The environment of a function, of `janitor`, `migrate`, `source-video`, `source-mp3`; else what all have."""
        own: dict[str, str] = {}
        urls = self.urls
        if account := functions.BROKER_ACCOUNTS.get(name):
            urls = replace(urls, rabbitmq=self._broker(account))
        if name.startswith("source-"):
            own = functions.source_variables(name.removeprefix("source-"), self.ports, urls.rabbitmq)
        elif name:
            own = functions.variables(name, urls, self.keys, self.url) | self._settings
        if name in functions.NAMES:
            own |= functions.serving(name, self.ports[name])
        return self._base() | own

    def _base(self) -> dict[str, str]:
        # No more of our own environment than this: a child may not depend on whose shell started it.
        base = {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
        kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
        return base | kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | self._level()

    def _level(self) -> dict[str, str]:
        return {name: text for name, text in self._settings.items() if name == "LOG_LEVEL"}

    def servers(self) -> list[Program]:
        """The backing services that are ours."""
        home, ports, base = self.home, self.ports, self.environment()
        delay = int(self._settings.get("RETRY_DELAY_MS", 0))
        found: list[Program] = []
        if "RABBITMQ_URL" not in self._given:  # the slowest first
            secrets = {account: self._passwords[key] for account, key in BROKER_PASSWORDS.items()}
            found += rabbitmq.programs(home / "rabbitmq", ports, secrets, delay, base, self.listen)
        if "MONGO_URL" not in self._given:
            found.append(mongo.program(home / "mongo", ports["mongo"], base, self.listen))
        if "MYSQL_URL" not in self._given:
            found.append(mariadb.program(home / "mariadb", ports["mysql"], self._passwords["mysql"], base, self.listen))
        if "SMTP_URL" not in self._given:
            found.append(inbox.program(home / "mails", ports["smtp"], ports["inbox"], base, self.listen))
        return found

    def product(self) -> list[Program]:
        """The functions and what stands around them."""
        limit = int(self._settings.get("MAX_UPLOAD_BYTES", MAX_UPLOAD_BYTES))
        period = float(self._settings.get("JANITOR_SECONDS", JANITOR_SECONDS))
        ports = {name: self.ports[name] for name in functions.NAMES}
        return [
            *([functions.topology(self._topology())] if "RABBITMQ_URL" in self._given else []),
            functions.migrate(self.environment("migrate")),
            *(functions.function(name, ports[name], self.environment(name)) for name in functions.NAMES),
            *(functions.source(queue, self.environment(f"source-{queue}")) for queue in functions.SOURCES),
            gateway.program(self.home / "gateway", self.port, ports, limit, self.environment()),
            functions.janitor(self.environment("janitor"), period),
        ]

    def _topology(self) -> dict[str, str]:
        return self.environment() | {"RABBITMQ_URL": self.urls.rabbitmq} | self._settings
