"""Where the system under test is: from the environment, else from the local stack that LOCAL_HOME names."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local import state, supervisor


@dataclass(frozen=True)
class Target:
    """The gateway, the inbox's page, and the broker for an account that may look at queues (cold starts: publish)."""

    gateway: str
    inbox: str
    rabbitmq: str


class NoTargetError(Exception):
    """An address is not known; the message says which and how to give it."""


def find(gateway: str = "", environ: Mapping[str, str] = os.environ, stack: Mapping[str, Any] | None = None) -> Target:
    """The addresses in the environment; then `gateway` (what the cluster says); then those of the local `stack`."""
    ours = state.read(supervisor.HOME) if stack is None else stack
    target = Target(
        gateway=environ.get("GATEWAY_URL") or gateway or ours.get("url", ""),
        inbox=environ.get("INBOX_URL") or ours.get("inbox", ""),
        rabbitmq=environ.get("RABBITMQ_URL") or ours.get("rabbitmq", ""),
    )
    names = {"GATEWAY_URL": target.gateway, "INBOX_URL": target.inbox, "RABBITMQ_URL": target.rabbitmq}
    if missing := [name for name, address in names.items() if not address]:
        raise NoTargetError(f"Not known: {', '.join(missing)}. Set it, or LOCAL_HOME to the home of a stack that runs.")
    return target
