"""What the secrets hold: random passwords for databases in the cluster, given addresses for those that are elsewhere.

What a secret has already is kept, so that another run changes nothing. docs/configuration.md lists the variables.
"""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from secrets import token_urlsafe
from types import ModuleType
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
MONGO_USERS = ("upload", "convert", "notify", "download", "janitor", "migrate")
BROKER_USERS = ("upload", "convert", "janitor", "source")
MYSQL_USERS = ("auth", "migrate")
TOKENS = {"token-signing-key": "private.pem", "token-keys": "jwks.json"}
NAMES = ("mysql", "mongodb", "rabbitmq", "rabbitmq-source", "smtp", *TOKENS)
# A server takes these when its data is first made and never again: renewing them here would only lock us out.
FIXED = {"mysql": {"root-password"}, "mongodb": {"root-password", "keyfile"}}
UNSAFE = "@:/#%"  # a RabbitmqSource puts the password into an address as it stands

Secrets = dict[str, dict[str, str]]


class MissingError(Exception):
    """Not all is given that the secrets are made of; the message names what is missing."""


def wanted(inside: set[str], given: Mapping[str, str], known: Mapping[str, Mapping[str, str]], keys: Path) -> Secrets:
    """All secrets as they should be. `inside` are the services that run in the cluster, `given` is the environment,
    `known` what the cluster has, `keys` the folder of the token keys. Raises MissingError.
    """
    missing: list[str] = []

    def old(name: str) -> dict[str, str]:
        return dict(known.get(name, {}))

    def addresses(name: str, users: tuple[str, ...], variable: str) -> dict[str, str]:
        own = {user: f"{variable}_{user.upper()}" for user in users}
        urls = {
            f"{user}-url": old(name).get(f"{user}-url") or given.get(own[user]) or given.get(variable, "")
            for user in users
        }
        lacking = [own[user] for user in users if not urls[f"{user}-url"]]
        missing.extend([variable] if len(lacking) == len(users) else lacking)
        return urls

    made = {
        "mysql": _mysql(old("mysql")) if "mysql" in inside else addresses("mysql", MYSQL_USERS, "MYSQL_URL"),
        "mongodb": _mongodb(old("mongodb")) if "mongodb" in inside else addresses("mongodb", MONGO_USERS, "MONGO_URL"),
        "rabbitmq": _rabbitmq(old("rabbitmq"))
        if "rabbitmq" in inside
        else addresses("rabbitmq", BROKER_USERS, "RABBITMQ_URL"),
        "smtp": {"url": old("smtp").get("url") or given.get("SMTP_URL") or _inbox(inside)},
        **_tokens(known, keys),
    }
    if not made["smtp"]["url"]:
        missing.append("SMTP_URL")
    if missing:
        raise MissingError(f"not set: {', '.join(missing)}; docs/configuration.md says what each holds")
    made["rabbitmq-source"] = _connection(made["rabbitmq"]["source-url"])
    return made


def _mysql(old: dict[str, str]) -> dict[str, str]:
    root = old.get("root-password") or token_urlsafe(24)
    fresh = {
        "root-password": root,
        "auth-url": f"mysql://auth:{token_urlsafe(24)}@mysql:3306/accounts",
        "migrate-url": f"mysql://root:{root}@mysql:3306/accounts",
    }
    return fresh | old


def _mongodb(old: dict[str, str]) -> dict[str, str]:
    root = old.get("root-password") or token_urlsafe(24)
    # The member's own name, as it stands in the replica set: a driver goes where the set says.
    where = "mongodb-0.mongodb:27017/video_to_mp3?replicaSet=rs0&w=majority&journal=true"
    fresh = {"root-password": root, "keyfile": token_urlsafe(500).replace("-", "+").replace("_", "/")}
    for user in MONGO_USERS:
        fresh[f"{user}-url"] = f"mongodb://{user}:{token_urlsafe(24)}@{where}"
    fresh["migrate-url"] = f"mongodb://root:{root}@{where}&authSource=admin"
    return fresh | old


def _rabbitmq(old: dict[str, str]) -> dict[str, str]:
    fresh = {"admin-password": token_urlsafe(24)}
    for user in BROKER_USERS:
        fresh[f"{user}-url"] = f"amqp://{user}:{token_urlsafe(24)}@rabbitmq:5672/%2F"
    made = fresh | old
    if not ("accounts.json" in old and fresh.keys() <= old.keys()):  # its salts are random: as it was, if it fits
        made["accounts.json"] = _accounts(made)
    return made


def _accounts(secret: Mapping[str, str]) -> str:
    """The definitions of the broker's accounts, and of an administrator for whoever looks after it."""
    rights = _rights()
    made = rights.render({user: urlsplit(secret[f"{user}-url"]).password for user in BROKER_USERS})
    made["users"].append(rights.user("admin", secret["admin-password"]) | {"tags": ["administrator"]})
    made["permissions"].append(rights.permission("admin", configure=".*", write=".*", read=".*"))
    return json.dumps(made, indent=2)


def _rights() -> ModuleType:
    # By its path: a folder with a hyphen is no package.
    spec = importlib.util.spec_from_file_location("rights", ROOT / "rabbitmq-source" / "rights.py")
    assert spec
    assert spec.loader
    module = sys.modules["rights"] = importlib.util.module_from_spec(spec)  # as a dataclass wants to find it
    spec.loader.exec_module(module)
    return module


def _inbox(inside: set[str]) -> str:
    return "smtp://smtp:25?tls=none" if "inbox" in inside else ""


def _connection(url: str) -> dict[str, str]:
    """What a RabbitmqSource wants of its secret: it takes no address as a whole."""
    parts = urlsplit(url)
    secure = parts.scheme == "amqps"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if set(user + password) & set(UNSAFE):
        raise MissingError(f"the source's name and password (RABBITMQ_URL_SOURCE) may have none of {UNSAFE}")
    return {
        "uri": f"https://{parts.hostname}" if secure else str(parts.hostname),
        "port": str(parts.port or (5671 if secure else 5672)),
        "username": user,
        "password": password,
    }


def _tokens(known: Mapping[str, Mapping[str, str]], keys: Path) -> Secrets:
    """The token keys from their folder, which is made with a first pair where there is none anywhere."""
    made = {name: dict(known.get(name, {})) for name in TOKENS}
    if all(made.values()):
        return made
    if not (keys / "private.pem").exists():
        if any(made.values()):
            raise MissingError(f"the cluster has token keys and {keys} does not: KEYS names the folder that has them")
        subprocess.run([sys.executable, "-m", "functions.auth.keys", "new", str(keys)], cwd=ROOT, check=True)
    return {name: made[name] or {file: (keys / file).read_text(encoding="utf-8")} for name, file in TOKENS.items()}
