"""What checks use in tests: real programs and files, and a clock that can be set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from scheduler.documents import reader_child
from scheduler.domain.permissions import Permitted
from scheduler.intake.polls.programs import run_program
from scheduler.net.client import Answer
from scheduler.triggers.check_resources import CheckResources


def check_resources(
    *,
    checks: Mapping[str, Sequence[str]] | None = None,
    file_roots: Mapping[str, str] | None = None,
    body: Callable[[], bytes | Answer] | None = None,
    now: Callable[[], datetime] | None = None,
    address_of: Callable[[str, int], str] | None = None,
) -> CheckResources:
    """Creates the means with these permissions;

    `body` is the answer of every URL. Without `now`, files that were just written count as old.
    """

    def fetch(url: str, headers: Mapping[str, str], most: int) -> Answer:  # noqa: ARG001
        assert body is not None
        told = body()
        return told if isinstance(told, Answer) else Answer(200, {}, told, truncated=False, url=url)

    def read(reader: str, document: bytes, **arguments: Any) -> Any:
        return reader_child.reader_of(reader).read(document, **arguments)

    return CheckResources(
        Permitted(checks or {}, file_roots or {}),
        now or (lambda: datetime.now(UTC) + timedelta(hours=1)),  # noqa: TID251
        run_program,
        fetch,
        address_of or _nobody,
        read,
    )


def _nobody(host: str, port: int) -> NoReturn:
    raise AssertionError(f"nothing is to be connected to: {host}, {port}")
