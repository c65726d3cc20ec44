"""Methods of definitions.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.definitions import AppliedOut, DefinitionsIn, DefinitionsOut


class Definitions:
    """What is done with definitions."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def export(self) -> DefinitionsOut:
        """Export all models, agents, triggers, targets and channels, without secrets. Applied again, it changes nothing."""
        answer: DefinitionsOut = self._client.call("GET", "/definitions")
        return answer

    def apply(self, **fields: Unpack[DefinitionsIn]) -> AppliedOut:
        """Make models, agents, triggers, targets and channels as defined, all or none; a second time changes nothing."""
        answer: AppliedOut = self._client.call("POST", "/definitions", body=fields)
        return answer
