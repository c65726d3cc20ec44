"""Methods of tenants.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.agents import NoteIn
    from reveille.shapes.tenants import PauseOut, TenantIn, TenantOut, TenantPage, TenantPatch


class Tenants:
    """What is done with tenants."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, limit: int | None = None, after: str | None = None) -> TenantPage:
        """List tenants, newest first."""
        answer: TenantPage = self._client.call("GET", "/tenants", query={"limit": limit, "after": after})
        return answer

    def each(self) -> Iterator[TenantOut]:
        """Go through all of them, page by page."""
        return self._client.each("/tenants", query={})

    def create(self, **fields: Unpack[TenantIn]) -> TenantOut:
        """Create a tenant."""
        answer: TenantOut = self._client.call("POST", "/tenants", body=fields)
        return answer

    def get(self, tenant_id: str, /) -> TenantOut:
        """Show a tenant."""
        answer: TenantOut = self._client.call("GET", f"/tenants/{self._client.quote(tenant_id)}")
        return answer

    def delete(self, tenant_id: str, /) -> None:
        """Delete a tenant without agents, and its keys."""
        self._client.call("DELETE", f"/tenants/{self._client.quote(tenant_id)}")

    def update(self, tenant_id: str, /, **fields: Unpack[TenantPatch]) -> TenantOut:
        """Change a tenant. A timezone moves triggers where neither they nor their agents have their own."""
        answer: TenantOut = self._client.call("PATCH", f"/tenants/{self._client.quote(tenant_id)}", body=fields)
        return answer

    def pause(self, tenant_id: str, /, **fields: Unpack[NoteIn]) -> PauseOut:
        """Pause a tenant."""
        answer: PauseOut = self._client.call(
            "POST", f"/tenants/{self._client.quote(tenant_id)}/pause", body=fields
        )
        return answer

    def resume(self, tenant_id: str, /) -> PauseOut:
        """Resume a tenant: waiting firings are delivered now."""
        answer: PauseOut = self._client.call("POST", f"/tenants/{self._client.quote(tenant_id)}/resume")
        return answer
