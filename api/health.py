"""/healthz and /readyz for supervisors and load balancers; no key."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app
from sqlalchemy.exc import DBAPIError

from api.services import services
from scheduler.domain.errors import DatabaseUnavailable
from scheduler.storage.migrate import current_revision, head_revision
from scheduler.storage.read_models.status import read_canary, read_signs_of_life

MAX_PASS_AGE = 15.0
"""In seconds. A scheduler runs a pass at least every 5."""
MAX_HEARTBEAT_AGE = 30.0
"""In seconds. A worker sends a heartbeat every 5."""

MAX_CANARY = 10.0
"""In seconds, from a slot to the end of what it woke."""
CANARY = "canary"

health = Blueprint("health", __name__)


@health.get("/healthz")
def healthz() -> Response:
    """Report that the process responds."""
    return _json({"status": "ok"}, HTTPStatus.OK)


@health.get("/readyz")
def readyz() -> Response:
    """Check everything that a firing needs, by name; 503 while a check fails.

    What works, but slowly, is `degraded`: this server can help as well as any other.
    """
    checks = _checks()
    failing = {name for name, check in checks.items() if not check["ok"]}
    if failing - {CANARY}:
        return _json({"status": "not ready", "checks": checks}, HTTPStatus.SERVICE_UNAVAILABLE)
    return _json({"status": "degraded" if failing else "ready", "checks": checks}, HTTPStatus.OK)


def _checks() -> dict[str, dict[str, Any]]:
    checks: dict[str, dict[str, Any]] = {"database": {"ok": False}}
    try:
        with services().db.begin() as conn:
            at = current_revision(conn)
            checks = {"database": {"ok": True}, "migrations": {"ok": at == _head(), "at": at, "head": _head()}}
            if at is None:
                return checks
            signs, canary = read_signs_of_life(conn), read_canary(conn)
    except (DatabaseUnavailable, DBAPIError):
        return checks  # keep the earlier findings; tables of another version say nothing about heartbeats
    timed = {} if canary is None else {CANARY: _age("duration_seconds", canary, MAX_CANARY)}
    return (
        checks
        | timed
        | {
            "scheduler": _age("last_pass_age_seconds", signs.last_pass_age, MAX_PASS_AGE),
            "worker": _age("heartbeat_age_seconds", signs.worker_heartbeat_age, MAX_HEARTBEAT_AGE),
        }
    )


def _age(name: str, age: float | None, most: float) -> dict[str, Any]:
    return {"ok": age is not None and age < most, name: None if age is None else round(age, 3)}


@cache
def _head() -> str:
    return head_revision()


def _json(value: dict[str, Any], status: HTTPStatus) -> Response:
    return Response(current_app.json.dumps(value), status, content_type="application/json")
