"""The friendly options that make up a trigger's `type` and `config`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.commands.exits import UsageFault

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")

Type = Annotated[
    str | None,
    typer.Option(
        "--type",
        help="As in docs/triggers; --expr, --at, --every, --poll-url and --scheme say it already.",
    ),
]
Expr = Annotated[str | None, typer.Option(help='cron: five fields, such as "0 9 * * mon-fri", or @daily.')]
SecondsFirst = Annotated[bool, typer.Option("--seconds-first", help="cron: six fields, the first is seconds.")]
Timezone = Annotated[str | None, typer.Option(help="cron: such as Europe/Berlin; else the agent's.")]
At = Annotated[str | None, typer.Option(help="once: ISO 8601; without an offset it is UTC.")]
AllowPast = Annotated[bool, typer.Option("--allow-past", help="once: a moment that has passed fires at once.")]
Every = Annotated[str | None, typer.Option(metavar="20s|5m|2h|1d", help="interval, and poll: how often.")]
PollUrl = Annotated[str | None, typer.Option(metavar="URL", help="poll: what is looked at.")]
JsonPath = Annotated[str | None, typer.Option(help="poll: where the value is in the answer, such as $.state.")]
Scheme = Annotated[str | None, typer.Option(help="webhook: who signs, such as github or stripe; see the docs.")]
Secret = Annotated[
    str | None, typer.Option(metavar="TEXT|@FILE", help="webhook: what the deliveries are signed with.")
]
ConfigJson = Annotated[
    str | None, typer.Option("--config", metavar="JSON|@FILE", help="The config as the API takes it.")
]


@dataclass(frozen=True)
class TriggerOptions:
    """The options as given; `shape` makes type and config of them."""

    type: str | None = None
    expr: str | None = None
    seconds_first: bool = False
    timezone: str | None = None
    at: str | None = None
    allow_past: bool = False
    every: str | None = None
    scheme: str | None = None
    secret: str | None = None
    config: str | None = None
    poll_url: str | None = None
    json_path: str | None = None

    def shape(self) -> tuple[str, dict[str, Any]]:
        """The trigger's type and config. UsageFault when the options do not say or contradict each other."""
        implied = self._implied()
        if len(implied) > 1:
            raise UsageFault(f"{' and '.join(implied.values())} do not go together; a trigger has one type.")
        kind = self.type or next(iter(implied), None)
        if kind is None:
            raise UsageFault(
                "Say what wakes the agent: --expr, --at, --every, --poll-url, or --type with --config."
            )
        if implied and kind not in implied:
            raise UsageFault(f"{implied.popitem()[1]} does not go with --type {kind}.")
        return kind, {**read_json_object("--config", self.config), **self._config()}

    def _implied(self) -> dict[str, str]:
        """Type → the option that says so."""
        said = {
            "cron": (("--expr", self.expr), ("--seconds-first", self.seconds_first)),
            "once": (("--at", self.at), ("--allow-past", self.allow_past)),
            "interval": (("--every", None if self._is_poll else self.every),),
            "poll": (("--poll-url", self.poll_url), ("--json-path", self.json_path)),
            "webhook": (("--scheme", self.scheme), ("--secret", self.secret)),
        }
        return {
            kind: next(name for name, value in options if value)
            for kind, options in said.items()
            if any(value for _, value in options)
        }

    @property
    def _is_poll(self) -> bool:
        return self.type == "poll" or self.poll_url is not None

    def _config(self) -> dict[str, Any]:
        seconds = None if self.every is None else parse_duration("--every", self.every)
        signature = {"scheme": self.scheme, "secret": read_text("--secret", self.secret)}
        given = {
            "expr": self.expr,
            "seconds": "first" if self.seconds_first else None if self._is_poll else seconds,
            "interval_min": seconds / 60 if seconds is not None and self._is_poll else None,
            "url": self.poll_url,
            "json_path": self.json_path,
            "timezone": self.timezone,
            "at": self.at,
            "allow_past": self.allow_past or None,
            "signature": {name: value for name, value in signature.items() if value} or None,
        }
        return {name: value for name, value in given.items() if value is not None}


def parse_duration(option: str, text: str) -> float:
    """Seconds in `20s`, `1.5h` and the like; a bare number says too little."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UsageFault(f"{option} {text!r} is not a duration; write it as 20s, 5m, 2h or 1d.")
    return float(match[1]) * UNITS[match[2]]


def read_json_object(option: str, text: str | None) -> Mapping[str, Any]:
    """The object in JSON, or in the file after an `@`; empty without a text."""
    given = read_text(option, text)
    if given is None:
        return {}
    try:
        value = json.loads(given)
    except ValueError as error:
        raise UsageFault(f"{option} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise UsageFault(f'{option} must be a JSON object such as {{"seconds": 20}}.')
    return value


def read_text(option: str, text: str | None) -> str | None:
    """The text itself, or what is in the file after an `@`, so that a secret need not be an argument."""
    if text is None or not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageFault(f"{option}: {text[1:]} cannot be read: {reason}.") from None
