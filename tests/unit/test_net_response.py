"""Reading responses: what malformed ones mean, however they are cut."""

from __future__ import annotations

import httpx
import pytest

from scheduler.net.response import MAX_HEAD_BYTES, MAX_LINE_BYTES, ResponseReader

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(
    sent: bytes, *, method: str = "POST", size: int = 10_000, ended: bool = False
) -> tuple[ResponseReader, bytes]:
    reader = ResponseReader(method)
    body = b"".join(reader.feed(sent[start : start + size]) for start in range(0, len(sent), size))
    if ended:
        reader.end()
    return reader, body


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize(
    ("sent", "fields", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 3\r\n\r\nabc", [(b"A", b"1"), (b"Content-Length", b"3")], b"abc"),
        (b"\r\n\nHTTP/1.1 200\nA : 1\nContent-Length: 3, +3\n\nabc", [(b"A", b"1"), (b"Content-Length", b"3")], b"abc"),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n and\x00 2\r\nnot a field\r\n gone\r\nContent-Length:0\r\n\r\n",
         [(b"A", b"1 and  2"), (b"Content-Length", b"0")], b""),
        (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
         [(b"Content-Length", b"1")], b"x"),
        (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", [(b"Transfer-Encoding", b"chunked")], b"abc"),
        (CHUNKED + b" 2 ;a=b\nab\n1\r\nc\r\n000\r\nX : 1\r\n\r\n", [(b"Transfer-Encoding", b"chunked")], b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 9\r\n\r\n1\r\nx\r\n0\r\n\r\n",
         [(b"Content-Encoding", b"gzip"), (b"Transfer-Encoding", b"chunked")], b"x"),
    ],
)  # fmt: skip
def test_a_response_is_read_however_it_is_cut(
    sent: bytes, fields: list[tuple[bytes, bytes]], body: bytes, size: int
) -> None:
    reader, got = read(sent, size=size)
    assert reader.is_complete
    assert reader.head is not None
    assert (reader.head.status, reader.head.fields, got) == (200, fields, body)


@pytest.mark.parametrize(
    "length", [b"", b"Content-Length: 1, 2\r\n", b"Content-Length: -1\r\n", b"Content-Length: x\r\n"]
)
def test_without_a_valid_length_the_body_ends_with_the_connection(length: bytes) -> None:
    sent = b"HTTP/1.1 200 OK\r\n" + length + b"\r\nabc"
    assert not read(sent)[0].is_complete
    reader, body = read(sent, ended=True)
    assert (reader.is_complete, reader.is_followed, body) == (True, False, b"abc")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 204), ("GET", 304)])
def test_some_responses_have_no_body_whatever_they_say(method: str, status: int) -> None:
    reader, body = read(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status, method=method)
    assert (reader.is_complete, reader.is_followed, body) == (True, True, b"")


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 099 No\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
        CHUNKED + b"z\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"1\r\na\r\n" + b"0" * (MAX_LINE_BYTES + 1),
    ],
)
def test_what_is_not_http_is_an_error(sent: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        read(sent)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
        CHUNKED,
        CHUNKED + b"1\r\na\r\n",
    ],
)
def test_a_response_that_breaks_off_is_an_error(sent: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        read(sent, ended=True)
