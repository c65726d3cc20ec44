"""Methods of tenants.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.agents import NoteIn
    from reveille.shapes.tenants import PauseOut, TenantIn, TenantOut, TenantPage, TenantPatch


class AsyncTenants:
    """What is done with tenants."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, *, limit: int | None = None, after: str | None = None) -> TenantPage:
        """List tenants, newest first."""
        answer: TenantPage = await self._client.call("GET", "/tenants", query={"limit": limit, "after": after})
        return answer

    def each(self) -> AsyncIterator[TenantOut]:
        """Go through all of them, page by page."""
        return self._client.each("/tenants", query={})

    async def create(self, **fields: Unpack[TenantIn]) -> TenantOut:
        """Create a tenant."""
        answer: TenantOut = await self._client.call("POST", "/tenants", body=fields)
        return answer

    async def get(self, tenant_id: str, /) -> TenantOut:
        """Show a tenant."""
        answer: TenantOut = await self._client.call("GET", f"/tenants/{self._client.quote(tenant_id)}")
        return answer

    async def delete(self, tenant_id: str, /) -> None:
        """Delete a tenant without agents, and its keys."""
        await self._client.call("DELETE", f"/tenants/{self._client.quote(tenant_id)}")

    async def update(self, tenant_id: str, /, **fields: Unpack[TenantPatch]) -> TenantOut:
        """Change a tenant. A timezone moves triggers where neither they nor their agents have their own."""
        answer: TenantOut = await self._client.call(
            "PATCH", f"/tenants/{self._client.quote(tenant_id)}", body=fields
        )
        return answer

    async def pause(self, tenant_id: str, /, **fields: Unpack[NoteIn]) -> PauseOut:
        """Pause a tenant."""
        answer: PauseOut = await self._client.call(
            "POST", f"/tenants/{self._client.quote(tenant_id)}/pause", body=fields
        )
        return answer

    async def resume(self, tenant_id: str, /) -> PauseOut:
        """Resume a tenant: waiting firings are delivered now."""
        answer: PauseOut = await self._client.call("POST", f"/tenants/{self._client.quote(tenant_id)}/resume")
        return answer
