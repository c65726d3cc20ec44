"""The clients: one that blocks and one for asyncio, with the same resources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote

import httpx

from reveille.async_resources import AsyncResources
from reveille.errors import ConnectionFailed, error_of
from reveille.resources import Resources

PREFIX = "/api/v1"
TIMEOUT = httpx.Timeout(30.0, connect=10.0)


def _quote(part: str) -> str:
    """Escapes one segment of a path, whatever it contains."""
    return {".": "%2E", "..": "%2E%2E"}.get(part) or quote(str(part), safe="")


def _headers(key: str, tenant: str | None) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "reveille-python"}
    return headers | ({"Reveille-Tenant": tenant} if tenant else {})


def _arguments(query: Mapping[str, Any] | None, body: Any, idempotency_key: str | None) -> dict[str, Any]:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return {
        "params": given,
        **({} if body is None else {"json": body}),
        **({"headers": {"Idempotency-Key": idempotency_key}} if idempotency_key else {}),
    }


def _json_of(response: httpx.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError:
        kind = response.headers.get("content-type", "no type")
        said = f"{response.url} answered {response.status_code} with {kind}, which is no answer of Reveille's"
        raise ConnectionFailed(f"{said}; is there a proxy before it?") from None


class Client:
    """Calls the API and returns its responses as dictionaries."""

    quote = staticmethod(_quote)

    def __init__(self, url: str, key: str, tenant: str | None, http: httpx.Client | None) -> None:
        """`http` is your own httpx client, for example with proxies or timeouts."""
        self._base = url.rstrip("/") + PREFIX
        self._headers = _headers(key, tenant)
        self.http = http or httpx.Client(timeout=TIMEOUT)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Returns the JSON of a response, None for an empty one. Raises ApiError or ConnectionFailed."""
        response = self._send(method, path, **_arguments(query, body, idempotency_key))
        return _json_of(response)

    def download(self, method: str, path: str) -> bytes:
        """Returns the bytes of a response."""
        return self._send(method, path).content

    def each(self, path: str, *, query: Mapping[str, Any]) -> Iterator[Any]:
        """Yields the items of all pages of a list."""
        after: str | None = None
        while True:
            page = self.call("GET", path, query={**query, "limit": 200, "after": after})
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def _send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        try:
            response = self.http.request(
                method, self._base + path, headers={**self._headers, **(headers or {})}, **options
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectionFailed(f"{method} {self._base}{path}: {error or type(error).__name__}") from error
        if response.status_code >= 300:
            raise error_of(response)
        return response


class AsyncClient:
    """Calls the API from coroutines and returns its responses as dictionaries."""

    quote = staticmethod(_quote)

    def __init__(self, url: str, key: str, tenant: str | None, http: httpx.AsyncClient | None) -> None:
        """`http` is your own httpx client, for example with proxies or timeouts."""
        self._base = url.rstrip("/") + PREFIX
        self._headers = _headers(key, tenant)
        self.http = http or httpx.AsyncClient(timeout=TIMEOUT)

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Returns the JSON of a response, None for an empty one. Raises ApiError or ConnectionFailed."""
        response = await self._send(method, path, **_arguments(query, body, idempotency_key))
        return _json_of(response)

    async def download(self, method: str, path: str) -> bytes:
        """Returns the bytes of a response."""
        return (await self._send(method, path)).content

    async def each(self, path: str, *, query: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Yields the items of all pages of a list."""
        after: str | None = None
        while True:
            page = await self.call("GET", path, query={**query, "limit": 200, "after": after})
            for item in page["items"]:
                yield item
            after = page["next"]
            if after is None:
                return

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        try:
            response = await self.http.request(
                method, self._base + path, headers={**self._headers, **(headers or {})}, **options
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectionFailed(f"{method} {self._base}{path}: {error or type(error).__name__}") from error
        if response.status_code >= 300:
            raise error_of(response)
        return response


class Reveille(Resources):
    """A client for the Reveille server at `url`: `Reveille(url, key).agents.list()`."""

    def __init__(self, url: str, key: str, *, tenant: str | None = None, http: httpx.Client | None = None) -> None:
        """`tenant` selects the tenant for an operator's key."""
        self._client = Client(url, key, tenant, http)
        super().__init__(self._client)

    def close(self) -> None:
        """Closes the connections."""
        self._client.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncReveille(AsyncResources):
    """An asyncio client for the Reveille server at `url`: `await AsyncReveille(url, key).agents.list()`."""

    def __init__(
        self, url: str, key: str, *, tenant: str | None = None, http: httpx.AsyncClient | None = None
    ) -> None:
        """`tenant` selects the tenant for an operator's key."""
        self._client = AsyncClient(url, key, tenant, http)
        super().__init__(self._client)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
