"""/mcp: the tools of one agent over the Model Context Protocol, streamable HTTP without sessions or streams.

The bearer key is the agent's own (`agent:ID`). Errors are JSON-RPC errors with a matching HTTP status.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, request

from api import mcp_messages as rpc
from api.addresses import base_url
from api.auth import Level, authenticate, bearer, caller, needs
from api.body import read_message
from api.mcp_modern import (
    DISCOVER,
    MODERN_VERSIONS,
    STATUS,
    check_envelope,
    discovered,
    is_modern,
    with_revision_fields,
)
from api.services import services
from config.installation import VERSION
from scheduler.domain.errors import Forbidden, ReveilleError, Unauthorized
from scheduler.domain.tools import ToolCaller
from scheduler.toolbox.registry import make_tools

mcp = Blueprint("mcp", __name__)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
VERSION_HEADER = "MCP-Protocol-Version"


class Refused(ReveilleError):
    """The request violates MCP's streamable HTTP transport."""

    def __init__(self, status: int, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.status, self.code, self.data = status, code, data


@mcp.post("/mcp")
@needs(Level.READ, own=True)
def take_message() -> Response:
    """Handle one JSON-RPC message: 200 with the response to a request, 202 for a notification."""
    try:
        _check_origin()
        who = _agent()
        _check_headers()
        message = rpc.check_message(_body())
        version = request.headers.get(VERSION_HEADER)
        modern = rpc.is_request(message) and is_modern(message, version)
    except rpc.RpcError as error:
        return _answer(rpc.error_message(error.code, error.message), 400)
    except ReveilleError as error:
        return _unwelcome(error)
    if not rpc.is_request(message):
        return Response(status=202)
    tools = make_tools(services().db, services().triggers, services().clock, base_url())
    if not modern:
        return _answer(rpc.answer_request(message, tools, who, VERSION), 200)
    try:
        check_envelope(message, request.headers.get)
    except rpc.RpcError as error:
        shown = rpc.error_message(error.code, error.message, id_=message["id"], data=error.data)
        return _answer(shown, STATUS.get(error.code, 200))
    if message["method"] == DISCOVER:
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": discovered()}
    else:
        answer = rpc.answer_request(message, tools, who, VERSION)
    code = answer.get("error", {}).get("code")
    return _answer(with_revision_fields(answer, message["method"], VERSION), STATUS.get(code, 200))


def _check_origin() -> None:
    """Refuses requests from web pages of other sites: a browser sends an Origin, a program does not."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    public_url = services().settings.public_url
    if (urlsplit(origin).hostname or "") in LOOPBACK or (public_url and _origin(public_url) == origin.lower()):
        return
    raise Refused(403, rpc.REFUSED, f"Requests from pages of {origin[:200]} are not allowed.")


def _origin(url: str) -> str:
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc}".lower()


def _agent() -> ToolCaller:
    """Returns the agent of the key. Raises Unauthorized, or Forbidden for a key of no single agent."""
    authenticate()
    who = caller()
    if who.agent_id is None:
        raise Forbidden(
            f"MCP acts for a single agent and requires that agent's own key, but {who.name!r} has the scope "
            f"{who.level.name.lower()}. Create one with POST /api/v1/api-keys and the scopes ['agent:ID']."
        )
    return ToolCaller(who.tenant_id, who.agent_id)


def _check_headers() -> None:
    if request.mimetype != "application/json":
        raise Refused(415, rpc.INVALID_REQUEST, "Send the message with Content-Type: application/json.")
    if not request.accept_mimetypes["application/json"]:
        raise Refused(406, rpc.INVALID_REQUEST, "Answers are application/json; say so in Accept.")
    version = request.headers.get(VERSION_HEADER)
    spoken = (*MODERN_VERSIONS, *rpc.VERSIONS)
    if version is not None and version not in spoken:
        data = {"supported": list(spoken), "requested": version[:100]}
        raise Refused(400, rpc.UNSUPPORTED_VERSION, f"{VERSION_HEADER} {version[:100]} is not supported.", data)


def _body() -> object:
    try:
        value = read_message()
    except ValueError as error:
        raise rpc.RpcError(rpc.PARSE_ERROR, f"The body is not valid JSON: {error}.") from None
    return value


def _unwelcome(error: ReveilleError) -> Response:
    code, data = (error.code, error.data) if isinstance(error, Refused) else (rpc.REFUSED, None)
    response = _answer(rpc.error_message(code, error.message, data=data), error.status)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="reveille"' + (
            ', error="invalid_token"' if bearer() else ""
        )
    return response


def _answer(message: dict[str, object], status: int) -> Response:
    return Response(current_app.json.dumps(message), status, content_type="application/json")
