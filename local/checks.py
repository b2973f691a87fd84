"""Whether a server on a port of this machine is ready; each answers within two seconds."""

import http.client
import socket

from local.ports import LOOPBACK

CHECK_SECONDS = 2


def speaks(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server greets who connects, as MySQL and SMTP do."""
    try:
        with socket.create_connection((host, port), CHECK_SECONDS) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False


def serves(port: int, path: str = "/") -> bool:
    """Whether an HTTP server answers, whatever it says but that something behind it is away."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=CHECK_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
