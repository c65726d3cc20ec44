"""Text from outside, made fit for the database."""

from __future__ import annotations

MAX_REPLY_BYTES = 1024 * 1024
"""A longer reply is cut; it still counts as success."""


def storable(text: str, max_bytes: int = MAX_REPLY_BYTES) -> tuple[str, bool]:
    r"""`text` as PostgreSQL can hold it, at most so many bytes of UTF-8, and whether it was cut for that.

    PostgreSQL's text has no U+0000, and UTF-8 no lone surrogates (JSON's `\ud800` makes some): both are replaced.
    """
    data = text.replace("\x00", "\ufffd").encode("utf-8", "replace")
    return data[:max_bytes].decode("utf-8", "ignore"), len(data) > max_bytes
