"""Exposes a worker's counters to Prometheus on a separate port, since a worker has no web server."""

from __future__ import annotations

from loguru import logger
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from config.settings import Settings
from scheduler.metrics import REGISTRY

LOOPBACK = "127.0.0.1"
PORTS = 10
"""How many ports are tried, one after the other, so that several workers of a machine do not collide."""


def serve_metrics(settings: Settings) -> int | None:
    """Serves /metrics in a thread until the process ends; returns the port, or None if none is free.

    The process works without it.
    """
    first = settings.metrics_port
    if first == 0:
        return None
    shown = CollectorRegistry()
    shown.register(REGISTRY)
    ProcessCollector(registry=shown)
    for port in range(first, min(first + PORTS, 65536)):
        try:
            start_http_server(port, settings.host or LOOPBACK, shown)
        except OSError:
            continue
        logger.debug("Metrics are served on port {}", port)
        return port
    logger.warning("No port from {} on is free for metrics: set REVEILLE_METRICS_PORT", first)
    return None
