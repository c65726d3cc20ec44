"""Events that Slack, Discord and Feishu post to a channel: verified, stored once, answered before any agent runs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from scheduler.intake.messages.intake import MAX_TEXT
from scheduler.storage.tables.core import Firing, Invocation
from scheduler.storage.tables.messages import Session, User, UserAccount
from tests.support.api import Api
from tests.support.channels import EVENTS, SECRETS, SIGNED, firings, listen, open_line
from tests.support.chat_events import (
    LARK_TOKEN,
    discord_command,
    dump,
    encrypted,
    feishu_challenge,
    feishu_event,
    option,
    slack_event,
    slack_headers,
)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_message_is_stored_with_its_writer_and_its_conversation(api: Api, kind: str) -> None:
    """The first message creates user, account and session; the next one of the same person finds them."""
    line = open_line(api, kind)
    line.send(EVENTS[kind]("good morning"))
    [stored] = line.messages()
    assert (stored.text, stored.channel, stored.from_type) == ("good morning", kind, "user")
    with api.db.begin() as conn:
        account = conn.execute(select(*UserAccount.__table__.c)).one()
        user = conn.execute(select(*User.__table__.c)).one()
        session = conn.execute(select(*Session.__table__.c)).one()
    assert (account.channel, account.user_id, user.id) == (kind, stored.from_id, stored.from_id)
    assert user.name == f"{kind}:{account.external_id}"
    assert user.display_name == ("Nelly" if kind == "discord" else "")
    assert (session.id, session.user_id, session.channel) == (stored.session_id, user.id, kind)
    assert line.note() is None


@pytest.mark.parametrize("kind", SECRETS)
def test_an_event_that_came_before_is_answered_alike_and_changes_nothing(api: Api, kind: str) -> None:
    """A retry, or a recorded call that is replayed within five minutes."""
    line = open_line(api, kind)
    first = line.send(EVENTS[kind]("once"))
    assert line.send(EVENTS[kind]("once")) == first
    assert len(line.messages()) == 1


def test_an_id_that_comes_again_with_another_text_is_kept_as_another_message(api: Api) -> None:
    """A provider that reuses an id cannot be told to stop; the message is not dropped."""
    line = open_line(api)
    for text in ("first", "second", "second", "first"):
        line.send(slack_event(text))
    assert [each.text for each in line.messages()] == ["first", "second"]


def test_a_storm_of_fifty_retries_is_one_message_and_one_firing(api: Api) -> None:
    """All at once, from a new person, so that everything races."""
    line = open_line(api)
    line.send(slack_event("hello", ts="1.000001", event_ts="1.000001"))
    trigger = listen(line, "slack:U123ABC456")
    barrier = Barrier(50)

    def retry(number: int) -> int:
        body = dump(slack_event("wake up", event_id="Ev2", ts="2.000002"))
        marks = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": "http_timeout"}
        barrier.wait()
        return line.post(body, slack_headers(body, time.time()) | marks).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(retry, range(50))) == {200}
    assert [each.text for each in line.messages()] == ["hello", "wake up"]
    [firing] = firings(line)
    assert firing["trigger_id"] == trigger["id"]


def test_fifty_first_messages_of_one_person_at_once_are_fifty_messages_of_one_user(api: Api) -> None:
    """Whichever comes first creates user, account and session."""
    line = open_line(api)
    bodies = [dump(slack_event(f"n{number}", ts=f"{number}.5")) for number in range(50)]
    barrier = Barrier(50)

    def send(body: bytes) -> int:
        barrier.wait()
        return line.post(body).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(send, bodies)) == {200}
    stored = line.messages()
    assert {each.text for each in stored} == {f"n{number}" for number in range(50)}
    assert len({(each.from_id, each.session_id) for each in stored}) == 1


def test_nothing_is_run_before_the_answer(api: Api) -> None:
    """Slack and Discord wait for 3 s, an agent for minutes: firings are only recorded."""
    line = open_line(api)
    line.send(slack_event("hello"))
    listen(line, "slack:U123ABC456", channels=["slack"], text_match={"contains": "deploy"})
    line.send(slack_event("please deploy", ts="2.0"))
    line.send(slack_event("thanks", ts="3.0"))
    with api.db.begin() as conn:
        [state] = conn.scalars(select(Invocation.state)).all()
        [data] = conn.scalars(select(Firing.data)).all()
    assert state == "collecting"
    assert "please deploy" in str(data)


def test_threads_and_channels_are_sessions_of_their_own(api: Api) -> None:
    line = open_line(api)
    for number, fields in enumerate([{}, {"thread_ts": "1.0"}, {"channel": "C2"}, {"thread_ts": "1.0"}]):
        line.send(slack_event("hi", ts=f"{number}.1", **fields))
    sessions = [each.session_id for each in line.messages()]
    assert len(set(sessions)) == 3
    assert sessions[1] == sessions[3]


def test_a_mention_that_comes_as_two_events_is_one_message(api: Api) -> None:
    line = open_line(api)
    line.send(slack_event("<@UBOT> hi", event_id="Ev1"))
    line.send(slack_event("<@UBOT> hi", event_id="Ev2", type="app_mention"))
    assert [each.text for each in line.messages()] == ["@UBOT hi"]


def test_two_channels_that_hear_the_same_message_have_it_each(api: Api) -> None:
    """Two apps in one Slack channel, for two agents: it was written to each of them."""
    one, two = open_line(api, name="one"), open_line(api, name="two")
    for line in (one, two):
        line.send(slack_event("both of you"))
    assert [len(line.messages()) for line in (one, two)] == [1, 1]
    assert one.messages()[0].from_id == two.messages()[0].from_id


def test_handshakes_are_answered(api: Api) -> None:
    """They make no message."""
    slack, discord, feishu = (open_line(api, kind) for kind in ("slack", "discord", "feishu"))
    assert slack.send({"type": "url_verification", "token": "t", "challenge": "c-1"}) == {"challenge": "c-1"}
    assert discord.send({"id": "1", "application_id": "2", "type": 1, "version": 1}) == {"type": 1}
    unsigned = feishu.post(encrypted(feishu_challenge()), {})
    assert unsigned.json == {"challenge": "ajls384kdjx98XX"}
    assert unsigned.content_type == "application/json"
    assert [line.messages() for line in (slack, discord, feishu)] == [[], [], []]


def test_feishu_without_an_encrypt_key_is_proven_by_its_token(api: Api) -> None:
    line = open_line(api, "feishu", secrets={"verification_token": LARK_TOKEN})
    assert line.post(dump(feishu_event("hi")), {}).status_code == 200
    assert line.post(dump(feishu_event("no", message_id="om_2", header={"token": "x"})), {}).status_code == 401
    assert [each.text for each in line.messages()] == ["hi"]


@pytest.mark.parametrize("kind", SECRETS)
def test_what_is_not_proven_is_refused_and_noted(api: Api, kind: str) -> None:
    """401 with a reason, nothing is stored; the channel tells its owner what was wrong."""
    line = open_line(api, kind)
    body = encrypted(feishu_event()) if kind == "feishu" else dump(EVENTS[kind]("hi"))
    late = SIGNED[kind](body, time.time() - 400)
    for headers in ({}, SIGNED[kind](body + b" ", time.time()), late):
        response = line.post(body, headers)
        assert response.status_code == 401, response.text
        assert response.content_type == "application/problem+json"
    assert line.messages() == []
    assert (line.note() or "").startswith("refused: The event is not accepted: ")


def test_a_channel_that_is_not_there_or_is_closed_is_not_found(api: Api) -> None:
    """Even with a valid signature: a disabled or deleted channel, one whose agent is deleted, a mistyped id."""
    disabled, deleted, orphan = (open_line(api, name=name) for name in ("a", "b", "c"))
    api.patch(f"/channels/{disabled.shown['id']}", {"is_enabled": False})
    api.delete(f"/channels/{deleted.shown['id']}")
    api.delete(f"/agents/{orphan.shown['agent_id']}")
    for line in (disabled, deleted, orphan):
        assert line.post(dump(slack_event())).status_code == 404
        assert line.messages() == []
    client = api.app.test_client()
    for path in ("/channels/no-id/events", "/channels/00000000-0000-7000-8000-0000000000ff/events"):
        assert client.post(path, data=b"{}").status_code == 404
    api.patch(f"/channels/{disabled.shown['id']}", {"is_enabled": True})
    disabled.send(slack_event())


def test_new_secrets_hold_from_the_next_event_on(api: Api) -> None:
    line = open_line(api)
    api.patch(f"/channels/{line.shown['id']}", {"secrets": {"signing_secret": "new"}})
    body = dump(slack_event())
    assert line.post(body).status_code == 401
    assert line.post(body, slack_headers(body, time.time(), "new")).status_code == 200


def test_what_bots_write_is_ignored(api: Api) -> None:
    """An app receives its own messages too, recognized by Slack's marker or by the channel's own user id."""
    line = open_line(api, bot_user_id="UBOT")
    line.send(slack_event("beep", bot_id="B1"))
    assert line.note() == "ignored: a bot wrote it"
    line.send(slack_event("beep", user="UBOT"))
    assert line.messages() == []


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("slack", slack_event(subtype="message_changed")),
        ("slack", slack_event(outer={"type": "app_rate_limited"})),
        ("slack", slack_event("  ")),
        ("slack", {"a": [1]}),
        ("discord", discord_command(type=3)),
        ("discord", {"type": 77}),
        ("feishu", feishu_event(message_type="image", content='{"image_key":"i"}')),
        ("feishu", feishu_event(header={"event_type": "im.chat.updated_v1"})),
    ],
)
def test_anything_but_a_message_is_answered_and_noted(api: Api, kind: str, event: Any) -> None:
    """200, since otherwise the provider would repeat it and in the end disable the address."""
    line = open_line(api, kind)
    line.send(event)
    assert line.messages() == []
    assert (line.note() or "").startswith("ignored: it ")


def test_a_form_at_the_address_of_events_is_refused_as_no_json(api: Api) -> None:
    """Slack's slash commands are signed too, but they are forms."""
    line = open_line(api)
    response = line.post(b"token=x&command=%2Fask")
    assert response.status_code == 400
    assert line.note() == "refused: The body is not JSON in UTF-8."


def test_nul_and_half_surrogates_are_replaced(api: Api) -> None:
    """The database can hold neither, in a text or in a name."""
    line = open_line(api, "discord")
    event = discord_command(option("a\x00b"))
    event["member"]["user"]["global_name"] = "Ne\x00lly"
    body = dump(event).replace(b'b"', b'b\\ud800"', 1)
    assert line.post(body).status_code == 200
    assert [each.text for each in line.messages()] == ["a\ufffdb?"]
    with api.db.begin() as conn:
        assert conn.scalar(select(User.display_name)) == "Ne\ufffdlly"


def test_a_text_of_almost_a_megabyte_is_cut_and_one_over_it_is_refused(api: Api) -> None:
    line = open_line(api)
    line.send(slack_event("ü" * 160_000))
    [stored] = line.messages()
    assert len(stored.text) == MAX_TEXT
    assert stored.text.endswith("ü…")
    assert line.post(dump(slack_event("x" * 1_048_576))).status_code == 413
    assert len(line.messages()) == 1


def test_a_chunked_body_over_a_megabyte_is_refused_not_cut(api: Api) -> None:
    """If it were truncated, its signature would be wrong, and a 401 would mislead the sender."""
    line = open_line(api)
    body = dump(slack_event("x" * 1_100_000))
    chunked = {"wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
    headers = slack_headers(body, time.time())
    response = api.app.test_client().post(line.path, headers=headers, environ_overrides=chunked)
    assert response.status_code == 413, response.text
