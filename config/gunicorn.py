"""The web server: `gunicorn -c config/gunicorn.py "api.app:create_app()"`.

There is no access log, because a webhook's address contains its token.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from loguru import logger

ROOT = Path(__file__).resolve().parents[1]
# before directories in PYTHONPATH or the working directory with packages of the same names
sys.path.insert(0, str(ROOT))

from config.logging import configure_logging
from config.settings import load_settings, share_metrics, unknown_settings
from scheduler.domain.errors import ConfigurationError

try:
    _settings = load_settings().for_server()
except ConfigurationError as error:
    sys.stderr.write(f"{error.message}\n")
    raise SystemExit(2) from None

configure_logging(_settings.log_level, as_json=_settings.log_json)
for _warning in unknown_settings():
    logger.warning(_warning)


_METRICS = tempfile.mkdtemp(prefix="reveille-metrics-") if _settings.web_concurrency > 1 else None
"""The directory in which this server's processes share counters; a single process needs none."""
if _METRICS is not None:
    share_metrics(_METRICS)


class RoutedLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Sends gunicorn's log to the root logger."""

    def setup(self, cfg: object) -> None:
        """Removes gunicorn's own handler."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True

    def info(self, msg: str, *args: object, **kwargs: Any) -> None:
        """Logs what is the same at every start at DEBUG, so that the first one is short."""
        level = logging.DEBUG if msg.startswith(("Starting gunicorn", "Using worker")) else logging.INFO
        self.error_log.log(level, msg, *args, **kwargs)


_host = _settings.host or "0.0.0.0"  # noqa: S104  # a dyno's and a container's router calls from elsewhere  # nosec B104
bind = f"[{_host}]:{_settings.port}" if ":" in _host else f"{_host}:{_settings.port}"
chdir = str(ROOT)
workers = _settings.web_concurrency
worker_class = "api.server.worker.GuardedWorker"
timeout = 60
graceful_timeout = 25
"""In seconds. Heroku kills a dyno 30 s after asking it to stop."""
keepalive = 5
accesslog = None
logger_class = RoutedLogger
control_socket_disable = True
forwarded_allow_ips = _settings.trusted_proxies
"""The proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted; none by default."""


def child_exit(_server: object, worker: Any) -> None:
    """Removes an ended process's gauges from the metrics; its counters are kept."""
    if _METRICS is not None:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid, _METRICS)  # type: ignore[no-untyped-call]


def on_exit(_server: object) -> None:
    """Removes the metrics' files."""
    if _METRICS is not None:
        shutil.rmtree(_METRICS, ignore_errors=True)


def on_starting(_server: object) -> None:
    """Refuses, before anything else, to serve a database that was not migrated."""
    from scheduler.storage.migrate import check_migrated

    try:
        check_migrated(_settings.sqlalchemy_url)
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        raise SystemExit(2) from None
