"""A receiver of spans in a process of its own, which costs the measured ones nothing but the requests."""

from __future__ import annotations

import gzip
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SIZE_BYTES = 8


def _serve(port: Any, path: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            with Path(path).open("ab") as file:
                file.write(len(body).to_bytes(SIZE_BYTES) + body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as the base class names it
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    port.send(server.server_port)
    server.serve_forever()


@contextmanager
def span_receiver(directory: Path) -> Iterator[tuple[str, Path]]:
    """Runs a receiver; yields its address, and the file of the requests that it took."""
    path = directory / "spans"
    path.touch()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, str(path)), daemon=True)
    process.start()
    try:
        if not ours.poll(30):
            raise TimeoutError("The receiver of spans did not start.")
        yield f"http://127.0.0.1:{ours.recv()}", path
    finally:
        process.kill()
        process.join()


def spans_in(path: Path) -> list[Any]:
    """Decodes all spans of a receiver's file."""
    left, spans = path.read_bytes(), []
    while left:
        size = int.from_bytes(left[:SIZE_BYTES])
        body, left = left[SIZE_BYTES : SIZE_BYTES + size], left[SIZE_BYTES + size :]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            spans += [each for scope in resource.scope_spans for each in scope.spans]
    return spans
