"""The console's client of the HTTP API: one call, one JSON response, failures as our errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from scheduler.commands.exits import Unreachable, UsageFault
from scheduler.domain.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    InvalidField,
    LimitReached,
    NotFound,
    PayloadTooLarge,
    ReveilleError,
    Unauthorized,
)

TIMEOUT = 30.0
"""The timeout of one call in seconds."""
LONG_TIMEOUT = 300.0
SILENT = 40.0
"""How long a stream of changes may be silent, in seconds; the service sends something every 10."""
AWAY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
"""A proxy's status codes when the service behind it does not answer."""
PAGE = 100
"""The page size of listings."""
ERRNO = re.compile(r"^\[Errno -?\d+\] ")
"""What the system's own messages begin with."""
PLACE_IN_LIST = re.compile(r"(\.\d+)+$")
LOCAL = ("all://127.0.0.1", "all://localhost", "all://[::1]")
"""Hosts that are never reached through a proxy, whatever HTTP_PROXY says."""

_ERRORS: dict[int, type[ReveilleError]] = {
    HTTPStatus.BAD_REQUEST: InvalidField,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: PayloadTooLarge,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidField,
    HTTPStatus.TOO_MANY_REQUESTS: LimitReached,
    HTTPStatus.SERVICE_UNAVAILABLE: DatabaseUnavailable,
}
_REMEDY = "Pass another key with --key or REVEILLE_API_KEY."


class Refused(ReveilleError):
    """The API refused the fields of a request."""

    def __init__(self, whole: ReveilleError, errors: Sequence[Mapping[str, str]]) -> None:
        super().__init__(whole.message)
        self.whole = whole
        self.errors = errors


class Client:
    """Calls `URL/api/v1`. Every failure is a ReveilleError that says what to do."""

    def __init__(self, url: str, key: str | None, timeout: float = TIMEOUT) -> None:
        headers = {"Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {_header('--key', key)}"
        if not _is_address(url):
            raise UsageFault(f"--url {url!r} is not an address such as http://127.0.0.1:8080.")
        self.url = url
        self._has_key = bool(key)
        self._timeout = timeout
        self._errors: Sequence[Mapping[str, str]] = []
        self.options: dict[str, str] = {}
        """The command's option for each field of its request: what errors name."""
        try:
            self._http = httpx.Client(
                base_url=f"{url}/api/v1", headers=headers, timeout=timeout, mounts=dict.fromkeys(LOCAL)
            )
        except (ValueError, ImportError, httpx.InvalidURL) as error:  # of HTTP_PROXY and the like
            raise UsageFault(f"The proxy in the environment cannot be used: {error}.") from None

    def act_on(self, tenant: str) -> None:
        """Acts on this tenant, by its id, from now on."""
        self._http.headers["Reveille-Tenant"] = _header("--tenant", tenant)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, *path: str, **query: object) -> Any:  # JSON
        """Sends a GET; omits query values of None."""
        return self._call("GET", path, query=query)

    def post(self, *path: str, body: Mapping[str, Any] | None = None, idempotency_key: str | None = None) -> Any:
        """POSTs `body` as JSON, if given."""
        headers = {"Idempotency-Key": _header("--idempotency-key", idempotency_key)} if idempotency_key else {}
        return self._call("POST", path, body=body, headers=headers)

    def post_whole(self, *path: str, body: Mapping[str, Any]) -> Any:
        """POSTs a request that may take long. Raises Refused with each invalid field."""
        try:
            return self._call("POST", path, body=body, timeout=LONG_TIMEOUT)
        except ReveilleError as error:
            if self._errors:
                raise Refused(error, self._errors) from None
            raise

    def put(self, *path: str, body: Mapping[str, Any]) -> Any:
        """PUTs `body` as JSON."""
        return self._call("PUT", path, body=body)

    def download(self, *path: str) -> bytes:
        """Returns the bytes of a response."""
        response = self._send("GET", path)
        if response.is_success:
            return response.content
        return bytes(self._read(response))  # raises

    def changes(self) -> Iterator[str]:
        """Yields the lines of the stream of changes, until the service ends it. Raises as the others do."""
        timeout = httpx.Timeout(self._timeout, read=SILENT)
        try:
            with self._http.stream("GET", f"{self.url}/live", timeout=timeout) as response:
                if not response.is_success:
                    response.read()
                    self._read(response)
                yield from response.iter_lines()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def patch(self, *path: str, body: Mapping[str, Any]) -> Any:
        """PATCHes with `body` as JSON."""
        return self._call("PATCH", path, body=body)

    def delete(self, *path: str) -> None:
        """Sends a DELETE, which has no response body."""
        self._call("DELETE", path)

    def every(self, *path: str, **query: object) -> Iterator[dict[str, Any]]:
        """Yields each item of a listing, page by page."""
        after: str | None = None
        while True:
            page = self.get(*path, **query, limit=PAGE, after=after)
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        return self._read(self._send(method, path, query=query, body=body, headers=headers, timeout=timeout))

    def _send(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        target = "/" + "/".join(map(_escaped, path))
        params = {name: str(value) for name, value in (query or {}).items() if value is not None}
        patience = timeout or self._timeout
        try:
            return self._http.request(method, target, params=params, json=body, headers=headers, timeout=patience)
        except httpx.TimeoutException:
            raise Unreachable(f"{self.url} did not answer within {patience:g} s; try again.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from None
        except (UnicodeError, RecursionError, ValueError) as error:
            raise UsageFault(f"The input cannot be sent as JSON: {error}.") from None

    def _unreachable(self, error: Exception) -> ReveilleError:
        if isinstance(error, httpx.DecodingError):
            return Unreachable(f"The response of {self.url} is broken: {error}.")
        why = ERRNO.sub("", str(error))
        return Unreachable(
            f"{self.url} does not answer ({why}); start it with `reveille run` (in a checkout: `make run`), "
            "or pass its address with --url or REVEILLE_URL."
        )

    def _read(self, response: httpx.Response) -> Any:
        if response.status_code == HTTPStatus.NO_CONTENT:
            return None
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.is_success and answer is not None:
            return answer
        if response.is_redirect:
            place = response.headers.get("Location", "")
            raise ReveilleError(f"{self.url} redirects to {place[:200]!r}; pass the address there with --url.")
        raise self._failure(response.status_code, answer if isinstance(answer, dict) else {})

    def _failure(self, status: int, problem: Mapping[str, Any]) -> ReveilleError:
        self._errors = problem.get("errors") or []
        text = problem.get("detail") or problem.get("title")
        if not isinstance(text, str):
            kind = Unreachable if status in AWAY else ReveilleError
            return kind(f"{self.url} answered {status}, which is not a Reveille response; check the address.")
        field = problem.get("field")
        text = _in_options(text, field if isinstance(field, str) else "", self.options)
        if status == HTTPStatus.UNAUTHORIZED and not self._has_key:
            text = "An API key is required: pass one with --key or REVEILLE_API_KEY."
        elif status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            text = f"{text} {_REMEDY}"
        return _ERRORS.get(status, ReveilleError)(text)


def _in_options(text: str, field: str, options: Mapping[str, str]) -> str:
    """Names the invalid field, as the option that sets it where the command has one."""
    spelled = {name.rpartition(".")[2]: flag for name, flag in options.items() if "_" in name.rpartition(".")[2]}
    if spelled:
        one = rf"(?<![\w.-])(?:[a-z_]+\.)?({'|'.join(map(re.escape, spelled))})(?![\w-])"
        text = re.sub(one, lambda found: spelled[found[1]], text)
    own = PLACE_IN_LIST.sub("", field)
    whole, _, part = own.rpartition(".")
    name = options.get(own) or (f"{options[whole]} {part}" if whole in options else field)
    text = text if name == field else text.removeprefix(f"{field}: ")
    return text if name in text else f"{name}: {text}"


def _is_address(url: str) -> bool:
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        return False
    is_plain = not (parts.query or parts.fragment or parts.userinfo)
    return parts.scheme in ("http", "https") and bool(parts.host) and is_plain


def _header(option: str, text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise UsageFault(f"{option} contains characters that are not allowed in a {option.strip('-')}.")
    return text


def _escaped(part: str) -> str:
    """Escapes a path segment, including `..`, which would otherwise remove another segment."""
    return quote(part, safe="") if part.strip(".") else "%2E" * len(part)
