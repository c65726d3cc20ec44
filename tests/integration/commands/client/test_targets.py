"""Notification targets from a shell."""

from __future__ import annotations

from pathlib import Path

from scheduler.commands.exits import ExitCode
from tests.support.shell import Shell


def test_a_target_is_added_listed_tested_and_deleted(shell: Shell, agent: str, tmp_path: Path) -> None:
    address = tmp_path / "url.txt"
    address.write_text("https://hooks.nowhere.invalid/t0ken\n")
    added = shell("targets", "add", agent, "ops", "--kind", "webhook", "--target-url", f"@{address}")
    assert "whsec_" in added
    assert "not shown again" in added
    [target] = shell.json("targets", "list", agent)["items"]
    assert (target["host"], target["secret"]) == ("hooks.nowhere.invalid", None)
    assert "t0ken" not in added + shell("targets", "list", agent)
    shell("targets", "test", target["id"], code=ExitCode.FAILED)
    assert "Not delivered: " in shell.err
    assert "t0ken" not in shell.err
    assert "Deleted" in shell("targets", "delete", target["id"], "--yes")
    shell("targets", "test", target["id"], code=ExitCode.NOT_FOUND)


def test_an_invalid_target_is_refused(shell: Shell, agent: str) -> None:
    shell(
        "targets", "add", agent, "x", "--kind", "pigeon", "--target-url", "https://a.example", code=ExitCode.USAGE
    )
    assert "pigeon" in shell.err
    shell("targets", "add", agent, "x", "--kind", "slack", "--target-url", "@/nowhere", code=ExitCode.USAGE)
