"""What runtime tests share: a request, and the parts that runtimes are made from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from scheduler.domain.clock import SystemClock
from scheduler.domain.ids import new_id
from scheduler.domain.run import RunAgent, RunFiring, RunRequest, RunTrigger
from scheduler.domain.signatures import new_standard_secret
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.base import RuntimeParts

LOOPBACK = AllowedPrivate.parse("127.0.0.0/8, [::1]")
SECRET = new_standard_secret()


def make_request(**values: object) -> RunRequest:
    """Creates a request with one firing."""
    firing = RunFiring(
        id=new_id(),
        trigger=RunTrigger(id=new_id(), name="daily", type="cron", reason="look at it", focus_ref=None),
        fired_at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        first_scheduled_for=None,
        scheduled_for=None,
        slot_count=1,
        content_type=None,
        payload="héllo",
        payload_base64=None,
        data=None,
    )
    fields: dict[str, object] = {
        "invocation_id": new_id(),
        "attempt": 1,
        "complete_url": "http://127.0.0.1/api/v1/invocations/1/complete",
        "complete_token": "token",
        "agent": RunAgent(id=new_id(), name="ada"),
        "context": "You were woken.",
        "firings": (firing,),
    }
    return RunRequest.model_validate(fields | values)


@asynccontextmanager
async def make_parts(
    commands: Mapping[str, Sequence[str]] | None = None,
    allow_private: AllowedPrivate = LOOPBACK,
    **values: Any,
) -> AsyncIterator[RuntimeParts]:
    """Creates parts with a client that may reach loopback addresses."""
    async with GuardedClient(allow_private=allow_private) as client:
        yield RuntimeParts(client, SystemClock(), commands or {}, **values)
