"""Runs every example of docs/triggers/webhook-signatures.md as a reader would, over real HTTP."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, get_args

import pytest

from scheduler.domain.clock import SystemClock
from scheduler.domain.signatures import (
    SchemeName,
    SignatureConfig,
    SignedRequest,
    verify,
    verify_signature_line,
)

DOCUMENT = (Path(__file__).parents[3] / "docs/triggers/webhook-signatures.md").read_text(encoding="utf-8")
SCHEMES: tuple[str, ...] = get_args(SchemeName)


def _blocks(section: str, language: str) -> list[str]:
    (text,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@contextmanager
def _recording_server() -> Iterator[tuple[str, list[SignedRequest]]]:
    """Runs a webhook on loopback that stores each delivery; yields its URL and the deliveries."""
    deliveries: list[SignedRequest] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            deliveries.append(SignedRequest(dict(self.headers.items()), body, url + self.path.removeprefix("/")))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Keeps the test's output quiet."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{url}hooks/TOKEN", deliveries
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("curl")), reason="needs openssl and curl")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_example_makes_a_delivery_that_its_config_accepts(scheme: str) -> None:
    (config_text,) = _blocks(scheme, "json")
    (script,) = _blocks(scheme, "sh")
    with _recording_server() as (url, deliveries):
        command = ["bash", "-euo", "pipefail", "-c", f"export HOOK_URL={url}\n{script}"]
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    printed_key = re.findall(r"^whpk_\S+$", output, re.MULTILINE)
    config = json.loads(config_text) | ({"secret": printed_key[0]} if printed_key else {})
    (delivery,) = deliveries
    verdict = verify(SignatureConfig.model_validate(config), delivery, SystemClock().now())
    assert verdict.accepted, verdict.reason
    assert SignatureConfig.model_validate_json(config_text).scheme == scheme


def test_the_tools_answer_is_the_one_shown() -> None:
    line, answer = _blocks("Trying it", "json")
    assert verify_signature_line(json.loads(line)) == json.loads(answer)
