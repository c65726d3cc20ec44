"""Serves all WebSockets of this process on one thread, without a thread or database connection for each.

The server occupies a thread for each request, of which it has 32. So the sockets are taken over from it, and one
event loop owns them. Each notification is read once, however many clients watch.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Lock, Thread
from typing import TypeVar
from uuid import UUID

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError
from wsproto.frame_protocol import CloseReason

from api.live import Live, Subscription
from api.sockets.connection import WebSocket
from api.sockets.socket_limits import PendingSockets, SocketPlaces
from api.sockets.subscription import Filter, Watch, admit, parsed
from scheduler.domain.clock import Clock
from scheduler.domain.errors import ReveilleError, Unauthorized
from scheduler.domain.notification import content_of
from scheduler.storage.engine import Database
from scheduler.storage.live import ANYTHING, hide_sockets, live_keys, show_sockets
from scheduler.storage.notifications import PushedNotification, read_missed, read_notifications

T = TypeVar("T")

KIND = "notification"
FIRST_MESSAGE_SECONDS = 5.0
"""How long a socket may stay unauthenticated."""
LOOK_SECONDS = 1.0
LOOKS_BACK = timedelta(minutes=5)
"""How far back to look for notifications missed during a database outage."""
REMEMBERED = 1000
"""How many pushed notifications are remembered."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Intervals in seconds: every `beat` all clients are pinged; one that was `silent` for that long is gone."""

    beat: float = 15.0
    silent: float = 40.0
    check: float = 0.4
    """Between two checks of the keys, so that a revoked one sees nothing more within a second."""


class Hub:
    """The sockets of this process. Its thread starts with the first one and stays."""

    def __init__(self, live: Live, db: Database, clock: Clock, pace: Pace = Pace()) -> None:
        self._live = live
        self._db = db
        self._clock = clock
        self._pace = pace
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.places = SocketPlaces()
        self._pending = PendingSockets()
        # One waits for news, the other does what cannot wait for that.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="sockets-db")
        self._subscription: Subscription | None = None
        self._sockets: dict[WebSocket, Watch] = {}
        self._since: datetime | None = None
        self._pushed: dict[UUID, None] = {}
        self._has_missed = False

    def admit(self, key: str, tenant_id: str | None, wanted: Filter) -> Watch:
        """Admits a socket and takes a place for it. Raises as `watch.admit` does, and LimitReached."""
        with self._db.begin() as conn:
            watch = admit(conn, key, tenant_id, wanted)
            self.places.check(watch.key_id)
        self.places.take(watch.key_id)
        return watch

    def add(self, sock: socket.socket, greeting: bytes, watch: Watch | None, wanted: Filter, host: str) -> None:
        """Takes over `sock` and first sends `greeting`. Without a `watch` the client authenticates by a message.

        A place was taken for a `watch`, and is given back at the end. `host` is the client's address.
        """
        with self._lock:
            loop = self._loop = self._loop or self._start()
        sock.setblocking(False)
        asyncio.run_coroutine_threadsafe(self._serve(sock, greeting, watch, wanted, host), loop)

    def close(self) -> None:
        """Disconnects all clients, so that they reconnect elsewhere."""
        with self._lock:
            loop = self._loop
        if loop is not None and self._subscription is not None:
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._leave(), loop).result(5)
            self._subscription.close()
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        running = Event()
        loop.call_soon(running.set)
        self._subscription = self._live.subscribe(None)
        Thread(target=self._run, args=(loop, self._subscription), name="sockets", daemon=True).start()
        running.wait()
        return loop

    def _run(self, loop: asyncio.AbstractEventLoop, subscription: Subscription) -> None:
        asyncio.set_event_loop(loop)
        duties = (self._push, self._beat, self._check)
        tasks = [loop.create_task(duty(subscription)) for duty in duties]
        loop.run_until_complete(asyncio.gather(*tasks))

    async def _serve(
        self, sock: socket.socket, greeting: bytes, watch: Watch | None, wanted: Filter, host: str
    ) -> None:
        """Serves one client from its handshake to its end."""
        try:
            reader, writer = await asyncio.open_connection(sock=sock)
            client = WebSocket(reader, writer, self._clock)
            if watch is not None:
                self._register(client, watch)
            writer.write(greeting)
            try:
                if watch is None:
                    watch = await self._authenticated(client, wanted, host)
                while watch is not None and await client.read() is not None:
                    pass  # clients have nothing else to say
                await client.finish()
            finally:
                await self._forget(client, watch)
        except OSError:
            pass  # it is gone
        except Exception as error:  # noqa: BLE001  # nobody waits for this one's end
            logger.opt(exception=error).error("A socket failed unexpectedly")
        finally:
            if watch is not None:
                self.places.leave(watch.key_id)

    async def _authenticated(self, client: WebSocket, wanted: Filter, host: str) -> Watch | None:
        """Admits the client by its first message `{type: "authenticate", key, tenant_id?}`, or reports why not."""
        self._pending.add(client, host)
        try:
            async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
                first = await client.read()
        except TimeoutError:
            client.close(CloseReason.POLICY_VIOLATION, "No key was received in time.")
            client.abort_soon()
            return None
        finally:
            self._pending.remove(client, host)
        if first is None:
            return None
        try:
            key, tenant_id = _read_key(first)
            watch = await self._transact(lambda: self.admit(key, tenant_id, wanted))
        except (ReveilleError, SQLAlchemyError) as error:
            away = not isinstance(error, ReveilleError) or error.status >= 500
            code = CloseReason.TRY_AGAIN_LATER if away else CloseReason.POLICY_VIOLATION
            client.close(code, error.message if isinstance(error, ReveilleError) else "Try again later.")
            return None
        self._register(client, watch)
        client.send(json.dumps({"type": "authenticated"}))
        return watch

    def _register(self, client: WebSocket, watch: Watch) -> None:
        self._sockets[client] = watch
        self._since = self._since or watch.since

    async def _forget(self, client: WebSocket, watch: Watch | None) -> None:
        self._sockets.pop(client, None)
        if watch is not None and watch.shown is not None:
            await self._tried(lambda: self._hide([watch.id]))

    def _hide(self, ids: Sequence[UUID]) -> None:
        with self._db.begin() as conn:
            hide_sockets(conn, ids)

    async def _push(self, subscription: Subscription) -> None:
        """Pushes news until the hub is closed."""
        while not subscription.is_closed:
            told = await self._tried(lambda: self._news(subscription))
            self._has_missed = told is None
            for each in told or ():
                if each.id not in self._pushed:
                    self._remember(each.id)
                    self._hand_on(each)

    def _news(self, subscription: Subscription) -> list[PushedNotification]:
        changes = subscription.get(LOOK_SECONDS)
        ids = [change.id for change in changes if change.kind == KIND and change.id is not None]
        all_again = self._has_missed or any(
            change.kind == ANYTHING or (change.kind == KIND and change.id is None) for change in changes
        )
        if self._since is None or not (ids or all_again):
            return []
        with self._db.begin() as conn:
            if all_again:
                return read_missed(conn, max(self._since, self._clock.now() - LOOKS_BACK))
            return read_notifications(conn, ids)

    def _remember(self, notification_id: UUID) -> None:
        self._pushed[notification_id] = None
        if len(self._pushed) > REMEMBERED:
            del self._pushed[next(iter(self._pushed))]

    def _hand_on(self, told: PushedNotification) -> None:
        text = json.dumps(shown(told), ensure_ascii=False)
        for client, watch in list(self._sockets.items()):
            if watch.sees(told):
                client.send(text)

    async def _beat(self, subscription: Subscription) -> None:
        """Disconnects dead clients and refreshes the others' rows."""
        while not subscription.is_closed:
            await asyncio.sleep(self._pace.beat)
            now = self._clock.monotonic()
            for client in list(self._sockets):
                client.abort() if now - client.heard_at > self._pace.silent else client.ping()
            if self._sockets:
                await self._tried(self._show)

    def _show(self) -> None:
        watches = list(self._sockets.values())
        with self._db.begin() as conn:
            show_sockets(conn, [watch.shown for watch in watches if watch.shown is not None])

    async def _check(self, subscription: Subscription) -> None:
        """Disconnects clients whose key was revoked."""
        while not subscription.is_closed:
            await asyncio.sleep(self._pace.check)
            if self._sockets:
                await self._check_watches(dict(self._sockets))

    async def _check_watches(self, watching: dict[WebSocket, Watch]) -> None:
        key_ids = {watch.key_id for watch in watching.values()}
        good = await self._tried(lambda: self._good(key_ids))
        for client, watch in watching.items():
            if good is not None and watch.key_id not in good and client in self._sockets:
                del self._sockets[client]
                client.close(CloseReason.POLICY_VIOLATION, "The API key was revoked.")
                client.abort_soon()

    def _good(self, key_ids: set[UUID]) -> set[UUID]:
        with self._db.begin() as conn:
            return live_keys(conn, key_ids)

    async def _leave(self) -> None:
        ids = [watch.id for watch in self._sockets.values() if watch.shown is not None]
        for client in list(self._sockets):
            client.close(CloseReason.GOING_AWAY, "The server is stopping.")
        if ids:
            await self._tried(lambda: self._hide(ids))

    async def _transact(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _tried(self, work: Callable[[], T]) -> T | None:
        """Runs `work`; returns None when it fails, as during a database outage, which the sockets survive."""
        try:
            return await self._transact(work)
        except Exception as error:  # noqa: BLE001  # the one loop of all sockets must not end by it
            is_known = isinstance(error, ReveilleError | SQLAlchemyError)
            logger.opt(exception=not is_known).warning(
                "The sockets are waiting for the database: {}", str(error).partition("\n")[0]
            )
            await asyncio.sleep(LOOK_SECONDS)
            return None


def shown(told: PushedNotification) -> dict[str, object]:
    """Formats a notification for pushing."""
    return {
        "type": "trigger_notification",
        "content": content_of(told.summary, told.reply),
        "triggers": told.triggers,
        "id": str(told.id),
        "agent_id": str(told.agent_id),
        "invocation_id": str(told.invocation_id),
        "session_ids": [str(each) for each in told.session_ids],
    }


def _read_key(first: str) -> tuple[str, str | None]:
    """Returns the key and the tenant in a first message. Raises Unauthorized."""
    try:
        message = parsed(first)
        key, tenant_id = message["key"], message.get("tenant_id")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        key, tenant_id = None, None
    if not isinstance(key, str) or not key.isascii() or not key or not isinstance(tenant_id, str | None):
        raise Unauthorized('The first message is {"type": "authenticate", "key": "…"}.')
    return key, tenant_id
