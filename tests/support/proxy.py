"""A TCP proxy on loopback in front of PostgreSQL: it can delay, drop or cut connections."""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

CHUNK = 65_536


@dataclass(eq=False)
class Link:
    """One connection through the proxy."""

    client: socket.socket
    server: socket.socket
    name: str = ""
    """The client's application name."""
    is_lost: bool = False
    """Whether it stays dead, whatever happens to others."""

    def cut(self) -> None:
        """Closes both ends at once."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class Cut:
    """Cuts a connection when a client sends these bytes: before they are forwarded, or just after."""

    pattern: re.Pattern[bytes]
    name: str
    after: bool
    left: int
    done: int = 0


@dataclass
class Proxy:
    """Forwards connections to `port`; its behaviour can be changed at any time."""

    upstream: tuple[socket.AddressFamily, object]
    delay: float = 0.0
    """The delay of each message in seconds, in both directions."""
    swallows: bool = False
    """Whether it accepts everything, forwards nothing and answers nothing."""
    host: str = "127.0.0.1"
    port: int = 0
    links: set[Link] = field(default_factory=set)
    cuts: list[Cut] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, database_url: str) -> str:
        """Returns the address of a database through this proxy."""
        where = psycopg.conninfo.conninfo_to_dict(database_url)
        return f"postgresql://{where['user']}@{self.host}:{self.port}/{where['dbname']}"

    def cut_all(self) -> None:
        """Cuts every current connection."""
        for link in self._links():
            link.cut()

    def lose_all(self) -> None:
        """Makes the current connections dead forever; new ones work."""
        for link in self._links():
            link.is_lost = True

    def cut_at(self, pattern: bytes, name: str, *, after: bool, times: int = 1) -> Cut:
        """Cuts connections of an application when it sends `pattern`, so many times."""
        cut = Cut(re.compile(pattern, re.DOTALL), name, after, times)
        with self._lock:
            self.cuts.append(cut)
        return cut

    def _links(self) -> list[Link]:
        with self._lock:
            return list(self.links)

    def serve(self, listening: socket.socket) -> None:
        """Accepts connections until the socket is closed."""
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._open, args=(client,), daemon=True).start()

    def _open(self, client: socket.socket) -> None:
        _keep_alive(client)
        server = socket.socket(self.upstream[0])
        link = Link(client, server)
        with self._lock:
            self.links.add(link)
        try:
            while self.swallows:
                time.sleep(0.05)
            server.connect(self.upstream[1])  # type: ignore[arg-type]  # of the family's own kind
        except OSError:
            link.cut()
            client.close()
            server.close()
            self._forget(link)
            return
        back = threading.Thread(target=self._pump, args=(link, server, client), daemon=True)
        back.start()
        self._pump(link, client, server)
        back.join()
        client.close()
        server.close()
        self._forget(link)

    def _forget(self, link: Link) -> None:
        with self._lock:
            self.links.discard(link)

    def _pump(self, link: Link, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if source is link.client and not link.name:
                    found = re.search(rb"application_name\0([^\0]+)", data)
                    link.name = found[1].decode() if found else ""
                if self.delay:
                    time.sleep(self.delay)
                while self.swallows or link.is_lost:
                    time.sleep(0.05)
                cut = self._cut_of(link, data) if source is link.client else None
                if cut is None or cut.after:
                    target.sendall(data)
                if cut is not None:
                    if cut.after:
                        time.sleep(0.02)  # the server should receive it, but its answer should not arrive
                    break
        link.cut()

    def _cut_of(self, link: Link, data: bytes) -> Cut | None:
        with self._lock:
            for cut in self.cuts:
                if cut.left and link.name.startswith(cut.name) and cut.pattern.search(data):
                    cut.left -= 1
                    cut.done += 1
                    return cut
        return None


def _keep_alive(client: socket.socket) -> None:
    """Gives up a client that no longer answers after 25 s, as the server does with its own sockets."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        for option, value in (
            (socket.TCP_KEEPIDLE, 10),
            (socket.TCP_KEEPINTVL, 5),
            (socket.TCP_KEEPCNT, 3),
            (socket.TCP_USER_TIMEOUT, 25_000),
        ):
            client.setsockopt(socket.IPPROTO_TCP, option, value)


@contextmanager
def proxy(database_url: str, address: str = "127.0.0.1") -> Iterator[Proxy]:
    """Runs a proxy on `address` in front of a database server, over TCP or its Unix socket."""
    where = psycopg.conninfo.conninfo_to_dict(database_url)
    host, port = str(where.get("host", "127.0.0.1")), int(str(where.get("port", 5432)))
    upstream: tuple[socket.AddressFamily, object] = (
        (socket.AF_UNIX, f"{host}/.s.PGSQL.{port}") if host.startswith("/") else (socket.AF_INET, (host, port))
    )
    running = Proxy(upstream, host=address)
    with socket.create_server((address, 0)) as listening:
        running.port = listening.getsockname()[1]
        thread = threading.Thread(target=running.serve, args=(listening,), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.swallows, running.delay = False, 0.0
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            running.cut_all()
