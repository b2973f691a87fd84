"""The gateway on one machine: NGINX around gateway/nginx.conf.template, filled in as envsubst does on a cluster."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from local import checks
from local.process import ROOT, Program

TEMPLATE = ROOT / "gateway" / "nginx.conf.template"
FUNCTIONS = ("auth", "upload", "download")
FORM_BYTES = 64 * 1024  # a multipart body is so much longer than its file, at most
MAIN = """\
daemon off;
worker_processes 2;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
    include {include};
}}
"""


def program(
    home: Path, port: int, functions: Mapping[str, int], max_upload_bytes: int, environment: Mapping[str, str]
) -> Program:
    """NGINX on `port`, in front of the functions on their ports."""
    (home / "temp").mkdir(parents=True, exist_ok=True)
    (home / "server.conf").write_text(render(variables(port, functions, max_upload_bytes)))
    (home / "nginx.conf").write_text(MAIN.format(include=home / "server.conf"))
    command = ["nginx", "-p", str(home), "-c", str(home / "nginx.conf"), "-e", "stderr"]
    return Program("gateway", command, environment, partial(checks.serves, port), port, stage=2)


def variables(port: int, functions: Mapping[str, int], max_upload_bytes: int) -> dict[str, str]:
    """The template's variables."""
    values = {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "RESOLVER": "127.0.0.1",  # never asked: the upstreams are addresses
        "MAX_BODY_BYTES": str(max_upload_bytes + FORM_BYTES),
    }
    for name in FUNCTIONS:
        values[f"{name.upper()}_UPSTREAM"] = f"127.0.0.1:{functions[name]}"
        values[f"{name.upper()}_HOST"] = f"127.0.0.1:{functions[name]}"
    return values


def render(values: Mapping[str, str]) -> str:
    """The template with its `${NAMES}` filled in; NGINX's own variables are left alone."""
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], TEMPLATE.read_text(encoding="utf-8"))
