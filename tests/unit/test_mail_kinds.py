"""Mails as found in practice, each small: from many programs, nested, signed, forwarded and broken."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.commands.exits import UsageFault
from scheduler.commands.trigger_options import options_of_kinds, shape
from scheduler.documents import mail
from tests.support.processor import spends_less_than


def nested(levels: int) -> bytes:
    inner = "Content-Type: text/plain; charset=utf-8\r\n\r\nDeep ä\r\n"
    for n in range(levels):
        inner = f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n{inner}\r\n--b{n}--\r\n"
    return f"Subject: deep\r\n{inner}".encode()


def lines(text: str, charset: str = "utf-8") -> bytes:
    """Builds a mail as it is sent."""
    return text.strip("\n").replace("\n", "\r\n").encode(charset)


FORWARDED = """
From: a@e.org
Subject: Fwd
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain

See below.
--x
Content-Type: message/rfc822

From: b@e.org
Subject: Inner

Inside
--x--
"""
INVITATION = """
Subject: Invite
Content-Type: multipart/alternative; boundary=x

--x
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

<p>Caf=E9 =
at nine</p>
--x
Content-Type: text/calendar; method=REQUEST

BEGIN:VCALENDAR
--x--
"""
RELATED = """
Subject: Pictures
Content-Type: multipart/related; boundary=o

--o
Content-Type: multipart/alternative; boundary=i

--i
Content-Type: text/plain

Plain
--i
Content-Type: text/html

<img src=cid:1>
--i--
--o
Content-Type: image/png
Content-ID: <1>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--o--
"""
SIGNED = """
Content-Type: multipart/signed; boundary=x

--x

Body
--x
Content-Type: application/pgp-signature

sig
--x--
"""
REPORT = """
Content-Type: multipart/report; boundary=x

--x

Not delivered.
--x--
"""
ATTACHED = """
Content-Type: application/pdf; name="../../etc/passwd"
Content-Disposition: attachment

x
"""
CHINESE = """
Content-Type: text/plain; charset=gb2312

\u8ba2\u5355
"""
RUSSIAN = base64.b64encode("\u0421\u0447\u0451\u0442".encode("cp1251")).decode()
MAILS: list[tuple[bytes, dict[str, Any]]] = [
    (nested(30), {"subject": "deep", "text": "Deep \u00e4"}),
    (lines(FORWARDED), {"subject": "Fwd", "from": "a@e.org"}),
    (lines(INVITATION), {"text": "Caf\u00e9 at nine"}),
    (lines(RELATED), {"text": "Plain"}),
    (lines(SIGNED), {"text": "Body"}),
    (lines(REPORT), {"text": "Not delivered."}),
    (lines(ATTACHED), {}),
    (lines(CHINESE, "gb2312"), {"text": "\u8ba2\u5355"}),
    (lines(f"Subject: =?windows-1251?B?{RUSSIAN}?=\n\nx"), {"subject": "\u0421\u0447\u0451\u0442"}),
    (lines("Subject: =?utf-8?Q?broken=?= =?nonsense?B?!!?=\n\nx"), {"text": "x"}),
    (lines("From: =?utf-8?b?w4RkYQ==?= <ada@e.org>, second@e.org\n\nx"), {"from": "ada@e.org"}),
    (b"Subject: raw \xe4 bytes\r\n\r\n\xff\xfe", {}),
    (b"Subject: " + b"very long " * 9_000 + b"\r\n\r\nx", {"text": "x"}),
    (b"Received: x\r\n" * 3_000 + b"Subject: many hops\r\n\r\nx", {"subject": "many hops"}),
]


@pytest.mark.parametrize(("document", "told"), MAILS, ids=range(len(MAILS)))
def test_a_mail_of_the_wild_is_read(document: bytes, told: dict[str, Any]) -> None:
    assert told.items() <= mail.read(document).items()


PIECES = [
    b"--o\r\n",
    b"--o--\r\n",
    b"\r\n",
    b"Content-Type: multipart/mixed; boundary=o\r\n",
    b"Subject: =?utf-8?B?w4Q=?=\r\n",
]
PIECES += [
    b"Content-Type: message/rfc822\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Date: x\r\n",
    b"From: <\r\n",
    b"\xff\x00 ",
]
PIECES += [
    b"Content-Type: text/html; charset=utf-7\r\n",
    b"Content-Disposition: attachment; filename*=utf-8''%ff\"\r\n",
    b"<p>x",
]


@settings(max_examples=80)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join) | st.binary(max_size=400))
def test_whatever_a_mail_is_made_of_it_is_read_in_a_second(document: bytes) -> None:
    with spends_less_than(1):
        assert isinstance(mail.read(document), dict)


def test_the_command_makes_a_whole_config() -> None:
    own = {
        "--imap-host": "h",
        "--imap-port": "1993",
        "--every": "2m",
        "--mark-seen": True,
        "--mail-from": "@e.org",
    }
    made = shape(None, None, own, options_of_kinds())
    told = {"host": "h", "port": 1993, "interval_seconds": 120.0, "mark_seen": True, "from": "@e.org"}
    assert made == ("email", told)
    with pytest.raises(UsageFault, match="--imap-port 'imaps' is not a whole number"):
        shape(None, None, own | {"--imap-port": "imaps"}, options_of_kinds())
