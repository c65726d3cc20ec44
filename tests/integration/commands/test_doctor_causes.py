"""The doctor's causes: why a database cannot be reached, and what answers on the port."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from config.settings import Settings
from scheduler.commands.doctor.database import refused
from scheduler.commands.doctor.findings import Status
from scheduler.commands.doctor.machine import check_web


@pytest.mark.parametrize(
    ("complaint", "words", "remedy"),
    [
        ('FATAL:  password authentication failed for user "a"', "password", "password"),
        ('FATAL:  database "x" does not exist', "no such database", "createdb"),
        ('FATAL:  role "a" does not exist', "no such user", "createuser"),
        ("connection failed: Connection refused", "no PostgreSQL is listening", "host and port"),
        ("failed to resolve host 'x'", "no host", "host"),
        ("connection timeout expired", "cannot be reached", "network"),
        ("FATAL:  sorry, too many clients already", "no connection left", "max_connections"),
        ('FATAL:  no pg_hba.conf entry for host "::1"', "does not allow this user", "pg_hba.conf"),
        ("something new", "something new", "DATABASE_URL"),
    ],
)
def test_the_cause_of_an_unreachable_database_is_named(complaint: str, words: str, remedy: str) -> None:
    found = refused("postgresql://a:***@h/x", f"{complaint}\n")
    assert found.status is Status.FAIL
    assert words in found.text
    assert remedy in (found.remedy or "")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"status": "ready", "checks": {"database": {"ok": true}}}', "another Reveille"),
        (b'{"status": "ok"}', "something else"),
        (b"<html>", "something else"),
    ],
)
def test_what_answers_on_the_port_is_distinguished(body: bytes, words: str, tmp_path: Path) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Logs nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            found = check_web(Settings(port=server.server_port, data_dir=tmp_path))
        finally:
            server.shutdown()
            thread.join()
    assert found.status is Status.FAIL
    assert words in found.text
