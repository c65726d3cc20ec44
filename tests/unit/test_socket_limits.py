"""One key cannot take the places of others."""

from __future__ import annotations

from uuid import uuid4

import pytest

from api.sockets.socket_limits import PER_KEY, SocketPlaces
from scheduler.domain.errors import LimitReached


def test_one_key_cannot_take_the_sockets_of_all() -> None:
    places, greedy, modest = SocketPlaces(), uuid4(), uuid4()
    for _ in range(PER_KEY):
        places.check(greedy)
        places.take(greedy)
    with pytest.raises(LimitReached):
        places.check(greedy)
    places.check(modest)
    places.leave(greedy)
    places.check(greedy)
