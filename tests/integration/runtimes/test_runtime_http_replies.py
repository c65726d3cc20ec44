"""Replies of `http` agents: complete ones count, however their headers and their text are written."""

from __future__ import annotations

import gzip

import pytest

from scheduler.domain.run import Failed, Replied
from tests.integration.net.net_servers import Exchange
from tests.support.http_agents import answered, outcome_of

HELLO = "grüß dich, 世界"
DONE = b'{"reply": "done"}'
GZIPPED = gzip.compress(DONE, mtime=0)


@pytest.mark.parametrize(
    "answer",
    [
        answered("200 OK", DONE, "Content-Encoding: none"),
        answered("200 OK", DONE, "Content-Encoding: UTF-8"),
        answered("200 OK", DONE, "Content-Encoding: identity, 8bit"),
        answered("200 OK", DONE, "Content-Encoding:"),
        answered("200 OK", DONE, "Content-Encoding: br"),
        answered("200 OK", DONE, "Content-Encoding: gzip"),
        answered("200 OK", DONE, "Content-Encoding: deflate"),
        answered("200 OK", GZIPPED, "Content-Encoding: gzip"),
        answered("200 OK", GZIPPED, "Content-Encoding: gzip, utf-8"),
        answered("200 OK", GZIPPED[:-3], "Content-Encoding: gzip"),
        answered("200 OK", DONE, "X-Served-By : ada"),
        answered("200 OK", DONE, "Server\t: ada"),
        answered("200 OK", DONE, "no field at all"),
        answered("200 OK", DONE, "Bad Name: 1", " folded: on"),
        answered("200 OK", DONE, "X-Vertical: a\x0bb\x00c"),
        answered("200 OK", DONE, ": nameless"),
        answered("200 OK", DONE, "Transfer-Encoding: identity"),
        b"HTTP/1.1 200 OK\r\nContent-Length : 17\r\n\r\n" + DONE + b"more than there is",
        b"HTTP/1.1 103 Early Hints\r\nLink : </a>\r\n\r\nHTTP/1.1 200 OK\r\nServer : a\r\n\r\n" + DONE,
        b"\r\nHTTP/1.1  200\r\n\r\n" + DONE,
        b"HTTP/1.0 200 OK\r\n\r\n" + DONE,
        b"HTTP/1.1 200 OK\nServer : a\n\n" + DONE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"11\r\n" + DONE + b"\r\n0\r\n\r\n",
        *(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
            for body in (
                b"11\r\n" + DONE + b"\r\n0\r\nX-Sum : 1\r\nno field\r\n\r\n",
                b"11 ; a=b\r\n" + DONE + b"\r\n0;last\r\n",
                b"5\n" + DONE[:5] + b"\n0C\n" + DONE[5:] + b"\n0\n\n",
            )
        ),
        *(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + codings + b"\r\n\r\n"
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(GZIPPED), GZIPPED)
            for codings in (b"gzip, chunked", b"x-gzip,\r\n chunked", b"Gzip\r\ntransfer-encoding: Chunked")
        ),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\n" + GZIPPED,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: none, chunked\r\n\r\n11\r\n" + DONE + b"\r\n0\r\n\r\n",
        *(
            b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + DONE
            for length in (b"+17", b"017", b"17, +17", b"17\r\nContent-Length: 18", b"17.0", b"-1", b"", b"many")
        ),
    ],
)
def test_a_whole_success_is_done_however_its_headers_are_written(answer: bytes) -> None:
    assert outcome_of(answer) == Replied("done")


def test_a_head_that_comes_byte_by_byte_is_read_all_the_same() -> None:
    async def drip(exchange: Exchange) -> None:
        for byte in answered("200 OK", DONE, "Server : ada"):
            await exchange.send(bytes([byte]))

    assert outcome_of(drip) == Replied("done")


def test_a_chunked_answer_that_comes_byte_by_byte_is_read_all_the_same() -> None:
    """Its data may look like the lines between chunks."""
    text = b"\r\n0\r\n\r\n5\r\n"
    sent = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(text), text)

    async def drip(exchange: Exchange) -> None:
        for byte in sent + b"2\r\nab\r\n0\r\nX : 1\r\n\r\n":
            await exchange.send(bytes([byte]))

    assert outcome_of(drip) == Replied((text + b"ab").decode())


@pytest.mark.parametrize("rest", [b"", b"0", b"zz\r\n\r\n", b"-1\r\n"])
def test_a_chunked_answer_without_its_end_is_broken(rest: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    outcome = outcome_of(head + b"11\r\n" + DONE + b"\r\n" + rest)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (HELLO.encode("utf-16"), "text/plain; charset=utf-16", HELLO),
        (HELLO.encode("utf-16-le"), "text/plain; charset=utf-16le", HELLO),
        (HELLO.encode("gb18030"), 'text/plain; charset="GB2312"', HELLO),
        ("こんにちは①".encode("cp932"), "text/plain;charset=Shift_JIS", "こんにちは①"),
        ("café “x”".encode("cp1252"), "text/plain; charset=iso-8859-1", "café “x”"),
        ("café".encode("latin-1"), "text/plain", "café"),
        ("café".encode(), "text/plain; charset=ascii", "café"),
        ("café".encode(), "text/plain; charset=no-such", "café"),
        ("café".encode(), "text/plain; charset=base64", "café"),
        ("\ufeff" + '{"reply": "é"}', "application/json", "é"),
        ('{"reply": "é"}'.encode("utf-16"), "application/json", "é"),
        ('{"reply": "é"}'.encode("utf-16-be"), "application/json", "é"),
        ('{"reply": "é"}'.encode("latin-1"), "application/json; charset=latin1", "é"),
        (b'\n {"reply": "two\nlines"}', "application/json", "two\nlines"),
        ("\ufeff\ufeff" + '{"reply": "é"}', "application/json", "é"),
        ("\r\n \ufeff" + '{"reply": "é"}', "application/json", "é"),
        (b'{"reply": "x", "more": ' + b"1" * 5_000 + b"}\n\0", "application/json", "x"),
        (b'{"reply": {"b": 10.00, "a": 1e400}}', "application/json", '{"b": 10.00, "a": 1e400}'),
        (b'{"reply": 12345678901234567.89}', "application/json", "12345678901234567.89"),
        (b'{"reply": {"a": NaN, "a": 1}}', "application/json", '{"a": NaN, "a": 1}'),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "image/png", "(not text: 10 bytes of image/png)"),
    ],
)
def test_a_reply_is_read_in_its_charset(body: bytes | str, content_type: str, text: str) -> None:
    sent = body.encode() if isinstance(body, str) else body
    assert outcome_of(answered("200 OK", sent, f"Content-Type: {content_type}")) == Replied(text)


def test_an_error_is_quoted_in_its_charset() -> None:
    outcome = outcome_of(answered("400 No", "café".encode("latin-1"), "Content-Type: text/plain; charset=latin-1"))
    assert outcome == Failed("The agent answered HTTP 400: café", permanent=True)


def test_a_reply_that_is_cut_ends_with_a_whole_character() -> None:
    assert outcome_of(answered("200 OK", b"x" + "é".encode() * 600_000)) == Replied(
        "x" + "é" * (512 * 1024 - 1), truncated=True
    )


def test_of_json_that_is_cut_the_reply_is_kept() -> None:
    outcome = outcome_of(answered("200 OK", b'{"acks": [{"a": 1}], "reply": "' + b"x" * 2_000_000 + b'"}'))
    assert isinstance(outcome, Replied)
    assert (outcome.text.strip("x"), outcome.truncated, outcome.acks) == ("", True, [{"a": 1}])
    assert len(outcome.text) > 1_000_000
