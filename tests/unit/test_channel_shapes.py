"""Whatever a provider sends instead of its documented format, an event is read or ignored, never an error."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.channels.base import ChannelKind
from scheduler.channels.registry import open_channel
from tests.support.chat_events import (
    DISCORD_PUBLIC_KEY,
    LARK_TOKEN,
    SLACK_SECRET,
    TEAMS_TOKEN,
    discord_command,
    feishu_event,
    mattermost_post,
    option,
    slack_event,
    teams_activity,
    telegram_update,
)

CHANNELS: dict[str, tuple[ChannelKind, Any]] = {
    "slack": (
        open_channel("slack", {"signing_secret": SLACK_SECRET}),
        slack_event("<@U1> &amp;", thread_ts="1.1"),
    ),
    "discord": (
        open_channel("discord", {"public_key": DISCORD_PUBLIC_KEY}),
        discord_command({"name": "to", "type": 1, "options": [option("x"), option(2, "n", 4)]}),
    ),
    "feishu": (
        open_channel("feishu", {"verification_token": LARK_TOKEN}),
        feishu_event("@_user_1", mentions=[{"key": "@_user_1", "name": "T"}]),
    ),
}
CHANNELS |= {
    "telegram": (open_channel("telegram", {"secret_token": "t"}), telegram_update("hello", message_thread_id=7)),
    "teams": (open_channel("teams", {"security_token": TEAMS_TOKEN}), teams_activity("<at>R</at> hi <b>you</b>")),
    "mattermost": (open_channel("mattermost", {"token": "t"}), mattermost_post("hello")),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Returns the paths of everything inside `value`."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


@pytest.mark.parametrize("kind", CHANNELS)
@given(data=st.data())
def test_any_value_at_any_place_is_read_or_ignored(kind: str, data: st.DataObject) -> None:
    channel, event = CHANNELS[kind]
    changed = copy.deepcopy(event)
    *parents, last = data.draw(st.sampled_from(list(places(event))))
    holder = changed
    for parent in parents:
        holder = holder[parent]
    holder[last] = data.draw(JSON)
    if channel.handshake(changed) is None:
        parsed = channel.parse(changed)
        assert (parsed.ignored is None) == (len(parsed.messages) == 1)
