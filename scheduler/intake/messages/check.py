"""The interval check of on_message triggers: finds messages that intake could not match with the trigger.

It finds a message that commits late, or before its trigger does, because only the recorded firings decide what has
fired. There is no cursor that could move past it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from scheduler.firings.new_firing import LockedTrigger, NewFiring
from scheduler.intake.messages.firings import CandidateMessage, MissCache, admit, match_and_audit
from scheduler.intake.messages.statements import find_unfired, read_messages

MAX_READ = 200
"""The most texts that one pass reads; the next check takes the rest."""
MATCH_SECONDS = 0.25
"""How long expressions may delay a pass."""
MISSES = MissCache(100_000)


def check_messages(conn: Connection, triggers: Sequence[LockedTrigger]) -> list[NewFiring]:
    """Checks all due on_message triggers with one query; reads texts only where one must be matched."""
    due = {trigger.id: trigger for trigger in triggers}
    unfired = [each for each in find_unfired(conn, due) if not MISSES.has(*each)]
    if not unfired:
        return []
    messages = read_messages(conn, list(dict.fromkeys(message_id for _, message_id in unfired))[:MAX_READ])
    looks = [(listener, messages[message_id]) for listener, message_id in unfired if message_id in messages]
    found = match_and_audit(conn, looks, MATCH_SECONDS, MISSES)
    heard = [CandidateMessage(due[listener.trigger_id], message) for listener, message in found]
    return admit(conn, heard).firings
