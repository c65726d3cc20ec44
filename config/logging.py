"""Configures logs: lines for people on stderr, or one JSON object per line. Logs of libraries are included."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TextIO

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message, Record

HUMAN = "<dim>{time:YYYY-MM-DD HH:mm:ss}</dim> <level>{level: <8}</level> {message}"
QUIET = ("alembic", "apscheduler", "asyncio", "httpcore", "httpx", "procrastinate", "psycopg.pool", "sqlalchemy")
"""Libraries that log every step at INFO."""
IDS = frozenset({"trace_id", "invocation_id", "attempt", "firing_ids", "trigger_ids"})
"""Fields of JSON lines about a run; lines for people leave them out."""
REPEAT_AFTER = timedelta(seconds=60)
REMEMBERED = 1000
_POOL = re.compile(r"'pool-\d+'")

_NAMED = r"[\w-]*(?:api[-_]?key|authorization|passphrase|password|secret|signature|token)[\w-]*"
_SECRETS = (
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s@]+(?=@)"), r"\1:***"),  # the password in an address
    (re.compile(r"(?<=://)[^\s:/@?#'\"]+(?=@)"), "***"),  # a token in its place
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{4,}"), r"\1 ***"),
    (re.compile(r"(?<=/hooks/)[\w-]+"), "***"),
    (re.compile(r"\b(whsec_|rvl_|sk-)[\w+/=-]+"), r"\1***"),
    (re.compile(rf"(?i)([?&]{_NAMED}=)[^&\s\"'#\\]+"), r"\1***"),  # in the query of an address
    (
        re.compile(rf"(?i)([\"']{_NAMED}\\?[\"']:\s*\\?[\"'])(?!\w+ \*\*\*)[^\"'\\]+"),
        r"\1***",
    ),  # in JSON or a dict
    (re.compile(r"(?im)\b((?:proxy-)?authorization: |(?:set-)?cookie: )(?!\w+ \*\*\*)[^\"'\n\\]+"), r"\1***"),
)


def redact(text: str) -> str:
    """Removes what looks like a secret from `text`: a safety net, as code should not log any."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class Repeats:
    """Suppresses repeated warnings, such as those of a database outage: shows them once a minute, with a count."""

    def __init__(self) -> None:
        self._said: dict[tuple[str | None, str], tuple[datetime, int]] = {}

    def __call__(self, record: Record) -> bool:
        """Whether to print `record`. Errors with a traceback, and anything but warnings, are always printed."""
        if record["level"].no < logging.WARNING or record["exception"]:
            return True
        key = record["name"], _POOL.sub("pool", record["message"])
        since, held = self._said.get(key, (None, 0))
        if since is not None and record["time"] - since < REPEAT_AFTER:
            self._said[key] = since, held + 1
            return False
        if len(self._said) >= REMEMBERED:
            self._said.clear()
        self._said[key] = record["time"], 0
        if held:
            record["message"] += f" (repeated {held} {'time' if held == 1 else 'times'})"
        return True


def configure_logging(level: str, *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Sends all logs of this process from `level` (a name such as INFO) on to `stream`, by default stderr."""
    make_line = _json_line if as_json else str

    def write(message: Message) -> None:
        out = stream or sys.stderr  # it may have been replaced since, and the former one closed
        out.write(redact(make_line(message)))
        out.flush()

    logger.remove()
    # `diagnose` would print the values of variables, including secrets.
    logger.add(
        write,
        level=level,
        format=_human,
        filter=None if as_json else Repeats(),
        colorize=(stream or sys.stderr).isatty() and not as_json,
        diagnose=False,
        backtrace=False,
    )
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.NOTSET, force=True)
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _human(record: Record) -> str:
    has_more = bool(record["extra"].keys() - IDS)
    return HUMAN + (" <dim>{extra}</dim>" if has_more else "") + "\n{exception}"


def _json_line(message: Message) -> str:
    record = message.record
    entry: dict[str, object] = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "logger": record["name"],
        "message": record["message"],
        **record["extra"],
    }
    if record["exception"]:
        entry["exception"] = "".join(traceback.format_exception(record["exception"].value))
    return json.dumps(entry, default=str, ensure_ascii=False) + "\n"


class _ToLoguru(logging.Handler):
    """Passes records of the standard library's logging to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno

        def name_it(entry: Record) -> None:
            entry["name"] = record.name

        logger.patch(name_it).opt(exception=record.exc_info).log(level, "{}", record.getMessage())
