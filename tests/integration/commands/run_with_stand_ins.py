"""`reveille run` with stand-ins for its web server and worker that need only their environment."""

from __future__ import annotations

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from config.settings import load_settings
from scheduler import supervisor


class Health(BaseHTTPRequestHandler):
    """Answers /healthz, and /readyz once the worker has begun."""

    def do_GET(self) -> None:
        is_well = self.path == "/healthz" or _sign().exists()
        self.send_response(200 if is_well else 503)
        self.end_headers()


def _sign() -> Path:
    return load_settings().data_dir / "worker has begun"


def web() -> None:
    port = load_settings().port
    HTTPServer(("127.0.0.1", port), Health).serve_forever()


def worker() -> None:
    settings = load_settings().for_server()
    assert settings.secret_key is not None
    print("key", len(settings.secret_key.get_secret_value()), settings.libpq_url)  # noqa: T201
    _sign().touch()
    time.sleep(600)


def run() -> int:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that were started with nohup would pass theirs on
    this = [sys.executable, "-m", "tests.integration.commands.run_with_stand_ins"]
    supervisor.COMMANDS = {"web": [*this, "web"], "worker": [*this, "worker"]}
    return supervisor.run(load_settings(), lambda _settings: ([f"prepared by {os.getpid()}"], ["try it"]))


if __name__ == "__main__":
    sys.exit({"run": run, "web": web, "worker": worker}[sys.argv[1]]())
