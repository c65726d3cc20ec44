"""The findings of `reveille doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The severity of a finding. Only `fail` makes the doctor's exit code 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the report. `remedy` is what to do when it is not ok."""

    name: str
    status: Status
    text: str
    remedy: str | None = None


def ok(name: str, text: str) -> Finding:
    """Creates a finding without a problem."""
    return Finding(name, Status.OK, text)


def warn(name: str, text: str, remedy: str) -> Finding:
    """Creates a finding for something that works, but not well."""
    return Finding(name, Status.WARN, text, remedy)


def fail(name: str, text: str, remedy: str) -> Finding:
    """Creates a finding for something that does not work."""
    return Finding(name, Status.FAIL, text, remedy)
