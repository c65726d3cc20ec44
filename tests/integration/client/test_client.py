"""The client against a web process: resources, pages, errors, both variants; and the generated parts."""

from __future__ import annotations

import asyncio
import filecmp
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from reveille import ApiError, AsyncReveille, ConnectionFailed, NotFound, Reveille, Unauthorized

from tests.support.postgres import Databases
from tests.support.shell import Service, running_service
from tests.support.web import ROOT


@pytest.fixture(scope="module")
def service(databases: Databases) -> Iterator[Service]:
    url = databases.create()
    with running_service(url) as running:
        yield running
    databases.drop(url)


def test_a_trigger_is_set_fired_once_and_found_in_the_pages(service: Service) -> None:
    with Reveille(service.url, service.key) as reveille:
        agent = reveille.agents.create(name="scout", runtime={"kind": "command", "name": "echo"})
        trigger = reveille.triggers.create(agent["id"], name="morning", type="cron", config={"expr": "0 9 * * *"})
        fired = [reveille.triggers.fire(trigger["id"], idempotency_key="one") for _ in range(2)]
        assert fired[0]["firing_id"] == fired[1]["firing_id"]
        for _ in range(2):
            reveille.triggers.fire(trigger["id"])
        assert len(reveille.firings.list(agent_id=agent["id"], limit=2)["items"]) == 2
        assert len(list(reveille.firings.each(agent_id=agent["id"]))) == 3
        assert reveille.triggers.update(trigger["id"], reason="Look around.")["reason"] == "Look around."
        reveille.users.create(name="ada")
        sent = reveille.messages.send(
            {"to_agent_id": agent["id"], "text": "hi", "from": {"type": "user", "name": "ada"}}
        )
        assert reveille.messages.get(sent["id"])["text"] == "hi"
        paused = reveille.agents.pause(agent["id"], note="holidays")
        assert paused["is_paused"]
        assert reveille.agents.delete(agent["id"]) is None  # type: ignore[func-returns-value]


def test_refusals_are_errors_that_say_what_is_wrong(service: Service) -> None:
    with Reveille(service.url, service.key) as reveille:
        with pytest.raises(ApiError, match="422") as refused:
            reveille.agents.create(name="", runtime={"kind": "command", "name": "echo"})
        assert (refused.value.status, refused.value.field) == (422, "name")
        for reference in ("../agents", "a/b", "%2e", "?x"):
            with pytest.raises(ApiError) as strange:
                reveille.triggers.get(reference)
            assert strange.value.status in (404, 422)
        with pytest.raises(NotFound):
            reveille.triggers.get("019b76da-a000-7000-8000-000000000001")
    with Reveille(service.url, "rvl_of-nobody-at-all") as nobody, pytest.raises(Unauthorized):
        nobody.agents.list()
    with (
        Reveille("http://127.0.0.1:9", service.key) as nowhere,
        pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:9"),
    ):
        nowhere.agents.list()


def test_a_coroutine_does_the_same(service: Service) -> None:
    async def walk() -> list[str]:
        async with AsyncReveille(service.url, service.key) as reveille:
            agent = await reveille.agents.create(name="eve", runtime={"kind": "command", "name": "echo"})
            await reveille.agents.wake(agent["id"], message="Good morning.")
            found = [each["trigger_type"] async for each in reveille.firings.each(agent_id=agent["id"])]
            with pytest.raises(NotFound):
                await reveille.agents.get("019b76da-a000-7000-8000-000000000001")
            return found

    assert asyncio.run(walk()) == ["wake"]


def test_what_is_written_from_the_api_is_up_to_date(tmp_path: Path) -> None:
    """If not, run `.venv/bin/python -m tools.clients`."""
    subprocess.run([sys.executable, "-m", "tools.clients", tmp_path], cwd=ROOT, check=True, capture_output=True)
    made = [path for path in tmp_path.rglob("*") if path.is_file() and ".ruff_cache" not in path.parts]
    assert len(made) > 30
    for path in made:
        kept = ROOT / "client" / path.relative_to(tmp_path)
        assert kept.exists(), kept
        assert filecmp.cmp(path, kept, shallow=False), f"{kept} differs"


def test_the_package_needs_nothing_of_the_server() -> None:
    """A program that has only the client's own directory on its path."""
    code = "import sys, reveille; print(set(sys.modules) & {'api', 'scheduler', 'config', 'flask'})"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd="/",
        env={"PYTHONPATH": str(ROOT / "client")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
