"""Runs the checks of kinds with their own (`LookConfig.look`), each in a thread, with the last cursor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

from loguru import logger
from pydantic import ValidationError

from scheduler.domain.errors import ConfigurationError, InvalidField, ReveilleError
from scheduler.domain.field_errors import message_of
from scheduler.intake.polls.results import CheckDecision, LookFailed
from scheduler.intake.polls.statements import StoredPoll
from scheduler.intake.polls.worker_resources import Parts, resources_of
from scheduler.storage.faults import first_line
from scheduler.storage.secrets import SecretBox
from scheduler.triggers.base import join_secrets
from scheduler.triggers.check_resources import CheckResources
from scheduler.triggers.looks import LookConfig
from scheduler.triggers.registry import KINDS

LOOK_SECONDS = 30.0
MAX_DATA_CHARS = 8 * 1024 * 1024
"""The size limit of the JSON that a check passes to a firing, before its values are cut."""
THREADS = 8
"""The concurrent checks of a worker. A hanging one occupies its thread, and its trigger is not checked meanwhile."""


@dataclass(frozen=True, slots=True)
class CustomCheck:
    """A stored trigger of such a kind with its whole config, including secrets."""

    stored: StoredPoll
    config: LookConfig

    @property
    def is_begun(self) -> bool:
        """Whether the stored state belongs to this config, not to one before an edit."""
        return self.stored.fingerprint == self.config.fingerprint()

    def cursor(self) -> Any:
        """The cursor of the last check; None when this one is the first."""
        return json.loads(self.stored.baseline) if self.stored.baseline and self.is_begun else None


def open_custom(stored: StoredPoll, box: SecretBox) -> CustomCheck:
    """Decrypts a trigger's secrets. Raises ConfigurationError when that fails or its config is no longer valid."""
    secrets = {} if stored.secret is None else json.loads(box.decrypt(stored.secret))
    kind = KINDS.get(stored.type)
    if kind is None or not issubclass(kind, LookConfig):
        raise ConfigurationError(f"The package with the kind {stored.type} is not installed here.")
    try:
        return CustomCheck(stored, kind.model_validate(join_secrets(stored.config, secrets)))
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"config.{'.'.join(map(str, first['loc']))}: {message_of(first)}.") from None


def is_custom(stored: StoredPoll) -> bool:
    """Whether its kind has its own check."""
    kind = KINDS.get(stored.type)
    return kind is not None and issubclass(kind, LookConfig)


class CustomChecker:
    """Runs checks from one event loop, in a few threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="looks")
        self._places = asyncio.Semaphore(THREADS)
        self._looking: set[UUID] = set()

    async def look(self, watch: CustomCheck) -> CheckDecision | LookFailed:
        """Checks once. Never raises."""
        trigger_id = watch.stored.id
        if trigger_id in self._looking:
            return LookFailed("The previous check has not finished yet.")
        await self._places.acquire()
        self._looking.add(trigger_id)
        loop = asyncio.get_running_loop()
        resources = resources_of(self._parts, loop, trigger_id)
        looking = loop.run_in_executor(self._threads, look_once, watch.config, watch.cursor, resources)
        looking.add_done_callback(lambda _: self._ended(trigger_id))
        try:
            return await asyncio.wait_for(asyncio.shield(looking), LOOK_SECONDS)
        except TimeoutError:
            return LookFailed(f"The check did not finish within {LOOK_SECONDS:g} s.")

    async def tell_settled(self, watch: CustomCheck, look: CheckDecision, keys: Sequence[str]) -> None:
        """Calls the check's hook after its result is committed. Never raises."""
        if look.settled is None:
            return
        async with self._places:
            telling = asyncio.get_running_loop().run_in_executor(self._threads, look.settled, keys)
            try:
                await asyncio.wait_for(asyncio.shield(telling), LOOK_SECONDS)
            except Exception as error:  # noqa: BLE001  # a later look does what this one could not
                why = error.message if isinstance(error, ReveilleError) else f"{type(error).__name__}: {error}"
                logger.warning("What trigger {} took could not be acknowledged yet: {}", watch.stored.id, why)

    def close(self) -> None:
        """Stops the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, trigger_id: UUID) -> None:
        self._looking.discard(trigger_id)
        self._places.release()


def look_once(
    config: LookConfig, cursor: Callable[[], Any], resources: CheckResources
) -> CheckDecision | LookFailed:
    """Checks in this thread. Never raises."""
    try:
        sighting = config.look_with(cursor(), resources)
        text = json.dumps(sighting.cursor, sort_keys=True, allow_nan=False)
        data = None if sighting.data is None else _as_json(sighting.data)
        occurrences = [replace(each, data=_as_json(each.data)) for each in sighting.occurrences]
        sighted = CheckDecision(
            text,
            data,
            sighting.note,
            shown=sighting.shown,
            documents=sighting.documents,
            occurrences=occurrences,
            settled=sighting.settled,
            more=sighting.more,
        )
    except ReveilleError as error:
        return LookFailed(error.message, getattr(error, "retry_after", None))
    except BaseException as error:  # noqa: BLE001  # a stranger's code may raise anything, also what ends a loop
        logger.opt(exception=error).warning("A check of type {} failed unexpectedly", config.kind)
        return LookFailed(f"The check failed: {type(error).__name__}: {first_line(error)}")
    if len(text) > config.max_cursor_chars:
        return LookFailed(f"The check's cursor is longer than {config.max_cursor_chars} characters.")
    return sighted


def _as_json(data: Mapping[str, Any]) -> dict[str, Any]:
    """Converts a firing's data to JSON types. Raises InvalidField when it is larger than a firing may be."""
    text = json.dumps(dict(data))
    if len(text) > MAX_DATA_CHARS:
        raise InvalidField(f"The check returned more than {MAX_DATA_CHARS} characters to fire with.")
    return cast("dict[str, Any]", json.loads(text))
