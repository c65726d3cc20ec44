"""The body of a delivery as its sender meant it, whatever its compression and charset."""

from __future__ import annotations

import gzip
import zlib

import pytest

from scheduler.domain.webhook_body import MAX_MEMBERS, document_of, unpacked

TEXT = b'{"x": 1}'
PACKED = gzip.compress(TEXT, mtime=0)
BARE = zlib.compress(TEXT)[2:-4]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", PACKED),
        ("X-GZIP", PACKED),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", BARE),
        ("deflate", PACKED),
        ("gzip", gzip.compress(TEXT[:3], mtime=0) + gzip.compress(TEXT[3:], mtime=0)),
        ("gzip", PACKED + bytes(512)),
        ("gzip, gzip", gzip.compress(PACKED, mtime=0)),
        ("none", TEXT),
        ("UTF-8", TEXT),
        ("aws-chunked", TEXT),
        ("gzip, identity", PACKED),
    ],
)
def test_a_body_is_unpacked_as_it_was_packed(encoding: str, body: bytes) -> None:
    """Several members, raw deflate, two encodings; an unknown name means no compression."""
    assert unpacked({"content-encoding": encoding}, body) == TEXT


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        ("br", TEXT, "'br'"),
        ("gzip", TEXT, "Content-Encoding says"),
        ("gzip", b"", "cut off"),
        ("gzip", gzip.compress(b"", mtime=0) * (MAX_MEMBERS + 1), "parts"),
        ("gzip,gzip,gzip", PACKED, "codings"),
        ("gzip, gzip", gzip.compress(gzip.compress(b" " * 8_000_000, mtime=0), mtime=0), "larger"),
    ],
)
def test_what_cannot_be_unpacked_says_why(encoding: str, body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unpacked({"content-encoding": encoding}, body)


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("windows-1251", '{"x": "Привет"}'.encode("cp1251")),
        ('"Shift_JIS"', '{"x": "日本"}'.encode("cp932")),
        ("utf-16", '{"x": "é"}'.encode("utf-16")),
        ("utf-8", '\ufeff{"x": "é"}'.encode()),
        ("iso-8859-1", '{"x": "é"}'.encode("latin-1")),
    ],
)
def test_json_is_read_in_the_charset_that_is_declared(charset: str, body: bytes) -> None:
    found = document_of({"content-type": f"application/json; charset={charset}"}, body)
    assert found["x"] in ("Привет", "日本", "é")
