"""Items that wait at the same time are committed together, and each thread gets its own answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock

import pytest

from scheduler.domain.errors import DatabaseUnavailable, RolledBack
from scheduler.storage.group_commit import REMEMBERED, GroupCommit, GroupCommits
from scheduler.storage.repeats import TRIES


class Journal:
    """A `commit` that records its batches; the first waits until `expected` items are queued behind it."""

    def __init__(self, fails: Callable[[Sequence[int]], Exception | None] = lambda _: None) -> None:
        self.batches: list[list[int]] = []
        self.first_is_in = Event()
        self.go_on = Event()
        self._fails = fails
        self._busy = Lock()

    def commit(self, items: Sequence[int]) -> list[str]:
        assert self._busy.acquire(blocking=False), "two threads committed at once"
        try:
            self.batches.append(list(items))
            self.first_is_in.set()
            assert self.go_on.wait(10)
            error = self._fails(items)
            if error is not None:
                raise error
            return [f"done {item}" for item in items]
        finally:
            self._busy.release()


def submit_together(journal: Journal, group: GroupCommit[int, str], items: Sequence[int]) -> list[Future[str]]:
    """Submits item 0, and the rest while its commit is running."""
    with ThreadPoolExecutor(len(items)) as pool:
        futures = [pool.submit(group.submit, items[0])]
        assert journal.first_is_in.wait(10)
        for count, item in enumerate(items[1:], 1):
            futures.append(pool.submit(group.submit, item))
            while len(group._waiting) < count:
                pass
        journal.go_on.set()
    return futures


def test_what_waits_meanwhile_is_one_batch_in_order() -> None:
    """Nine items that arrive during the first one's commit take one more commit, not nine."""
    journal = Journal()
    futures = submit_together(journal, GroupCommit(journal.commit), range(10))
    assert journal.batches == [[0], list(range(1, 10))]
    assert [future.result() for future in futures] == [f"done {item}" for item in range(10)]


def test_a_batch_has_a_limit() -> None:
    """Items above the limit go into the next batch."""
    journal = Journal()
    futures = submit_together(journal, GroupCommit(journal.commit, limit=4), range(10))
    assert journal.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]
    assert [future.result() for future in futures] == [f"done {item}" for item in range(10)]


def test_a_failing_item_fails_alone() -> None:
    """Its neighbours in the same batch succeed; only its own thread gets the error."""
    journal = Journal(lambda items: ValueError("poison") if 5 in items else None)
    futures = submit_together(journal, GroupCommit(journal.commit), range(10))
    with pytest.raises(ValueError, match="poison"):
        futures[5].result()
    assert [future.result() for future in futures if future is not futures[5]] == [
        f"done {item}" for item in range(10) if item != 5
    ]


def test_an_outage_fails_all_at_once() -> None:
    """Nobody has to wait for one attempt after another when the database is unavailable."""
    journal = Journal(lambda items: DatabaseUnavailable() if 5 in items else None)
    futures = submit_together(journal, GroupCommit(journal.commit), range(10))
    assert futures[0].result() == "done 0"
    for future in futures[1:]:
        with pytest.raises(DatabaseUnavailable):
            future.result()
    assert len(journal.batches) == 2


def test_what_the_database_rolled_back_is_repeated_whole() -> None:
    """Such as the victim of a deadlock: no item is at fault, and together they cost one commit."""
    repeats = iter([RolledBack("deadlock detected")] * 2)
    journal = Journal(lambda items: next(repeats, None) if 5 in items else None)
    futures = submit_together(journal, GroupCommit(journal.commit), range(10))
    assert [future.result() for future in futures] == [f"done {item}" for item in range(10)]
    assert journal.batches == [[0], *[list(range(1, 10))] * 3]


def test_what_is_always_rolled_back_fails_all() -> None:
    """And nobody who handed it in repeats it again."""
    journal = Journal(lambda items: RolledBack("deadlock detected") if 5 in items else None)
    futures = submit_together(journal, GroupCommit(journal.commit), range(10))
    assert len(journal.batches) == 1 + TRIES
    for future in futures[1:]:
        with pytest.raises(DatabaseUnavailable, match="deadlock detected") as failed:
            future.result()
        assert not isinstance(failed.value, RolledBack)


def test_a_stopped_thread_leaves_no_other_waiting() -> None:
    """A leader that ends with SystemExit fails its batch and passes on the lead."""

    class Stopping:
        stopped = False

        def __call__(self, items: Sequence[int]) -> list[str]:
            if not self.stopped:
                self.stopped = True
                raise SystemExit
            return [f"done {item}" for item in items]

    group: GroupCommit[int, str] = GroupCommit(Stopping())
    with pytest.raises(SystemExit):
        group.submit(0)
    assert group.submit(1) == "done 1"


def test_a_single_thread_does_not_wait() -> None:
    """After a busy time, the only remaining thread waits for the others once, then no more."""
    journal = Journal()
    group = GroupCommit(journal.commit)
    submit_together(journal, group, range(10))
    group.submit(10)
    assert group._expected == 1
    assert group.submit(11) == "done 11"


def test_a_key_does_not_wait_for_another() -> None:
    """While one key's commit is running, another key's item is committed, with its key."""
    journal = Journal()
    groups: GroupCommits[str, int, str] = GroupCommits(
        lambda key, items: journal.commit(items) if key == "slow" else [f"{key} {item}" for item in items]
    )
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(groups.submit, "slow", 0)
        assert journal.first_is_in.wait(10)
        assert groups.submit("quick", 1) == "quick 1"
        assert not slow.done()
        journal.go_on.set()
        assert slow.result() == "done 0"


def test_only_so_many_keys_are_kept() -> None:
    groups: GroupCommits[int, int, int] = GroupCommits(lambda key, items: [key + item for item in items])
    assert [groups.submit(key, 1) for key in range(REMEMBERED + 5)] == [*range(1, REMEMBERED + 6)]
    assert [*groups._groups][:1] == [5]
