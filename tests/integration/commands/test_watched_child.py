"""A process that hangs or is frozen is started again; one that starts slowly, or sleeps with its watcher, is not."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config.settings import child_environment, load_settings
from scheduler.signs_of_life import sign_of_life
from scheduler.worker_processes import LONGEST_GAP, SILENT_SECONDS, START_SECONDS, WatchedChild


class Watch:
    """A child that sleeps, and the time."""

    def __init__(self, signs: Path) -> None:
        self.signs = signs
        self.time = 0.0
        self.child = WatchedChild(
            "sleeper",
            [sys.executable, "-c", "import time; time.sleep(600)"],
            cwd=signs,
            environment=child_environment(load_settings()),
            write=lambda _: None,
            signs=signs,
            now=lambda: self.time,
        )
        self.child.check()

    def wait(self, seconds: float) -> int | None:
        """Lets time pass in small steps; returns the process then."""
        for _ in range(round(seconds)):
            self.time += 1
            self.child.check()
        return self.child.pid

    def give_sign(self) -> None:
        """Touches the file for the child."""
        assert self.child.pid is not None
        file = sign_of_life(self.signs, self.child.pid)
        file.write_text(f"{self.time}")
        assert file.exists()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    one = Watch(tmp_path)
    yield one
    one.child.kill()


def test_a_frozen_process_is_started_again(watch: Watch) -> None:
    first = watch.child.pid
    assert first is not None
    watch.give_sign()
    assert watch.wait(SILENT_SECONDS) == first
    watch.give_sign()
    assert watch.wait(SILENT_SECONDS) == first
    psutil.Process(first).send_signal(signal.SIGSTOP)
    assert watch.wait(5) not in (None, first)
    assert not psutil.pid_exists(first)


def test_a_process_may_start_slowly(watch: Watch) -> None:
    first = watch.child.pid
    assert watch.wait(START_SECONDS) == first
    assert watch.wait(5) not in (None, first)


def test_time_in_which_the_watcher_was_away_does_not_count(watch: Watch) -> None:
    first = watch.child.pid
    watch.give_sign()
    watch.wait(SILENT_SECONDS - 5)
    watch.time += LONGEST_GAP + SILENT_SECONDS
    assert watch.wait(SILENT_SECONDS) == first
    assert watch.wait(5) not in (None, first)
