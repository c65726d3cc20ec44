"""Implements the additions of MCP revision 2026-07-28: each request names its own protocol version.

The version and the client's capabilities are in `params._meta`; headers repeat what routers need; results say that
they are complete and how long they may be cached. There is no `initialize`, but `server/discover`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from api.mcp_messages import INSTRUCTIONS, INVALID_PARAMS, METHOD_NOT_FOUND, UNSUPPORTED_VERSION, Message, RpcError

MODERN_VERSIONS = ("2026-07-28",)
HEADER_MISMATCH = -32020
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"
DISCOVER = "server/discover"
GONE = frozenset({"initialize", "ping"})
"""Methods of earlier revisions that this one lacks."""
CACHED = frozenset({DISCOVER, "tools/list"})
NAMED = {"tools/call": "name"}
STATUS = {METHOD_NOT_FOUND: 404, INVALID_PARAMS: 400, HEADER_MISMATCH: 400, UNSUPPORTED_VERSION: 400}
"""Errors that this revision also reports by HTTP status; others are 200."""


def is_modern(message: Message, version: str | None) -> bool:
    """Whether a request uses this revision or a later one, according to its header, its envelope or its method."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, Mapping) else None
    return (
        version in MODERN_VERSIONS
        or message.get("method") == DISCOVER
        or (isinstance(meta, Mapping) and VERSION_KEY in meta)
    )


def check_envelope(message: Message, header: Callable[[str], str | None]) -> None:
    """Raises RpcError unless the envelope is complete, agrees with the headers, and names a supported version."""
    params = message.get("params") or {}
    given = params.get("_meta")
    meta: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {', '.join(missing)}.")
    version, method = meta[VERSION_KEY], message["method"]
    if header("MCP-Protocol-Version") != version:
        raise RpcError(HEADER_MISMATCH, "The header MCP-Protocol-Version is not the version in params._meta.")
    if header("Mcp-Method") != method:
        raise RpcError(HEADER_MISMATCH, "The header Mcp-Method is not the method of the body.")
    name = params.get(NAMED.get(method, ""))
    if name is not None and _decoded(header("Mcp-Name")) != name:
        raise RpcError(HEADER_MISMATCH, f"The header Mcp-Name is not the {NAMED[method]} of the body.")
    if version not in MODERN_VERSIONS:
        known = {"supported": list(MODERN_VERSIONS), "requested": str(version)[:100]}
        raise RpcError(UNSUPPORTED_VERSION, "That version of the protocol is not supported.", known)
    if method in GONE:
        raise RpcError(METHOD_NOT_FOUND, f"{method} is not a method of {version}; see {DISCOVER}.")


def discovered() -> dict[str, Any]:
    """Returns the description of this server for `server/discover`."""
    return {
        "supportedVersions": list(MODERN_VERSIONS),
        "capabilities": {"tools": {}},
        "instructions": INSTRUCTIONS,
    }


def with_revision_fields(answer: dict[str, Any], method: str, server_version: str) -> dict[str, Any]:
    """Returns a response with what this revision adds to results; an error stays as it is."""
    if "result" not in answer:
        return answer
    about = {"name": "reveille", "title": "Reveille", "version": server_version}
    result = answer["result"] | {"resultType": "complete", "_meta": {SERVER_KEY: about}}
    # What an agent may do depends on its key, and its tools change only with our version.
    kept = {"ttlMs": 60_000, "cacheScope": "private"} if method in CACHED else {}
    return answer | {"result": result | kept}


def _decoded(value: str | None) -> str | None:
    """Decodes a header's text, which may be base64 in `=?base64?…?=`."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
