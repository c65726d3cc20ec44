"""Trace context: what is read, what is written, and that ids follow from rows."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scheduler.domain.traces import (
    SpanRef,
    Step,
    read_traceparent,
    span_id,
    valid_traceparent,
    write_traceparent,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def test_a_traceparent_is_read_and_written() -> None:
    ref = read_traceparent(SENT)
    assert ref == SpanRef(int(TRACE, 16), 0x00F067AA0BA902B7)
    assert write_traceparent(ref) == SENT
    assert read_traceparent(f"cc-{TRACE}-00f067aa0ba902b7-00-what-may-come") == ref
    assert valid_traceparent(f" {SENT} ") == SENT


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "1",
        SENT.upper(),
        SENT + "-more",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        SENT + "\n00",
        "cc" + SENT[2:] + "-" + "x" * 300,
    ],
)
def test_an_invalid_traceparent_is_ignored(text: str | None) -> None:
    assert read_traceparent(text) is None
    assert valid_traceparent(text) is None


def test_spans_of_different_steps_and_attempts_differ_and_repeat() -> None:
    ids = [span_id(step, "a", number) for step in Step for number in (1, 2)]
    assert len(set(ids)) == len(ids)
    assert ids == [span_id(step, "a", number) for step in Step for number in (1, 2)]
    assert all(0 < each < 2**64 for each in ids)


def test_no_exporter_is_imported_unless_traces_are_exported() -> None:
    code = "import scheduler.worker, api.app, sys; sys.exit('opentelemetry.proto' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
