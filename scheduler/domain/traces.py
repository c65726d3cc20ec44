"""Traces of wakes: W3C trace context, and ids derived from the ids of rows, so that none has to be stored.

A trace is named by the sender's `traceparent`, else by the firing that began the chain of wakes. Every process
derives the same ids, so an agent gets the span of its run before that span ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
LONGEST = 200


class Step(StrEnum):
    """A step from the event to the end of a wake."""

    INTAKE = "intake"
    FIRING = "firing"
    INVOCATION = "invocation"
    WINDOW = "window"
    RUN = "run"
    TOOL = "tool"


class SpanRef(NamedTuple):
    """Names a span: its trace and its id."""

    trace_id: int
    span_id: int


class Span(NamedTuple):
    """A step of a trace, as it is exported. A tuple, since there are four for each wake."""

    name: str
    ref: SpanRef
    parent: SpanRef | None
    start: datetime
    end: datetime
    attributes: Mapping[str, str | int]
    links: Sequence[SpanRef] = ()
    error: str | None = None
    """Why the step failed; None: it did not."""
    is_entry: bool = False
    """Whether it is the receipt of a request."""
    is_call: bool = False
    """Whether it is a call of something outside."""


def read_traceparent(text: str | None) -> SpanRef | None:
    """Parses a `traceparent` header (W3C Trace Context, section 3.2); None for none, or an invalid one."""
    found = TRACEPARENT.fullmatch(text.strip()) if text and len(text) <= LONGEST else None
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    ref = SpanRef(int(found[2], 16), int(found[3], 16))
    return ref if ref.trace_id and ref.span_id else None


def valid_traceparent(text: str | None) -> str | None:
    """Returns a `traceparent` header if it is valid, else None."""
    return None if text is None or read_traceparent(text) is None else text.strip()


def write_traceparent(ref: SpanRef) -> str:
    """Formats a span as `traceparent`, sampled."""
    return f"00-{ref.trace_id:032x}-{ref.span_id:016x}-01"


def firing_ref(firing_id: UUID | str, root_id: UUID | str, traceparent: str | None) -> SpanRef:
    """Returns a firing's span: in its sender's trace, else in that of the firing that began the chain of wakes."""
    source = read_traceparent(traceparent)
    trace_id = source.trace_id if source else int(str(root_id).replace("-", ""), 16)
    return SpanRef(trace_id, span_id(Step.FIRING, firing_id))


def span_id(step: Step, *of: object) -> int:
    """Returns the id of the span of a step of a row."""
    text = ":".join([step, *map(str, of)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") or 1
