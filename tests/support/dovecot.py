"""Debian's Dovecot, an IMAP server. Each user's password is `pw`; the token `tok` belongs to `ada`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.support.certificates import certificate
from tests.support.web import free_port

PATIENCE = 20.0


class Dovecot:
    """A running server."""

    def __init__(self, port: int, place: Path) -> None:
        self.port = port
        self.certificate = place / "both.pem"
        self._place = place

    def number_anew(self, user: str) -> None:
        """Renumbers an inbox's mails: the inbox gets another UIDVALIDITY, and each mail keeps its time."""
        box = self._place / "mail" / user
        numbers = box / "dovecot-uidlist"
        version, validity, *_ = numbers.read_text().split()
        numbers.write_text(f"{version} V{int(validity[1:]) + 1} N1\n")
        for path in box.glob("dovecot.index*"):
            path.unlink()


class _Tokens(BaseHTTPRequestHandler):
    """Tells which user a token belongs to (RFC 7662)."""

    def do_GET(self) -> None:
        """Answers."""
        self._answer()

    def do_POST(self) -> None:
        """Answers."""
        self._answer()

    def _answer(self) -> None:
        is_good = self.headers.get("Authorization") == "Bearer tok"
        body = json.dumps({"active": is_good, "user": "ada"}).encode()
        self.send_response(200 if is_good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def dovecot(place: Path) -> Iterator[Dovecot]:
    """Runs a server with TLS and a certificate for localhost; skips the test where that is impossible."""
    program = shutil.which("dovecot") or shutil.which("/usr/sbin/dovecot")
    if program is None or os.geteuid() != 0:
        pytest.skip("dovecot-imapd is not installed, or this is not root")
    port, tokens = free_port(), ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    Thread(target=tokens.serve_forever, daemon=True).start()
    _configure(place, port, tokens.server_port)
    server = subprocess.Popen([program, "-F", "-c", str(place / "dovecot.conf")])
    try:
        _wait(server, port)
        yield Dovecot(port, place)
    finally:
        server.terminate()
        server.wait()
        tokens.shutdown()
        tokens.server_close()


def _configure(place: Path, port: int, tokens: int) -> None:
    both = certificate(place)
    (place / "mail").mkdir()
    shutil.chown(place / "mail", "nobody", "nogroup")
    (place / "tokens.conf").write_text(
        f"introspection_mode = auth\nintrospection_url = http://127.0.0.1:{tokens}/\nusername_attribute = user\n"
    )
    (place / "dovecot.conf").write_text(f"""
base_dir = {place}/run
state_dir = {place}/run
log_path = {place}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{both}
ssl_key = <{both}
mail_location = maildir:{place}/mail/%u
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {place}/tokens.conf
}}
passdb {{
  driver = static
  args = password=pw
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={place}/mail/%u
}}
""")
    for path in (place, *place.parents):
        with suppress(PermissionError):
            if path.is_relative_to("/tmp") and path != Path("/tmp"):
                path.chmod(path.stat().st_mode | 0o011)


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert server.poll() is None, "dovecot ended"
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    raise TimeoutError("dovecot does not listen")
