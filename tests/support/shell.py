"""A shell beside a running service, for commands of the console client."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from scheduler.cli import run
from scheduler.commands.exits import ExitCode
from scheduler.storage.engine import Database
from tests.acceptance.tools import command, environment
from tests.support.api import COMMANDS, operator_key
from tests.support.log_watch import WATCH
from tests.support.web import SECRET_KEY, free_port


@dataclass(frozen=True)
class Service:
    """A running web process."""

    url: str
    key: str
    db: Database


@dataclass
class Shell:
    """Runs commands with the address and the key in the environment."""

    capture: pytest.CaptureFixture[str]
    err: str = ""

    def __call__(self, *arguments: str, code: ExitCode = ExitCode.OK) -> str:
        """Returns the output of a command, which must end with `code`. `err` then holds its error output."""
        ended = run(arguments)
        out, self.err = self.capture.readouterr()
        assert ended == code, f"{ended}: {out}{self.err}"
        return out

    def json(self, *arguments: str) -> Any:
        """Returns the output with --json."""
        return json.loads(self(*arguments, "--json"))


@contextmanager
def running_service(database_url: str, **settings: str) -> Iterator[Service]:
    """Runs `reveille web` on a database and a free port, with additional `settings`; stops it at the end."""
    db = Database(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    port = free_port()
    variables = environment(
        DATABASE_URL=database_url,
        PORT=str(port),
        REVEILLE_SECRET_KEY=SECRET_KEY,
        REVEILLE_COMMANDS=json.dumps(COMMANDS),
        **settings,
    )
    with subprocess.Popen(command("web"), env=variables, stderr=subprocess.PIPE) as process:
        try:
            _wait_until_it_answers(process, port)
            yield Service(f"http://127.0.0.1:{port}", operator_key(db), db)
        finally:
            process.terminate()
            WATCH.add_line(process.communicate(timeout=40)[1].decode("utf-8", "replace"))
            db.dispose()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1].decode()
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the web process does not answer")
