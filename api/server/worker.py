"""gunicorn's worker: uvicorn with our connections, and the application behind a bridge."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]

from api.server.connection import protocol_of
from api.server.connection_limits import Connections
from api.server.wsgi import WsgiBridge

STOP_SECONDS = 18
"""For the requests in progress when the process is asked to stop."""


class GuardedWorker(UvicornWorker):  # type: ignore[misc]  # it has no types
    """Serves a Flask application. What it keeps besides requests is closed when it stops."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "http": "httptools",
        "loop": "asyncio",
        "ws": "none",
        "lifespan": "on",
        "server_header": False,
        "access_log": False,
        "timeout_graceful_shutdown": STOP_SECONDS,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.proxy_headers = bool(self.cfg.forwarded_allow_ips)
        log = logging.getLogger("uvicorn.error")
        log.propagate = True  # to where ours go
        log.setLevel(logging.ERROR)

    def load_wsgi(self) -> None:
        """Loads the application and wraps it in the bridge."""
        super().load_wsgi()
        app: Any = self.wsgi  # type: ignore[has-type]
        extensions = getattr(app, "extensions", {})

        parts = extensions.get("reveille")
        if parts is not None:
            parts.guard.start()

        def say_goodbye() -> None:
            if parts is not None:
                parts.guard.stop()
            sockets = extensions.get("reveille_sockets")
            if sockets is not None:
                sockets.close()

        self.wsgi = WsgiBridge(app, say_goodbye)

    def init_signals(self) -> None:
        """Exits once uvicorn, having finished its requests, re-raises the signal."""
        super().init_signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))

    async def _serve(self) -> None:
        gate = Connections()
        self.config.http = protocol_of(gate)
        watch = asyncio.create_task(gate.watch(asyncio.get_running_loop().time))
        await super()._serve()
        watch.cancel()
