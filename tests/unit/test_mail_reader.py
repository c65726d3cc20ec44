"""Nested, broken and unusually encoded mails are all read, and none stops the others."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.documents.mail import read
from scheduler.documents.reader_process import ReaderProcesses
from scheduler.domain.errors import InvalidField
from scheduler.net.headers import check_server
from scheduler.net.policy import AllowedPrivate
from scheduler.triggers.base import CheckContext, parse_config, resolve_config, split_secrets
from scheduler.triggers.email import EmailConfig, read_mail
from tests.support.check_resources import check_resources
from tests.unit.test_poll_config import NOW

HEAD = (
    "From: Ada <ada@example.org>\r\nTo: b@example.org\r\nSubject: {}\r\nDate: Wed, 2 Jan 2030 03:04:05 +0100\r\n"
)
PARTS = (
    "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
    "--i\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n"
    "--i\r\nContent-Type: text/html\r\n\r\n<p>Not this\r\n--i--\r\n--o\r\nContent-Type: application/pdf\r\n"
    'Content-Disposition: attachment; filename="=?utf-8?q?Rechnung_=C3=84?=.pdf"\r\n\r\nx\r\n--o--\r\n'
)


@pytest.mark.parametrize(
    ("mail", "told"),
    [
        (
            HEAD.format("Hi") + "\r\nHello\r\n\r\nyou",
            {"from": "ada@example.org", "subject": "Hi", "text": "Hello\nyou"},
        ),
        (HEAD.format("=?utf-8?b?w4Q=?= x") + "\r\n", {"subject": "Ä x"}),
        (HEAD.format("folded\r\n so") + "\r\n", {"subject": "folded so"}),
        (HEAD.format("a") + PARTS, {"text": "Hello", "attachments": ["Rechnung Ä.pdf"]}),
        (HEAD.format("a") + "Content-Type: text/html\r\n\r\n<p>Hi<script>x</script><p>you", {"text": "Hi\nyou"}),
        (HEAD.format("a") + "Content-Type: text/plain; charset=nonsense\r\n\r\nfine", {"text": "fine"}),
        (HEAD.format("a") + "Content-Type: multipart/mixed; boundary=o\r\n\r\nno parts", {"subject": "a"}),
        ("Subject: no sender\r\n\r\nx", {"subject": "no sender", "text": "x"}),
        ("no header at all", {"size": 16}),
        (HEAD.format("a") + "Message-ID: <1@e>\r\n\r\n" + "long " * 9_000, {"message_id": "<1@e>"}),
        (HEAD.format("a").replace("Wed, 2 Jan 2030 03:04:05 +0100", "yesterday") + "\r\n", {"date": "yesterday"}),
    ],
)
def test_a_mail_is_read(mail: str, told: dict[str, Any]) -> None:
    found = read(mail.encode())
    assert told.items() <= found.items()
    assert len(found.get("text", "")) <= 2_000


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from(PARTS.split("\r\n"))).map(lambda each: "\r\n".join(each).encode())
)
def test_whatever_comes_is_a_mail(mail: bytes) -> None:
    assert isinstance(read(mail), dict)


GIVEN = {"host": "imap.example.org", "username": "a", "password": "p"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"password": None}, "password"),
        ({"token": "t"}, "password"),
        ({"host": ""}, "host"),
        ({"port": 0}, "port"),
        ({"username": "a\r\nb"}, "username"),
        ({"mailbox": ""}, "mailbox"),
    ],
)
def test_a_wrong_field_is_named(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse_config(EmailConfig, GIVEN | wrong, CheckContext(NOW))
    assert refused.value.field == f"config.{field}"


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        ("imap.example.org", 993, ""),
        ("imap.example.org", 1993, ""),
        ("2606:4700::1111", 993, ""),
        ("10.0.0.1", 993, ""),
        ("imap.example.org", 143, "use 993"),
        ("10.0.0.1", 1143, "not a public address"),
        ("localhost", 993, "this machine itself"),
        ("2130706433", 993, "not a public address"),
        ("a b", 993, "space"),
        ("imap.example.org/x", 993, "invalid characters"),
    ],
)
def test_only_servers_that_may_be_connected_to_are_accepted(host: str, port: int, why: str) -> None:
    check = partial(check_server, allow_private=AllowedPrivate.parse("10.0.0.1:993"))
    context = CheckContext(NOW, check_server=check)
    if not why:
        assert parse_config(EmailConfig, GIVEN | {"host": host, "port": port}, context)
        return
    with pytest.raises(InvalidField, match=why) as refused:
        parse_config(EmailConfig, GIVEN | {"host": host, "port": port}, context)
    assert refused.value.field == "config.host"


def test_former_names_of_filters_are_read_and_stored_by_the_new_ones() -> None:
    former = GIVEN | {"from_contains": "a", "subject_contains": "b"}
    parsed = parse_config(EmailConfig, former, CheckContext(NOW))
    assert resolve_config(parsed, former, CheckContext(NOW)) == GIVEN | {"from": "a", "subject": "b"}


def test_the_password_is_a_secret() -> None:
    assert parse_config(EmailConfig, GIVEN, CheckContext(NOW))
    assert split_secrets(EmailConfig, GIVEN)[1] == {"password": "p"}


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (
            "".join(f"Content-Type: multipart/mixed; boundary=a{n}\r\n\r\n--a{n}\r\n" for n in range(5_000)),
            "nested",
        ),
        ("Content-Type: text/plain" + "; a=b" * 100_000 + "\r\n\r\nx", "processor time"),
    ],
    ids=["nested", "parameters"],
)
def test_a_mail_that_cannot_be_read_is_told_by_its_headers_and_holds_nothing_up(broken: str, why: str) -> None:
    readers = ReaderProcesses()
    body = (HEAD.format("The bomb").strip() + "\r\n" + broken).encode()
    try:
        told = read_mail(body, len(body), replace(check_resources(), read=readers.read))
    finally:
        readers.close()
    assert told["subject"] == "The bomb"
    assert "ada@example.org" in told["from"]
    assert why in told["unreadable"]
