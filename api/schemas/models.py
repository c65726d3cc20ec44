"""Models and their usage by agents."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import Answer, Listed, Name, Query, Time, id_of, no_defaults
from scheduler.domain.shapes import Shape

Provider = Literal["openai", "openai-compatible", "anthropic", "google"]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
# The characters that are allowed in a header.
ProviderKey = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,4096}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]
Price = Annotated[float, Field(ge=0, le=1_000_000, description="Per million tokens, in your currency.")]


class ModelSettings(Shape):
    """The settings that can be given at creation and changed later."""

    base_url: Address | None = Field(None, description="Null: the provider's own address.")
    key: ProviderKey | None = Field(None, repr=False, description="Stored encrypted and never shown.")
    key_env: Variable | None = Field(
        None,
        description="Instead of a key: the worker's environment variable with the key. Only settable with "
        "an operator's key.",
    )
    is_enabled: bool = True
    max_output_tokens: int | None = Field(None, ge=1, le=10_000_000, description="The limit for one response.")
    input_price: Price = 0.0
    output_price: Price = 0.0


class ModelIn(ModelSettings):
    """A new model. `openai-compatible` is any server with OpenAI's protocol; it needs a `base_url`."""

    name: Name
    provider: Provider
    model: ModelName = Field(description="The provider's name for the model.", examples=["gpt-4o-mini"])


class ModelPatch(ModelSettings):
    """JSON Merge Patch (RFC 7396): omitted fields stay. Another provider or base_url needs the key again."""

    model_config = ConfigDict(json_schema_extra=no_defaults)

    name: Name = ""
    provider: Provider = "openai"
    model: ModelName = ""


class ModelOut(Answer):
    """A model. Instead of its key, it says whether there is one."""

    id: UUID
    tenant_id: UUID
    name: str
    provider: str
    model: str
    base_url: str | None
    has_key: bool
    key_env: str | None
    is_enabled: bool
    max_output_tokens: int | None
    input_price: float
    output_price: float
    created_at: Time
    updated_at: Time


class ModelPage(Listed[ModelOut]):
    """A page of models."""


class ModelTestedOut(Answer):
    """The result of a test question."""

    ok: bool
    latency_ms: int = Field(description="Until the answer was complete or had failed.")
    text: str = Field(description="The first 200 characters of the model's answer.")
    tokens_in: int
    tokens_out: int
    error: str | None = Field(description="Why it did not answer, in the provider's words if available.")


class ModelPath(Shape):
    """Identifies a model."""

    model_id: Annotated[UUID, id_of("model")]


class UsageQuery(Query):
    """The time span."""

    days: int = Field(30, ge=1, le=366)


class DayOut(Answer):
    """An agent's usage on a day in its zone."""

    day: dt.date
    tokens_in: int
    tokens_out: int
    cost: float
    invocations: int


class TriggerUsageOut(Answer):
    """The usage by a trigger's firings: each firing of an invocation has an equal share."""

    trigger_id: UUID
    trigger_name: str
    firings: int
    tokens_in: float
    tokens_out: float
    cost: float


class UsageOut(Answer):
    """An agent's usage by day, newest first, and by trigger, most expensive first (100 at most)."""

    days: list[DayOut]
    triggers: list[TriggerUsageOut]
