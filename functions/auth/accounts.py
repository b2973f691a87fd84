"""Makes an account: `python -m functions.auth.accounts EMAIL`, with the password on standard input."""

import sys
from dataclasses import dataclass, field
from getpass import getpass

from functions.auth.users import AWAY, EmailTakenError, InvalidEmailError, Users, WeakPasswordError
from functions.common.settings import SettingsError, load

FAILURES: tuple[type[Exception], ...] = (InvalidEmailError, SettingsError, *AWAY)


@dataclass(frozen=True)
class Settings:
    """Where the accounts are."""

    mysql_url: str = field(repr=False)


def main(email: str) -> None:
    """Asks for the password (or reads it from a pipe) and makes the account."""
    password = getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    try:
        user = Users(load(Settings).mysql_url).add(email, password)
    except EmailTakenError:
        sys.exit(f"there is an account with the address {email}")
    except WeakPasswordError:
        sys.exit("a password has 8 to 128 characters")
    except FAILURES as error:
        sys.exit(str(error))
    print(f"made the account {user.id} for {user.email}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m functions.auth.accounts EMAIL")
    main(sys.argv[1])
