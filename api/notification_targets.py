"""Notification targets: where people are told of an agent's replies besides their sessions."""

from __future__ import annotations

import asyncio
import json
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Connection, Row

from api.auth import Level, caller, needs
from api.resource import CHANGES, EMPTY, answer, blueprint, no_content, one_more, page, problems
from api.schemas.agents import AgentPath
from api.schemas.base import Page
from api.schemas.notification_targets import TargetIn, TargetOut, TargetPage, TargetPath, TestedOut
from api.services import services
from scheduler.domain.errors import LimitReached
from scheduler.domain.ids import new_id
from scheduler.domain.notification import content_of
from scheduler.domain.signatures import new_standard_secret
from scheduler.net.client import GuardedClient
from scheduler.net.policy import check_url
from scheduler.net.requests import check_address
from scheduler.notifications.send import send
from scheduler.notifications.target_statements import create_target, delete_target, get_target, list_targets
from scheduler.notifications.targets.base import NotSent, Outgoing
from scheduler.notifications.targets.registry import SIGNED, open_target
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import Event, record_events

notification_targets = blueprint("notification targets", "Where an agent's replies are sent besides.")

TESTS_AT_ONCE = 2
RETRY_SECONDS = 10
_tests = BoundedSemaphore(TESTS_AT_ONCE)
"""Each holds a thread of this process for up to 10 s."""


@notification_targets.post("/agents/<agent_id>/notification-targets", responses={201: TargetOut, **CHANGES})
@needs(Level.WRITE)
def make_target(path: AgentPath, body: TargetIn) -> Response:
    """Make a target; ten are allowed. A webhook's secret is in this answer only."""
    who = caller()
    check_address(body.url, "url", services().allow_private)
    secret = body.secret or (new_standard_secret() if body.kind == SIGNED else None)
    open_target(body.kind, secret)
    values = {
        "name": body.name,
        "kind": body.kind,
        "host": check_url(body.url, services().allow_private).host,
        "secrets": services().box.encrypt(json.dumps({"url": body.url, "secret": secret})),
    }
    with services().db.begin() as conn:
        get_agent(conn, who.tenant_id, path.agent_id, lock=True)
        row = create_target(conn, who.tenant_id, path.agent_id, values)
        _audit(conn, "created", row, kind=row.kind, host=row.host)
    return answer(
        _show(row, secret if body.kind == SIGNED else None), 201, location=f"/notification-targets/{row.id}"
    )


@notification_targets.get("/agents/<agent_id>/notification-targets", responses={200: TargetPage})
@needs(Level.READ)
def show_targets(path: AgentPath, query: Page) -> Response:
    """List an agent's targets, newest first."""
    with services().db.begin() as conn:
        get_agent(conn, caller().tenant_id, path.agent_id)
        rows = list_targets(conn, path.agent_id, **one_more(query))
    return page(TargetPage, [_show(row) for row in rows], query)


@notification_targets.get("/notification-targets/<target_id>", responses={200: TargetOut})
@needs(Level.READ)
def show_target(path: TargetPath) -> Response:
    """Show a target."""
    return answer(_show(_target(path.target_id)))


@notification_targets.delete("/notification-targets/<target_id>", responses={204: EMPTY})
@needs(Level.WRITE)
def remove_target(path: TargetPath) -> Response:
    """Delete a target. What is on its way there is given up."""
    with services().db.begin() as conn:
        row = get_target(conn, caller().tenant_id, path.target_id, lock=True)
        delete_target(conn, row.id)
        _audit(conn, "deleted", row, kind=row.kind, host=row.host)
    return no_content()


@notification_targets.post(
    "/notification-targets/<target_id>/test", responses={200: TestedOut, **CHANGES, **problems(429)}
)
@needs(Level.WRITE)
def test_target(path: TargetPath) -> Response:
    """Send a test, once and at once, and tell what became of it."""
    who = caller()
    with services().db.begin() as conn:
        row = get_target(conn, who.tenant_id, path.target_id)
        agent = get_agent(conn, who.tenant_id, row.agent_id)
    note = Outgoing(
        id=new_id(),
        invocation_id=None,
        agent_id=row.agent_id,
        agent_name=agent.name,
        content=content_of("Test", f"{agent.name} can reach you here."),
        triggers=(),
        created_at=services().clock.now(),
    )
    if not _tests.acquire(blocking=False):
        raise LimitReached("Other targets are being tested; try again in a moment.", retry_after=RETRY_SECONDS)
    try:
        problem = asyncio.run(_send(row, note))
    finally:
        _tests.release()
    return answer(TestedOut(delivered=problem is None, error=None if problem is None else problem.error))


async def _send(row: Row[Any], note: Outgoing) -> NotSent | None:
    held = json.loads(services().box.decrypt(row.secrets))
    async with GuardedClient(allow_private=services().allow_private) as client:
        return await send(client, services().clock, held["url"], open_target(row.kind, held["secret"]), note)


def _target(target_id: UUID) -> Row[Any]:
    with services().db.begin() as conn:
        return get_target(conn, caller().tenant_id, target_id)


def _show(row: Row[Any], secret: str | None = None) -> TargetOut:
    return TargetOut.model_validate({**row._mapping, "secret": secret})  # noqa: SLF001  # public in all but name


def _audit(conn: Connection, verb: str, row: Row[Any], **detail: object) -> None:
    detail = {"name": row.name, **detail}
    record_events(
        conn, [Event(f"notification_target.{verb}", row.tenant_id, row.id, row.agent_id, caller().actor, detail)]
    )
