"""Pure tools for debugging triggers: no database, and no network except name resolution.

Each reads one JSON object per line from stdin and writes one per line to stdout, in the same order.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

from scheduler.commands.json_lines import Answer, answer_lines

PANEL = "Tools (JSON lines on stdin and stdout)"


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
    from scheduler.net.tool import check_url_line

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
