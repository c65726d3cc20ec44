"""Pure tools for debugging triggers: no database, and no network except name resolution.

Each reads one JSON object per line from stdin and writes one per line to stdout, in the same order.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import typer

from scheduler.domain.errors import ReveilleError

Answer = Callable[[dict[str, Any]], dict[str, Any]]
PANEL = "Tools (JSON lines on stdin and stdout)"


def answer_lines(answer: Answer, source: BinaryIO, target: BinaryIO) -> None:
    """Writes `answer(line)` for each line of `source`, flushed each time; an invalid line gives `{"error": …}`."""
    for line in source:
        target.write(_dump(_safely(answer, line)) + b"\n")
        target.flush()


class _Unreadable(Exception):
    """The line is not a JSON object."""


def _safely(answer: Answer, line: bytes) -> dict[str, Any]:
    try:
        return answer(_parse(line))
    except ReveilleError as error:
        return {"error": error.message}
    except _Unreadable as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001  # one line, whatever is in it, must not end the others
        return {"error": f"{type(error).__name__}: {error}"}


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode(), parse_constant=_refuse_constant)
    except RecursionError:
        raise _Unreadable("The line is nested too deeply.") from None
    except UnicodeDecodeError:
        raise _Unreadable("The line is not UTF-8 text.") from None
    except ValueError as error:
        raise _Unreadable(f"The line is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise _Unreadable("The line must be a JSON object.")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _dump(value: dict[str, Any]) -> bytes:
    """Writes ASCII only, so that a lone surrogate in the input cannot break the output."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        return json.dumps({"error": f"The answer cannot be written as JSON: {error}."}).encode()


def register(app: typer.Typer) -> None:
    """Adds the tools to the root command."""
    app.command("preview", rich_help_panel=PANEL)(preview)
    app.command("json-path", rich_help_panel=PANEL)(json_path)
    app.command("check-url", rich_help_panel=PANEL)(check_url)
    app.command("verify-signature", rich_help_panel=PANEL)(verify_signature)


def preview() -> None:
    """Show when a trigger would fire.

    {type, config, timezone?, after?, count?} -> {fire_times, notes}
    """
    from scheduler.domain.clock import SystemClock
    from scheduler.triggers.preview import preview_line

    clock = SystemClock()
    _run(lambda line: preview_line(line, clock))


def json_path() -> None:
    """Show what a JSONPath (RFC 9535) selects.

    {path, document} -> {values}
    """
    from scheduler.domain.json_path import json_path_line

    _run(json_path_line)


def check_url() -> None:
    """Check whether a URL may be requested.

    {url, resolve?: {host: [ip, …]}} -> {verdict, address?, reason}
    """
    from config.settings import load_settings
    from scheduler.net.policy import AllowedPrivate
    from scheduler.net.resolver import check_url_line

    allowed = AllowedPrivate.parse(load_settings().allow_private_hosts)

    def answer(line: dict[str, Any]) -> dict[str, Any]:
        return check_url_line(line, allow_private=allowed)

    _run(answer)


def verify_signature() -> None:
    """Check whether a webhook delivery is genuine.

    {scheme, secret, headers, body|body_b64, now?, url?, params?, …} -> {verdict, reason}
    """
    from scheduler.domain.signatures import verify_signature_line

    _run(verify_signature_line)


def _run(answer: Answer) -> None:
    answer_lines(answer, sys.stdin.buffer, sys.stdout.buffer)
