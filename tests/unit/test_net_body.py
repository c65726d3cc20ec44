"""Bodies: decoding, and where reading stops."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Iterable

import pytest

from scheduler.net.body import read_body
from scheduler.net.errors import AnswerBroken

pytestmark = pytest.mark.anyio

TEXT = bytes(range(256)) * 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Chunks:
    """A body in pieces that counts how many were read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.taken = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration from None
        self.taken += 1
        return piece


def cut(data: bytes, size: int) -> Chunks:
    return Chunks(data[i : i + size] for i in range(0, len(data), size))


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)),
        (" X-GZIP , identity", gzip.compress(TEXT, mtime=0)),
        ("gzip", gzip.compress(TEXT[:9], mtime=0) + gzip.compress(TEXT[9:], mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
)
async def test_bodies_are_decoded_however_they_are_cut(encoding: str, sent: bytes, size: int) -> None:
    assert await read_body(cut(sent, size), encoding, len(TEXT)) == (TEXT, False)


@pytest.mark.parametrize(("encoding", "sent"), [("", TEXT), ("gzip", gzip.compress(TEXT, mtime=0))])
async def test_one_byte_over_the_limit_cuts(encoding: str, sent: bytes) -> None:
    assert await read_body(cut(sent, 500), encoding, len(TEXT) - 1) == (TEXT[:-1], True)


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
async def test_an_empty_body_is_empty_whatever_its_encoding(encoding: str) -> None:
    assert await read_body(Chunks([]), encoding, 0) == (b"", False)


async def test_reading_stops_at_the_limit() -> None:
    long = Chunks([b"x" * 1000] * 10_000)
    assert await read_body(long, "", 5000) == (b"x" * 5000, True)
    assert long.taken == 6


async def test_compressed_bytes_that_inflate_to_nothing_are_bounded_too() -> None:
    long = Chunks([gzip.compress(b"") * 50] * 10_000)
    assert await read_body(long, "gzip", 5000) == (b"", True)
    assert long.taken < 100


@pytest.mark.parametrize(
    ("encoding", "sent", "part"),
    [
        ("gzip", b"not gzip at all", "damaged"),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"rubbish", "damaged"),
        ("gzip", gzip.compress(TEXT, mtime=0)[:-1], "ends early"),
        ("deflate", zlib.compress(TEXT)[:-4], "ends early"),
        ("br", b"...", "'br'"),
        ("gzip, gzip", gzip.compress(gzip.compress(TEXT, mtime=0)), "'gzip, gzip'"),
    ],
)
async def test_a_body_that_cannot_be_decoded_is_an_error(encoding: str, sent: bytes, part: str) -> None:
    with pytest.raises(AnswerBroken, match=part):
        await read_body(cut(sent, 100), encoding, 1_000_000)
