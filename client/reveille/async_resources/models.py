"""Methods of models.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.models import ModelIn, ModelOut, ModelPage, ModelPatch, ModelTestedOut


class AsyncModels:
    """What is done with models."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, *, limit: int | None = None, after: str | None = None) -> ModelPage:
        """List models, newest first."""
        answer: ModelPage = await self._client.call("GET", "/models", query={"limit": limit, "after": after})
        return answer

    def each(self) -> AsyncIterator[ModelOut]:
        """Go through all of them, page by page."""
        return self._client.each("/models", query={})

    async def create(self, **fields: Unpack[ModelIn]) -> ModelOut:
        """Create a model. Its key is stored encrypted and never shown."""
        answer: ModelOut = await self._client.call("POST", "/models", body=fields)
        return answer

    async def get(self, model_id: str, /) -> ModelOut:
        """Show a model."""
        answer: ModelOut = await self._client.call("GET", f"/models/{self._client.quote(model_id)}")
        return answer

    async def delete(self, model_id: str, /) -> None:
        """Delete a model that no agent uses; 409 names those that do."""
        await self._client.call("DELETE", f"/models/{self._client.quote(model_id)}")

    async def update(self, model_id: str, /, **fields: Unpack[ModelPatch]) -> ModelOut:
        """Change a model. Its key stays with its address: for another address, give the key again."""
        answer: ModelOut = await self._client.call("PATCH", f"/models/{self._client.quote(model_id)}", body=fields)
        return answer

    async def test(self, model_id: str, /) -> ModelTestedOut:
        """Ask a model a short test question now and return the result. A disabled one can be tested, too."""
        answer: ModelTestedOut = await self._client.call("POST", f"/models/{self._client.quote(model_id)}/test")
        return answer
