"""Handles one task at a remote agent: sends or resumes it, follows it to its end, cancels it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from uuid import UUID

import httpx
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    Task,
)
from a2a.utils.constants import AGENT_CARD_WELL_KNOWN_PATH, TransportProtocol
from a2a.utils.errors import TaskNotFoundError
from loguru import logger

from scheduler.domain.clock import Clock
from scheduler.domain.errors import ConfigurationError, DatabaseUnavailable, ReveilleError
from scheduler.domain.lineage import INVOCATION_KEY
from scheduler.domain.run import HandedBack, Outcome, Replied, RunRequest
from scheduler.net.policy import origin_of
from scheduler.runtimes.a2a_outcomes import ERRORS, append, failure, is_canceled, outcome_of, replied, text_of
from scheduler.storage.remote_tasks import KnownTask, RemoteTasks

FIRST_LOOK, LONGEST_LOOK = 1.0, 10.0
"""The seconds between two polls of a task without a stream."""
IDLE_SECONDS = 60.0
"""After this much silence a stream is abandoned and its task is polled instead, as the connection may be dead."""
MAX_MISSES = 5
"""How many consecutive polls may fail."""


class RemoteAgent:
    """A single piece of work for a remote agent.

    `http` carries the credentials, `memory` keeps the task if the worker is lost.
    """

    def __init__(
        self, http: httpx.AsyncClient, url: str, memory: RemoteTasks | None, clock: Clock, *, has_secrets: bool
    ) -> None:
        self._http = http
        self._url = url.removesuffix(AGENT_CARD_WELL_KNOWN_PATH)
        self._memory = memory
        self._clock = clock
        self._has_secrets = has_secrets
        self._client: Client | None = None
        self._task: Task | None = None

    async def work(self, request: RunRequest) -> Outcome:
        """Sends the context, or continues the task of an earlier attempt, to the end."""
        try:
            return await self._work(request)
        except DatabaseUnavailable:
            return HandedBack("database_away")
        except ERRORS as error:
            return failure(error, self._clock.now())

    async def cancel(self) -> None:
        """Asks the agent to stop if it has started and is not done."""
        if self._client is None or self._task is None or outcome_of(self._task) is not None:
            return
        try:
            await self._client.cancel_task(CancelTaskRequest(id=self._task.id))
        except ERRORS as error:
            logger.info("The remote task {} could not be cancelled: {}", self._task.id, error)

    async def _work(self, request: RunRequest) -> Outcome:
        client = await self._connect()
        known = await self._memory.recall(request.invocation_id) if self._memory else None
        if known is not None and known.url == self._url:
            outcome = await self._resume(client, known.task_id)
            if outcome is not None:
                return outcome
        return await self._send(client, request, known)

    async def _connect(self) -> Client:
        card = await A2ACardResolver(self._http, self._url).get_agent_card()
        bindings = [TransportProtocol.JSONRPC, TransportProtocol.HTTP_JSON]
        config = ClientConfig(polling=True, httpx_client=self._http, supported_protocol_bindings=list(bindings))
        self._check_origins(card)
        try:
            self._client = ClientFactory(config).create(card)
        except ValueError:
            raise ConfigurationError("The agent's card offers neither JSON-RPC nor HTTP+JSON.") from None
        return self._client

    def _check_origins(self, card: AgentCard) -> None:
        """Refuses to send secrets to any address of a card other than the configured one."""
        if not self._has_secrets:
            return
        home = origin_of(self._url)
        for interface in card.supported_interfaces:
            if origin_of(interface.url) != home:
                raise ConfigurationError(
                    f"The agent's card leads to {interface.url}, another host than that of the agent's url, which "
                    "alone is given its secret; set the agent's url to that host, or have the card corrected."
                )

    async def _resume(self, client: Client, task_id: str) -> Outcome | None:
        """Follows the task of an earlier attempt; None when it must be sent again.

        That attempt may have cancelled it, it may have failed, or the agent no longer knows it.
        """
        try:
            self._task = await client.get_task(GetTaskRequest(id=task_id))
        except TaskNotFoundError:
            return None
        outcome = outcome_of(self._task)
        if outcome is not None:
            return outcome if isinstance(outcome, Replied) else None
        outcome = await self._look(client)
        return None if is_canceled(self._known_task()) else outcome

    async def _send(self, client: Client, request: RunRequest, known: KnownTask | None) -> Outcome:
        """Sends the message with the invocation's id, so that an agent can detect repeats.

        After a task that ended without an answer it uses a new id, as the same one would only return that task.
        """
        self._task = None
        message_id = str(request.invocation_id) if known is None else f"{request.invocation_id}.{known.task_id}"
        parts = [Part(text=request.context)]
        message = Message(message_id=message_id, role=Role.ROLE_USER, parts=parts)
        message.metadata[INVOCATION_KEY] = str(request.invocation_id)
        answer = await self._listen(client, SendMessageRequest(message=message), request.invocation_id)
        if answer is not None:
            return replied(text_of(answer.parts))
        outcome = outcome_of(self._known_task())
        if isinstance(outcome, Replied) and not outcome.text and not self._known_task().history:
            outcome = await self._said(client, outcome)
        return outcome or await self._look(client)

    async def _said(self, client: Client, outcome: Outcome) -> Outcome:
        """Returns the outcome of a task of which only the end was reported: the reply may only be in its history."""
        try:
            whole = await client.get_task(GetTaskRequest(id=self._known_task().id))
        except ERRORS as error:
            logger.info("The history of the remote task {} cannot be read: {!r}", self._known_task().id, error)
            return outcome
        return outcome_of(whole) or outcome

    async def _listen(self, client: Client, request: SendMessageRequest, invocation_id: UUID) -> Message | None:
        """Sends and reads the stream until the task ends, the stream ends, or it falls silent.

        Returns the agent's message if it answered with that instead of a task.
        """
        try:
            async with aclosing(client.send_message(request)) as events:  # type: ignore[type-var]
                while self._task is None or outcome_of(self._task) is None:
                    async with asyncio.timeout(IDLE_SECONDS if self._task else None):
                        event = await anext(events, None)
                    if event is None or event.WhichOneof("payload") == "message":
                        return None if event is None else event.message
                    is_new = self._task is None
                    self._take(event)
                    if is_new:
                        await self._remember(invocation_id)
        except (TimeoutError, *ERRORS) as error:
            if self._task is None or isinstance(error, ReveilleError):
                raise
            logger.info("The stream of the remote task {} ended: {!r}", self._task.id, error)
        return None

    def _take(self, event: StreamResponse) -> None:
        match event.WhichOneof("payload"):
            case "task":
                self._task = event.task
            case "status_update":
                self._task = self._task or Task(id=event.status_update.task_id)
                self._task.status.CopyFrom(event.status_update.status)
            case "artifact_update":
                update = event.artifact_update
                self._task = self._task or Task(id=update.task_id)
                append(self._task, update.artifact, append=update.append)

    async def _look(self, client: Client) -> Outcome:
        """Polls the task until it ends."""
        pause, misses = FIRST_LOOK, 0
        while (outcome := outcome_of(self._known_task())) is None:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)
            try:
                self._task = await client.get_task(GetTaskRequest(id=self._known_task().id))
                misses = 0
            except ERRORS as error:
                misses += 1
                if misses == MAX_MISSES or isinstance(error, ReveilleError | TaskNotFoundError):
                    raise
        return outcome

    def _known_task(self) -> Task:
        if self._task is None:
            raise ValueError("it has neither a task nor a message")
        return self._task

    async def _remember(self, invocation_id: UUID) -> None:
        if self._memory is None or self._task is None:
            return
        try:
            await self._memory.remember(invocation_id, KnownTask(self._url, self._task.id))
        except ReveilleError as error:
            # An attempt that cannot be resumed is better than none.
            logger.warning("The remote task {} could not be stored: {}", self._task.id, error.message)
