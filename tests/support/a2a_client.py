"""An SDK client and plain JSON-RPC calls, for tests of our agents as A2A agents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from a2a.client import Client, ClientConfig, create_client
from a2a.types import Message, Part, Role, SendMessageRequest, Task

from tests.support.api import Caller

Talk = Callable[[Client], Awaitable[Any]]


def message(text: str = "hello", **fields: Any) -> SendMessageRequest:
    asked = Message(role=Role.ROLE_USER, parts=[Part(text=text)], **({"message_id": "m1"} | fields))
    return SendMessageRequest(message=asked)


def talk(url: str, key: str | None, work: Talk, *, polling: bool = True) -> Any:
    """Runs `work` with a connected SDK client and returns its result."""

    async def run() -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(headers=headers, timeout=30) as http:
            return await work(await create_client(url, ClientConfig(polling=polling, httpx_client=http)))

    return asyncio.run(run())


async def sent(client: Client, request: SendMessageRequest) -> Task:
    [answer] = [event async for event in client.send_message(request)]
    return answer.task


def rpc(caller: Caller, agent_id: str, body: Any, version: str | None = "1.0") -> Any:
    """Sends a plain JSON-RPC request and returns the response."""
    headers = {"A2A-Version": version} if version else {}
    return caller.ok(caller.call("POST", f"//a2a/{agent_id}", body, headers=headers), 200)


def immediate(message_id: str) -> dict[str, Any]:
    """Builds a plain request that does not wait."""
    sent_message = {"messageId": message_id, "role": "ROLE_USER", "parts": [{"text": "hi"}]}
    params = {"message": sent_message, "configuration": {"returnImmediately": True}}
    return {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
