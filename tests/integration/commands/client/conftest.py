from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.postgres import Databases
from tests.support.shell import Service, Shell, running_service


@pytest.fixture(scope="module")
def service(databases: Databases) -> Iterator[Service]:
    """The web process that this module shares."""
    url = databases.create()
    with running_service(url) as running:
        yield running
    databases.drop(url)


@pytest.fixture
def shell(service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell whose environment names the service, and a proxy that must not be used."""
    monkeypatch.setenv("REVEILLE_URL", service.url)
    monkeypatch.setenv("REVEILLE_API_KEY", service.key)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    return Shell(capsys)


@pytest.fixture
def name() -> str:
    """A name that no other test of the module uses."""
    return f"ada-{uuid4().hex[:8]}"


@pytest.fixture
def agent(shell: Shell, name: str) -> str:
    """The name of a new agent."""
    shell("agents", "create", name, "--command", "echo")
    return name
