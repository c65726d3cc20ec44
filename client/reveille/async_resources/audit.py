"""Methods of audit.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.audit import AuditOut, AuditPage


class AsyncAudit:
    """What is done with audit."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        agent_id: str | None = None,
        trigger_id: str | None = None,
        subject_id: str | None = None,
        action: str | None = None,
    ) -> AuditPage:
        """List audit events, newest first. An operator's admin key also sees those that belong to no tenant."""
        answer: AuditPage = await self._client.call(
            "GET",
            "/audit",
            query={
                "limit": limit,
                "after": after,
                "from": from_,
                "to": to,
                "agent_id": agent_id,
                "trigger_id": trigger_id,
                "subject_id": subject_id,
                "action": action,
            },
        )
        return answer

    def each(
        self,
        *,
        from_: str | None = None,
        to: str | None = None,
        agent_id: str | None = None,
        trigger_id: str | None = None,
        subject_id: str | None = None,
        action: str | None = None,
    ) -> AsyncIterator[AuditOut]:
        """Go through all of them, page by page."""
        return self._client.each(
            "/audit",
            query={
                "from": from_,
                "to": to,
                "agent_id": agent_id,
                "trigger_id": trigger_id,
                "subject_id": subject_id,
                "action": action,
            },
        )
