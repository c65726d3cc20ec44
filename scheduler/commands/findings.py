"""Findings of the checks of `reveille doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is: only `fail` makes the doctor's exit code 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the report; `remedy` is what to do when it is not ok."""

    name: str
    status: Status
    text: str
    remedy: str | None = None


def ok(name: str, text: str) -> Finding:
    """All is well."""
    return Finding(name, Status.OK, text)


def warn(name: str, text: str, remedy: str) -> Finding:
    """It works, but not as it could."""
    return Finding(name, Status.WARN, text, remedy)


def fail(name: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(name, Status.FAIL, text, remedy)
