"""Debian's Redis, with streams to consume; its password is `pw`."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, RedisError, ResponseError

from tests.support.web import free_port

PATIENCE = 20.0


class RedisServer:
    """A server that can be stopped and started."""

    def __init__(self, program: str, place: Path) -> None:
        self.port = free_port()
        self._program, self._place = program, place
        self._process: subprocess.Popen[bytes] | None = None
        self.client: Any = Redis(port=self.port, password="pw", protocol=2, decode_responses=True)

    def start(self) -> None:
        """Starts it with its previous data."""
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self._place),
            "--requirepass",
            "pw",
        ]
        self._process = subprocess.Popen([self._program, *options, "--save", "", "--appendonly", "yes"], stdout=-3)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "redis-server ended"
            with suppress(RedisError):
                self.client.ping()
                return
            time.sleep(0.02)
        raise TimeoutError("redis-server does not listen")

    def listen_with_tls(self, both: Path) -> str:
        """Listens with the key and certificate of one file too; returns the URL. Skips the test without TLS."""
        port = free_port()
        files = {f"tls-{each}-file": str(both) for each in ("cert", "key", "ca-cert")}
        try:
            self.client.config_set("tls-auth-clients", "no", *chain(*files.items()), "tls-port", port)
        except ResponseError:
            pytest.skip("redis-server has no TLS")
        return f"rediss://localhost:{port}"

    def stop(self) -> None:
        """Stops it and keeps its data."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()


@contextmanager
def redis_server(place: Path) -> Iterator[RedisServer]:
    """Runs a server; skips the test if there is none. tools/setup installs it where possible."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(program, place)
    server.start()
    try:
        yield server
    finally:
        server.client.close()
        server.stop()
