"""Exports spans by OpenTelemetry (OTLP over HTTP), with the extra `reveille-server[otel]`.

Nothing of OpenTelemetry is imported unless an endpoint is set.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from loguru import logger

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.traces import Span, SpanRef
from scheduler.storage.engine import Database
from scheduler.storage.traces import next_ended

EVERY_SECONDS = 5.0
LAG = timedelta(seconds=3)
"""An end is exported when it is so old: an end that was written earlier may be committed later."""
ANSWER_SECONDS = 10.0
MISSING = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: install reveille-server[otel]."


class Exports(Protocol):
    """Where spans go."""

    def __call__(self, spans: Sequence[Span]) -> bool:
        """Sends spans; whether they arrived."""
        ...


class Tracing:
    """Exports the spans of ended wakes, again when the receiver did not answer. A duty of the schedulers."""

    def __init__(self, db: Database, export: Exports, lag: timedelta = LAG) -> None:
        self._db = db
        self._export = export
        self._lag = lag

    def look(self) -> int:
        """Exports what has ended since the last look, in steps; returns how many spans."""
        count = 0
        while True:
            with self._db.begin() as conn:
                spans = next_ended(conn, self._lag)
                if not spans:
                    return count
                if not self._export(spans):
                    conn.rollback()
                    logger.warning("{} spans could not be exported; they are sent again.", len(spans))
                    return count
            count += len(spans)


def exporter(endpoint: str, headers: Mapping[str, str], version: str) -> Exports:
    """Returns what sends spans to `endpoint`, the base address of an OTLP receiver.

    Raises ConfigurationError when OpenTelemetry is not installed.
    """
    try:
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        results = importlib.import_module("opentelemetry.sdk.trace.export")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        raise ConfigurationError(MISSING) from None
    resource = resources.Resource({"service.name": "reveille", "service.version": version})
    sender = otlp.OTLPSpanExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/traces", headers=dict(headers), timeout=ANSWER_SECONDS
    )
    make = _maker(sdk, resource)

    def export(spans: Sequence[Span]) -> bool:
        return bool(sender.export([make(each) for each in spans]) is results.SpanExportResult.SUCCESS)

    return export


def _maker(sdk: Any, resource: Any) -> Callable[[Span], Any]:
    api = importlib.import_module("opentelemetry.trace")
    scopes = importlib.import_module("opentelemetry.sdk.util.instrumentation")
    scope = scopes.InstrumentationScope("reveille")
    sampled = api.TraceFlags(api.TraceFlags.SAMPLED)

    def context(ref: SpanRef, *, is_remote: bool = False) -> Any:
        return api.SpanContext(ref.trace_id, ref.span_id, is_remote=is_remote, trace_flags=sampled)

    def make(span: Span) -> Any:
        kind = (
            api.SpanKind.SERVER
            if span.is_entry
            else api.SpanKind.CLIENT
            if span.is_call
            else api.SpanKind.INTERNAL
        )
        status = api.Status(api.StatusCode.UNSET)
        if span.error is not None:
            status = api.Status(api.StatusCode.ERROR, span.error)
        return sdk.ReadableSpan(
            name=span.name,
            context=context(span.ref),
            parent=None if span.parent is None else context(span.parent, is_remote=True),
            resource=resource,
            attributes={name: value for name, value in span.attributes.items() if value != ""},
            links=[api.Link(context(each)) for each in span.links],
            kind=kind,
            status=status,
            start_time=_nanoseconds(span.start),
            end_time=max(_nanoseconds(span.start), _nanoseconds(span.end)),
            instrumentation_scope=scope,
        )

    return make


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
