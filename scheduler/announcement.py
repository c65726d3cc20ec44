"""What `reveille run` prints about itself, each line once it is true."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Sequence

from config.settings import Settings, own_url, reachable_host

PROBE_SECONDS = 1.0


class Announcement:
    """Says what can be used once it can be: the web server's address, then what needs a worker too."""

    def __init__(self, settings: Settings, when_ready: Sequence[str], write: Callable[[str], None]) -> None:
        self._host, self._port = reachable_host(settings.host), settings.port
        self._write = write
        address = [
            f"Reveille listens on {own_url(settings.host, settings.port)}/ (the web UI; press Ctrl-C to stop)"
        ]
        if settings.is_local:
            address.append(
                "Only this machine can reach it, and your agents and models may run on this machine too. "
                "Set REVEILLE_HOST=0.0.0.0 to let others connect."
            )
        self._left = [("/healthz", address), ("/readyz", when_ready)]

    def make(self) -> bool:
        """Prints what has become usable; returns whether all has been said."""
        while self._left and self._succeeds(self._left[0][0]):
            for line in self._left.pop(0)[1]:
                self._write(line)
        return not self._left

    def _succeeds(self, path: str) -> bool:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=PROBE_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
