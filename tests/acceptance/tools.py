"""Runs the commands as people do: in a separate process, from the project's root without installing it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str) -> list[str]:
    """Returns the command line of `reveille ARGUMENTS`."""
    return [sys.executable, "-m", "scheduler.cli", *arguments]


def environment(**variables: str) -> dict[str, str]:
    """Returns an environment without the caller's own settings, with `variables`."""
    return {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HOME": "/", "REVEILLE_CANARY": "false", **variables}


def feed(tool: str, lines: Sequence[bytes], **variables: str) -> tuple[int, list[dict[str, Any]], str]:
    """Returns the exit code, one answer per line, and stderr."""
    done = subprocess.run(
        command(tool), input=b"\n".join(lines), capture_output=True, env=environment(**variables), timeout=120
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def feed_json(tool: str, lines: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns one answer for each of `lines`, from a tool that must succeed."""
    code, answers, stderr = feed(tool, [json.dumps(line).encode() for line in lines])
    assert (code, stderr) == (0, "")
    return answers
