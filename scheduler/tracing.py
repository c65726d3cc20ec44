"""Exports spans by OpenTelemetry (OTLP over HTTP), with the extra `reveille-server[otel]`.

Nothing of OpenTelemetry is imported unless an endpoint is set. Spans are written in its wire format directly: they are
read from the history, where they have ended, so the SDK's recording would only make each of them twice.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any, Protocol

import httpx
from loguru import logger

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.traces import Span
from scheduler.metrics import SPANS
from scheduler.storage.ended_spans import next_ended
from scheduler.storage.engine import Database

EVERY_SECONDS = 5.0
LAG = timedelta(seconds=3)
"""An end is exported when it is so old, and older than every transaction that is open."""
ANSWER_SECONDS = 10.0
MOST_SPANS = 4000
"""The most spans of a request, some 1.3 MB: collectors take 20 by default."""
MISSING = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: install reveille-server[otel]."
NOT_TAKEN = frozenset({400, 413, 415, 422})
"""Answers about the spans themselves, which would be the same the next time (OTLP 1.9, "Failures")."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ExportResult(StrEnum):
    """What became of a request."""

    EXPORTED = "exported"
    REFUSED = "refused"
    """The receiver does not take these spans, now or later."""
    FAILED = "failed"
    """It may take them later."""


class SpanExporter(Protocol):
    """Where spans go."""

    def __call__(self, spans: Sequence[Span]) -> ExportResult:
        """Sends spans in one request; logs why they did not arrive."""
        ...


class Tracing:
    """Exports the spans of ended wakes, again when the receiver did not answer. A duty of the schedulers."""

    def __init__(self, db: Database, export: SpanExporter, lag: timedelta = LAG) -> None:
        self._db = db
        self._export = export
        self._lag = lag

    def look(self) -> int:
        """Exports what has ended since the last look, in steps; returns how many spans arrived."""
        count = 0
        while True:
            with self._db.begin() as conn:
                ended = next_ended(conn, self._lag)
                if ended is None:
                    return count
                while spans := list(islice(ended.spans, MOST_SPANS)):
                    sent = self._export(spans)
                    SPANS.labels(sent.value).inc(len(spans))
                    if sent is ExportResult.FAILED:
                        conn.rollback()
                        return count
                    count += len(spans) if sent is ExportResult.EXPORTED else 0
            if ended.is_last:
                return count


def exporter(endpoint: str, headers: Mapping[str, str], version: str) -> SpanExporter:
    """Returns what sends spans to `endpoint`, the base address of an OTLP receiver.

    Raises ConfigurationError when OpenTelemetry is not installed.
    """
    try:
        messages = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        common = importlib.import_module("opentelemetry.proto.common.v1.common_pb2")
        write = _writer(importlib.import_module("opentelemetry.proto.trace.v1.trace_pb2"))
        is_no_answer = importlib.import_module("google.protobuf.message").DecodeError
    except ImportError:
        raise ConfigurationError(MISSING) from None
    resource = [
        common.KeyValue(key=key, value=common.AnyValue(string_value=value))
        for key, value in (("service.name", "reveille"), ("service.version", version))
    ]
    address = f"{endpoint.rstrip('/')}/v1/traces"
    client = httpx.Client(headers={**headers, "content-type": "application/x-protobuf"}, timeout=ANSWER_SECONDS)

    def export(spans: Sequence[Span]) -> ExportResult:
        request = messages.ExportTraceServiceRequest()
        ours = request.resource_spans.add(resource={"attributes": resource}).scope_spans.add(
            scope={"name": "reveille"}
        )
        for span in spans:
            write(ours.spans, span)
        try:
            answer = client.post(address, content=request.SerializeToString())
        except httpx.HTTPError as error:
            return _failed(len(spans), f"{type(error).__name__}: {error}")
        if answer.is_success:
            with suppress(is_no_answer):
                _tell_of_rejected(messages.ExportTraceServiceResponse.FromString(answer.content).partial_success)
            return ExportResult.EXPORTED
        said = f"the receiver answered {answer.status_code}"
        if answer.status_code not in NOT_TAKEN:
            return _failed(len(spans), said)
        logger.warning("{} spans were dropped: {}", len(spans), said)
        return ExportResult.REFUSED

    return export


def _failed(count: int, why: str) -> ExportResult:
    logger.warning("{} spans could not be exported; they are sent again: {}", count, why)
    return ExportResult.FAILED


def _tell_of_rejected(partial: Any) -> None:
    """Logs how many spans the receiver left out of a request that it took."""
    if partial.rejected_spans:
        logger.warning("{} spans were dropped by the receiver: {}", partial.rejected_spans, partial.error_message)


def _writer(proto: Any) -> Callable[[Any, Span], None]:
    """Returns what appends a span to a list of protobuf's. Fields are set where they are kept: a message that is
    made first and then copied takes twice as long.
    """
    entry, call, internal = (getattr(proto.Span, f"SPAN_KIND_{kind}") for kind in ("SERVER", "CLIENT", "INTERNAL"))
    flags = proto.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
    below = flags | proto.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
    failed = proto.Status.STATUS_CODE_ERROR

    def write(spans: Any, span: Span) -> None:
        start = _nanoseconds(span.start)
        made = spans.add(
            trace_id=span.ref.trace_id.to_bytes(16),
            span_id=span.ref.span_id.to_bytes(8),
            name=span.name,
            kind=entry if span.is_entry else call if span.is_call else internal,
            start_time_unix_nano=start,
            end_time_unix_nano=max(start, _nanoseconds(span.end)),
            flags=flags,
        )
        if span.parent is not None:
            made.parent_span_id = span.parent.span_id.to_bytes(8)
            made.flags = below
        add = made.attributes.add
        for name, value in span.attributes.items():
            if value.__class__ is int:
                add(key=name).value.int_value = value
            elif value != "":
                add(key=name).value.string_value = value
        for link in span.links:
            made.links.add(trace_id=link.trace_id.to_bytes(16), span_id=link.span_id.to_bytes(8), flags=below)
        if span.error is not None:
            made.status.code = failed
            made.status.message = span.error

    return write


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND * 1000
