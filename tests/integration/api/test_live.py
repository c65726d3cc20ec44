"""Live events: committed changes reach watchers, in batches, over one connection, across outages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import UUID

import pytest

from api.live import Live, Subscription
from scheduler.domain.ids import new_id
from scheduler.storage.engine import Database
from scheduler.storage.live import EVERYTHING, LIVE_CHANNEL, MAX_TOLD, Change, decode, encode, notify_watchers
from tests.support.database import change, rows

ADA, BOB = new_id(), new_id()
CONNECTIONS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'reveille-live' AND datname = current_database()"
)


@pytest.fixture
def live(database_url: str) -> Iterator[Live]:
    """The hub on the test's database."""
    hub = Live(database_url)
    yield hub
    hub.close()


PATIENCE = 20.0


def ended(db: Database) -> None:
    """Wait until the server has noticed that nobody listens any more."""
    deadline = time.monotonic() + PATIENCE
    while rows(db, CONNECTIONS):
        assert time.monotonic() < deadline, "somebody still listens"
        time.sleep(0.01)


def listening(subscription: Subscription, db: Database) -> None:
    """Waits until the hub listens: it sends EVERYTHING, first at once and then after it has connected."""
    while not rows(db, CONNECTIONS):
        subscription.get(0.01)
    commit(db, Change(None, "probe"))
    while Change(None, "probe") not in subscription.get(5):
        commit(db, Change(None, "probe"))


def commit(db: Database, *changes: Change) -> None:
    with db.begin() as conn:
        notify_watchers(conn, changes)


def until(subscription: Subscription, wanted: Change) -> list[Change]:
    """Returns what arrived, up to `wanted`."""
    seen: list[Change] = []
    while wanted not in seen:
        got = subscription.get(10)
        assert got, f"{wanted} never came; only {seen}"
        seen += got
    return seen


def test_what_is_committed_reaches_the_watchers_of_its_tenant(live: Live, db: Database) -> None:
    with live.subscribe(ADA) as ada, live.subscribe(BOB) as bob:
        listening(ada, db)
        listening(bob, db)
        firing, end = Change(ADA, "firing", new_id()), Change(BOB, "end")
        commit(db, firing, end)
        until(ada, firing)
        assert firing not in until(bob, end)


def test_what_is_rolled_back_is_never_told(live: Live, db: Database) -> None:
    with live.subscribe(ADA) as ada:
        listening(ada, db)
        with db.engine.connect() as conn:
            notify_watchers(conn, [Change(ADA, "lost")])
            conn.rollback()
        commit(db, Change(ADA, "kept"))
        assert Change(ADA, "lost") not in until(ada, Change(ADA, "kept"))


def test_a_storm_comes_in_batches_and_each_change_once(live: Live, db: Database) -> None:
    with live.subscribe(ADA) as ada:
        listening(ada, db)
        for _ in range(50):
            commit(db, Change(ADA, "firing"))
        commit(db, Change(ADA, "end"))
        seen = until(ada, Change(ADA, "end"))
        assert 1 <= seen.count(Change(ADA, "firing")) < 50


def test_many_changes_of_one_transaction_are_told_without_their_ids(live: Live, db: Database) -> None:
    with live.subscribe(ADA) as ada:
        listening(ada, db)
        commit(db, *(Change(ADA, "firing", new_id()) for _ in range(MAX_TOLD + 1)))
        until(ada, Change(ADA, "firing"))
        commit(db, *(Change(new_id(), "firing") for _ in range(MAX_TOLD + 1)))
        until(ada, EVERYTHING)


def test_all_watchers_share_one_connection_which_ends_with_the_last_of_them(live: Live, db: Database) -> None:
    subscriptions = [live.subscribe(ADA) for _ in range(20)]
    for subscription in subscriptions:
        listening(subscription, db)
    assert len(rows(db, CONNECTIONS)) == 1
    for subscription in subscriptions:
        subscription.close()
    live.close()
    ended(db)


def test_watchers_look_again_after_the_connection_was_lost(live: Live, db: Database) -> None:
    with live.subscribe(ADA) as ada:
        listening(ada, db)
        change(db, "SELECT pg_terminate_backend(:pid)", pid=rows(db, CONNECTIONS)[0].pid)
        until(ada, EVERYTHING)
        commit(db, Change(ADA, "firing"))
        until(ada, Change(ADA, "firing"))


def test_a_watcher_that_does_not_come_is_told_to_look_at_everything(live: Live, db: Database) -> None:
    with live.subscribe(ADA) as ada:
        listening(ada, db)
        ada.offer([Change(ADA, "firing", new_id()) for _ in range(2000)])
        assert ada.get(1) == [EVERYTHING]


def test_a_closed_subscription_wakes_its_watcher(live: Live) -> None:
    subscription = live.subscribe(ADA)
    subscription.close()
    subscription.get(0)
    assert subscription.get(60) == []
    assert subscription.is_closed


@pytest.mark.parametrize(
    "payload", ["", "no json", "[]", "7", '{"tenant": "x", "kind": "firing", "id": null}', "{}"]
)
def test_a_payload_that_is_not_ours_means_everything(payload: str) -> None:
    assert decode(payload) == EVERYTHING


def test_a_change_survives_its_payload() -> None:
    for each in (Change(ADA, "firing", BOB), Change(None, "x"), Change(UUID(int=0), "firing")):
        assert decode(encode(each)) == each
    assert LIVE_CHANNEL == "reveille_live"
