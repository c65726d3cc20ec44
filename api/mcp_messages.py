"""Answers single MCP messages: JSON-RPC 2.0 as in the Model Context Protocol (2025-11-25).

Stateless: each request is independent and answered by one JSON object. The shapes are written by hand, as the
library takes seconds to import in a process that serves everything else too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from loguru import logger

from scheduler.domain.errors import ReveilleError
from scheduler.domain.tools import Tool, ToolCaller
from scheduler.metrics import INTAKE_DURATION

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
"""The revisions with `initialize`, newest first, which do not differ in what we use.

Newer ones are in mcp_modern.py.
"""

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = (
    -32700,
    -32600,
    -32601,
    -32602,
    -32603,
)
UNSUPPORTED_VERSION = -32022
REFUSED = -32001
"""The caller is not authorized: no key, a wrong one, or one that is for no agent."""

INSTRUCTIONS = (
    "These tools are those of one agent of Reveille, the agent of your key: its alarm clock (set_trigger "
    "and the other "
    "trigger tools), what woke it (get_firing, list_invocations), and the other agents that it can reach."
)

Message = Mapping[str, Any]


class RpcError(Exception):
    """A protocol error, as opposed to a tool's error."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


def error_message(code: int, message: str, *, id_: object = None, data: object = None) -> dict[str, Any]:
    """Returns an error response; `id_` None when the request's id is unknown."""
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return {"jsonrpc": "2.0", "id": id_, "error": error}


def check_message(value: object) -> Message:
    """Returns the parsed body as a JSON-RPC message; raises RpcError."""
    if isinstance(value, list):
        raise RpcError(INVALID_REQUEST, "Send one message at a time; MCP has had no batches since 2025-06-18.")
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'The body is not a JSON-RPC message: it has no "jsonrpc": "2.0".')
    if "method" in value and not isinstance(value["method"], str):
        raise RpcError(INVALID_REQUEST, "method must be a string.")
    if "method" in value and "id" in value and not _is_id(value["id"]):
        raise RpcError(INVALID_REQUEST, "id must be a string or an integer.")
    if not isinstance(value.get("params", {}), dict):
        raise RpcError(INVALID_PARAMS, "params must be an object.")
    return value


def is_request(message: Message) -> bool:
    """Whether the message expects a response: it is neither a notification nor a response."""
    return "method" in message and "id" in message


def answer_request(
    message: Message, tools: Sequence[Tool], caller: ToolCaller, server_version: str
) -> dict[str, Any]:
    """Returns the response to the request."""
    params = message.get("params") or {}
    try:
        result = _result(message["method"], params, tools, caller, server_version)
    except RpcError as error:
        return error_message(error.code, error.message, id_=message["id"], data=error.data)
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def _result(
    method: str, params: Message, tools: Sequence[Tool], caller: ToolCaller, server_version: str
) -> dict[str, Any]:
    match method:
        case "initialize":
            return _initialized(params, server_version)
        case "ping":
            return {}
        case "tools/list":
            return {"tools": [_described(tool) for tool in tools]}
        case "tools/call":
            return _called(params, tools, caller)
    raise RpcError(METHOD_NOT_FOUND, f"There is no method {method[:100]!r}; this server only has tools.")


def _initialized(params: Message, server_version: str) -> dict[str, Any]:
    asked = params.get("protocolVersion")
    if not isinstance(asked, str):
        raise RpcError(INVALID_PARAMS, "protocolVersion must be a string.")
    return {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "reveille", "title": "Reveille", "version": server_version},
        "instructions": INSTRUCTIONS,
    }


def _described(tool: Tool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": tool.name,
        "title": tool.name.replace("_", " ").capitalize(),
        "description": tool.description,
        "inputSchema": dict(tool.schema),
    }
    if tool.hints:
        shown["annotations"] = {"title": shown["title"], **tool.hints}
    if tool.result_schema:
        shown["outputSchema"] = dict(tool.result_schema)
    return shown


def _called(params: Message, tools: Sequence[Tool], caller: ToolCaller) -> dict[str, Any]:
    name, arguments = params.get("name"), params.get("arguments") or {}
    tool = next((each for each in tools if each.name == name), None)
    if tool is None:
        known = ", ".join(each.name for each in tools)
        raise RpcError(INVALID_PARAMS, f"There is no tool {str(name)[:100]!r}; available: {known}.")
    if not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "arguments must be an object.")
    timer = nullcontext() if tool.hints.get("readOnlyHint") else INTAKE_DURATION.labels("mcp").time()
    try:
        with timer:
            done = tool.call(caller, arguments)
    except ReveilleError as refusal:  # the model reads it and can correct its call
        return {"content": [_text(refusal.message)], "isError": True}
    except Exception as error:  # noqa: BLE001  # whatever it is, the client must be answered
        logger.opt(exception=error).error("The tool {} failed unexpectedly", tool.name)
        raise RpcError(INTERNAL_ERROR, f"The tool {tool.name} failed; see the server's log.") from None
    text = done if isinstance(done, str) else json.dumps(done, ensure_ascii=False)
    structured = {"structuredContent": done} if isinstance(done, dict) else {}
    return {"content": [_text(text)], **structured, "isError": False}


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _is_id(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
