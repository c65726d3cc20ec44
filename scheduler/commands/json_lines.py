"""Processes JSON lines: one object per line on stdin, one per line on stdout, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, BinaryIO

from scheduler.domain.errors import ReveilleError

Answer = Callable[[dict[str, Any]], dict[str, Any]]


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
