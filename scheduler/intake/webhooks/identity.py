"""Decides whether two deliveries are the same: by their id, if it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from scheduler.domain.signatures.delivery_ids import delivery_id

LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded firing of a delivery, and the hash of its body."""

    firing_id: UUID
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """The occurrence keys under which a delivery may have been recorded.

    The first delivery gets `key`. An untrusted id does not identify a second, different body: such a delivery is
    kept under `other_key`, which includes both.
    """

    key: str
    body_hash: bytes
    other_key: str | None

    def first_of(self, recorded: Mapping[str, Recorded]) -> Recorded | None:
        """Returns the firing of the same delivery among those recorded under its keys."""
        first = recorded.get(self.key)
        if first is not None and (self.other_key is None or first.body_hash == self.body_hash):
            return first
        return recorded.get(self.other_key) if self.other_key is not None else None

    def free_key(self, recorded: Mapping[str, Recorded]) -> str:
        """Returns the key under which to record a new delivery."""
        return self.other_key if self.other_key is not None and self.key in recorded else self.key

    @property
    def keys(self) -> tuple[str, ...]:
        """Returns all keys."""
        return (self.key,) if self.other_key is None else (self.key, self.other_key)


def identify(scheme: str | None, headers: Mapping[str, str], body: bytes) -> Identity | None:
    """Returns the identity of a delivery among those of its trigger; None when its sender gave no id."""
    given = delivery_id(scheme, headers, body)
    if given is None:
        return None
    body_hash = sha256(body).digest()
    if len(given.value) <= LONGEST_ID and given.value.isprintable():
        kind, value = "delivery", given.value
    else:
        kind, value = "delivery-sha256", sha256(given.value.encode("utf-8", "surrogatepass")).hexdigest()
    key = f"{kind}:{given.name}:{value}"
    # The body's hash comes first in the other key, so that no id can be made equal to it.
    other = None if given.trusted else f"{kind}-of-body:{body_hash.hex()}:{given.name}:{value}"
    return Identity(key, body_hash, other)
