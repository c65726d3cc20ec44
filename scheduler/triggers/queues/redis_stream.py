"""A stream of Redis 6.2 or newer, or a compatible server, read by a consumer group.

The pending entries of a group were taken and not acknowledged. They are read first, so that a crash loses nothing;
those of another consumer are taken over after some time.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.exceptions import AuthenticationError, AuthorizationError, BusyLoadingError, RedisError, ResponseError
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as TooLate
from redis.retry import Retry

from scheduler.triggers.queues.base import (
    SECONDS,
    Entry,
    Meter,
    QueueAddress,
    QueueUnreadable,
    TakenEntries,
    TooMuchData,
)

CONSUMER = "reveille"
FEW = 10
NOWHERE = "0-0"


class RedisStream:
    """A connection, opened when needed."""

    def __init__(self, place: QueueAddress) -> None:
        self._place = place
        self._made: Any = None  # redis is only partly typed

    def take(self, cursor: Mapping[str, Any] | None, most: int) -> TakenEntries:
        """Takes entries, fewer at once if they are large; one that is too large by itself is only named."""
        with _errors(self._place):
            for count in (most, FEW, 1):
                try:
                    return self._take(cursor, count, is_whole=count == most)
                except TooMuchData:
                    self.close()
            return self._too_large(cursor)

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Acknowledges with XACK."""
        with _errors(self._place):
            self._run("XACK", self._place.stream, self._place.group, *ids)

    def describe(self) -> Mapping[str, Any]:
        """Returns how many entries there are, and the newest."""
        with _errors(self._place):
            try:
                newest = self._run("XREVRANGE", self._place.stream, "+", "-", "COUNT", 1)
            except TooMuchData:
                self.close()
                newest = []
            told = {"entries": self._run("XLEN", self._place.stream)}
            return told | ({"newest": _text(newest[0][0])} if newest else {})

    def close(self) -> None:
        """Disconnects."""
        if self._made is not None:
            self._made.disconnect()
            self._made = None

    def _take(self, cursor: Mapping[str, Any] | None, count: int, *, is_whole: bool) -> TakenEntries:
        place, known = self._place, self._group_position() if cursor is None else dict(cursor)
        try:
            removed = self._take_over(count)
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            known, removed = self._recreated_position(str(known.get("last", NOWHERE))), 0
        pending = self._read("0", count)
        lost = [_text(each[0]) for each in pending if each[1] is None]
        if lost:  # removed from the stream after they were taken
            self._run("XACK", place.stream, place.group, *lost)
        fresh, added = self._new(count - len(pending), is_counted=is_whole and not place.is_shared)
        entries = [_entry(each) for each in [*pending, *fresh] if each[1] is not None]
        if fresh:
            known["last"] = _text(fresh[-1][0])
        is_full = len(pending) + len(fresh) >= count
        missed = _counted(known, added, len(fresh), removed + len(pending), is_full=is_full)
        return TakenEntries(entries, known, removed + len(lost) + missed, more=is_full)

    def _take_over(self, count: int) -> int:
        """Takes over entries that have been pending for long; returns how many of them were removed from the
        stream.
        """
        place = self._place
        idle = int(place.claim_seconds * 1000)
        command = ("XAUTOCLAIM", place.stream, place.group, CONSUMER, idle, NOWHERE, "COUNT", count, "JUSTID")
        told = self._run(*command)
        return len(told[2]) if len(told) > 2 else 0  # Redis 7 reports it

    def _new(self, count: int, *, is_counted: bool) -> tuple[list[Any], int | None]:
        """Returns new entries, and how many were ever added to the stream, if the server knows that."""
        if count <= 0:
            return [], None
        if not is_counted:
            return self._read(">", count), None
        stream = self._place.stream
        told = self._run_atomically(("XINFO", "STREAM", stream), self._reading(">", count))
        info = dict(zip(told[0][::2], told[0][1::2], strict=True))
        return _of_stream(told[1]), info.get(b"entries-added")

    def _read(self, start: str, count: int) -> list[Any]:
        return _of_stream(self._run(*self._reading(start, count)))

    def _reading(self, start: str, count: int) -> tuple[str | int, ...]:
        place = self._place
        return "XREADGROUP", "GROUP", place.group, CONSUMER, "COUNT", count, "STREAMS", place.stream, start

    def _group_position(self) -> dict[str, Any]:
        """Returns the position of the group, creating it if needed."""
        place = self._place
        self._make_group(NOWHERE if place.starts_with_all else "$")
        for told in self._run("XINFO", "GROUPS", place.stream):
            group = dict(zip(told[::2], told[1::2], strict=True))
            if group[b"name"] == place.group.encode():
                return {"last": _text(group[b"last-delivered-id"])}
        raise QueueUnreadable(f"The group {place.group} was removed just now.")

    def _recreated_position(self, last: str) -> dict[str, Any]:
        """Returns the position of a lost group: its last one, or the start of a recreated stream.

        Entries that are delivered again do not fire again.
        """
        try:
            told = self._run("XINFO", "STREAM", self._place.stream)
            newest = _text(dict(zip(told[::2], told[1::2], strict=True))[b"last-generated-id"])
        except TooMuchData:
            self.close()
            newest = NOWHERE
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            newest = NOWHERE
        start = _before(last) if _order(last) <= _order(newest) else NOWHERE  # a new stream may reuse an id
        self._make_group(start)
        return {"last": start}

    def _make_group(self, start: str) -> None:
        try:
            self._run("XGROUP", "CREATE", self._place.stream, self._place.group, start, "MKSTREAM")
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _too_large(self, cursor: Mapping[str, Any] | None) -> TakenEntries:
        """Names the first pending entry, which is too large to read."""
        place = self._place
        first = self._run("XPENDING", place.stream, place.group, "-", "+", 1, CONSUMER)
        return TakenEntries([Entry(_text(each[0]), None) for each in first], dict(cursor or {}), more=True)

    def _run(self, *command: str | int) -> Any:
        made = self._connection()
        made.send_command(*command)
        return made.read_response()

    def _run_atomically(self, *commands: Sequence[str | int]) -> Any:
        """Runs commands atomically."""
        made = self._connection()
        made.send_packed_command(made.pack_commands([("MULTI",), *commands, ("EXEC",)]))
        for _ in range(len(commands) + 1):
            made.read_response()
        told = made.read_response()
        for each in told:
            if isinstance(each, Exception):
                raise each
        return told

    def _connection(self) -> Any:
        if self._made is None:
            url, place = self._place.url, self._place
            made: Any = _Connection(
                place.address, url.port or 6379, url.hostname or "", is_tls=url.scheme == "rediss"
            )
            made.username, made.password = place.username, place.password
            made.db = int(url.path.strip("/") or 0)
            self._made = made
            made.connect()
        return self._made


class _Connection(Connection):
    """Connects to a checked address under the host's name, and counts what it reads."""

    def __init__(self, address: str, port: int, host: str, *, is_tls: bool) -> None:
        self._at, self._name, self._is_tls = address, host, is_tls
        super().__init__(  # type: ignore[no-untyped-call]
            host=host,
            port=port,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )

    def _connect(self) -> Any:
        plain = socket.create_connection((self._at, self.port), SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._is_tls:
            return _Metered(plain)
        return _Metered(ssl.create_default_context().wrap_socket(plain, server_hostname=self._name))


class _Metered:
    """A socket with a limit on what it reads."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner, self._meter = inner, Meter()

    def recv(self, size: int) -> bytes:
        """Receives data."""
        found = self._inner.recv(size)
        self._meter.count(len(found))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _counted(known: dict[str, Any], added: int | None, fresh: int, before: int, *, is_full: bool) -> int:
    """Returns how many added entries never arrived, neither now nor earlier and still pending.

    `known["added"]` is how many had been added when all of them had arrived.
    """
    then = known.pop("added", None)
    if added is None:
        return 0
    if is_full:  # more may come
        known |= {} if then is None else {"added": then + fresh}
        return 0
    known["added"] = added
    return 0 if then is None else max(added - then - fresh - before, 0)


def _of_stream(told: Any) -> list[Any]:
    """Returns the entries of the stream that was read."""
    return [] if not told else list(told[0][1])


def _entry(told: Any) -> Entry:
    fields = told[1]
    return Entry(_text(told[0]), list(zip(fields[::2], fields[1::2], strict=True)))


def _order(entry_id: str) -> tuple[int, int]:
    time, _, number = entry_id.partition("-")
    return int(time), int(number or 0)


def _before(entry_id: str) -> str:
    time, number = _order(entry_id)
    if number:
        return f"{time}-{number - 1}"
    return f"{time - 1}-{2**64 - 1}" if time else NOWHERE


def _text(value: bytes) -> str:
    return value.decode("ascii")


@contextmanager
def _errors(place: QueueAddress) -> Iterator[None]:
    """Converts errors of a server to QueueUnreadable."""
    host = place.url.hostname
    try:
        yield
    except (AuthenticationError, AuthorizationError) as error:
        raise QueueUnreadable(f"{host} refuses the user or the password: {error}") from None
    except (TooLate, TimeoutError):
        raise QueueUnreadable(f"{host} did not answer within {SECONDS:g} s.") from None
    except ssl.SSLError as error:
        raise QueueUnreadable(f"{host} offers no TLS that can be trusted: {error.reason}.") from None
    except BusyLoadingError:
        raise QueueUnreadable(f"{host} is not ready yet: it is loading its data.") from None
    except NotConnected as error:
        raise QueueUnreadable(f"No connection to {host}: {error}") from None
    except RedisError as error:
        raise QueueUnreadable(f"{host} refuses: {error}") from None
    except OSError as error:
        raise QueueUnreadable(f"No connection to {host}: {error.strerror or error}.") from None
