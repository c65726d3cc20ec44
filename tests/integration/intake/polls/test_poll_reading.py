"""Polls that read feeds, pages, texts and statuses, on the real path from a due slot to the firing."""

from __future__ import annotations

from tests.support.polls import Polls, Site, answered
from tests.unit.test_document_feeds import ITEM, RSS


def test_a_feed_fires_once_with_all_that_is_new(polls: Polls, site: Site) -> None:
    site.answer = answered(body=RSS.format(ITEM.format("a")).encode())
    poll = polls.make({"read": "feed"})
    polls.look(poll)
    assert polls.data(poll) == []
    site.answer = answered(body=RSS.format("".join(map(ITEM.format, "cba"))).encode(), ETag='"2"')
    polls.look(poll)
    (data,) = polls.data(poll)
    assert data["feed"] == "News"
    assert [each["title"] for each in data["entries"]] == ["c", "b"]
    site.answer = answered("304 Not Modified")
    polls.look(poll)
    assert "if-none-match" in str(site.seen[-1].__dict__).lower()
    site.answer = answered(body=b"<html><input type=password></html>")
    polls.look(poll)
    assert "asks to sign in" in polls.state(poll).note
    site.answer = answered(body=RSS.format("".join(map(ITEM.format, "acb"))).encode())
    polls.look(poll)
    assert len(polls.data(poll)) == 1
    assert polls.audited(poll) == ["trigger.poll_failed", "trigger.poll_recovered"]


def test_a_page_fires_with_what_is_different(polls: Polls, site: Site) -> None:
    page = "<div id=p>Old<p>Views {}</p><script nonce={}>x</script></div>"
    site.answer = answered(body=page.format(1, "a").encode())
    poll = polls.make({"read": "html", "css": "#p", "ignore": [r"Views \d+"]})
    polls.look(poll)
    site.answer = answered(body=page.format(2, "b").encode())
    polls.look(poll)
    assert polls.data(poll) == []
    site.answer = answered(body=page.replace("Old", "New").format(3, "c").encode())
    polls.look(poll)
    assert polls.data(poll) == [{"old": "Old", "new": "New", "diff": "@@ -1 +1 @@\n-Old\n+New"}]
    site.answer = answered(body=b"<p>gone")
    polls.look(poll)
    assert polls.data(poll)[1]["nothing"] == ["new"]


def test_a_status_fires_when_it_has_changed_for_some_looks(polls: Polls, site: Site) -> None:
    site.answer = answered(body=b"")
    poll = polls.make({"read": "status", "for_looks": 2})
    for status in ("200 OK", "503 Sorry", "200 OK", "503 Sorry", "500 Broken"):
        site.answer = answered(status)
        polls.look(poll)
    assert polls.data(poll) == [{"old": "2xx", "new": "5xx", "status": 500}]
    site.answer = answered("200 OK")
    polls.look(poll, poll)
    polls.look(poll)
    assert polls.data(poll)[1]["new"] == "2xx"
    assert polls.audited(poll) == []
