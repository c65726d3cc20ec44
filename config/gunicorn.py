"""The web server: `gunicorn -c config/gunicorn.py "api.app:create_app()"`.

There is no access log: the address of a webhook holds its token.
"""

from __future__ import annotations

import sys
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from config.logging import configure_logging
from config.settings import load_settings
from scheduler.domain.errors import ConfigurationError

try:
    _settings = load_settings().for_server()
except ConfigurationError as error:
    sys.stderr.write(f"{error.message}\n")
    raise SystemExit(2) from None

configure_logging(_settings.log_level, as_json=_settings.log_json)


class RoutedLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own log, handed on to the root logger."""

    def setup(self, cfg: object) -> None:
        """Drop the handler that gunicorn makes."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


bind = f"0.0.0.0:{_settings.port}"
workers = _settings.web_concurrency
worker_class = "gthread"
threads = 32
timeout = 60
graceful_timeout = 25
"""Seconds; a Heroku dyno is killed 30 s after it was asked to stop."""
keepalive = 5
accesslog = None
logger_class = RoutedLogger
control_socket_disable = True


def worker_exit(_server: object, worker: Any) -> None:
    """Say goodbye to the WebSockets of a worker that ends: their clients come back to another."""
    sockets = getattr(worker.wsgi, "extensions", {}).get("reveille_sockets")
    if sockets is not None:
        sockets.close()
