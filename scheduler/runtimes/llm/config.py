"""The settings of the `llm` runtime."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from scheduler.domain.llm import DEFAULT_TOOL_ROUNDS
from scheduler.domain.run import Runtime, RuntimeSpec
from scheduler.runtimes.base import Option, RuntimeConfig, RuntimeParts
from scheduler.runtimes.fields import BodyId
from scheduler.runtimes.llm.runtime import LlmRun

TrustName = Literal["unauthenticated", "agent", "verified", "system"]
ToolNames = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(max_length=200)]


class LlmRuntime(RuntimeConfig):
    """Thinks with a model and acts with tools. `fallback_model_id` is used when the first one fails."""

    label: ClassVar = "Language model"
    summary: ClassVar = "a language model that runs here, with tools"
    icon: ClassVar = "M0-5 1.4-1.4 5 0 1.4 1.4 0 5-1.4 1.4-5 0-1.4-1.4Z"
    docs: ClassVar = "docs/models.md"
    choices: ClassVar = MappingProxyType({"model_id": "models", "fallback_model_id": "models"})
    main_fields: ClassVar = ("model_id", "fallback_model_id", "instructions")
    options: ClassVar = (
        Option("--model-id", "model_id", "the id of the model that it uses.", metavar="ID"),
        Option(
            "--instructions",
            "instructions",
            "its instructions, in addition to its role; or @FILE.",
            "secret",
            "TEXT|@FILE",
            implies=False,
        ),
    )

    kind: Literal["llm"]
    model_id: BodyId = Field(title="Model")
    fallback_model_id: BodyId | None = Field(None, title="Fallback model")
    instructions: str = Field(
        "",
        max_length=50_000,
        title="Instructions",
        description="Its instructions, in addition to role_description.",
    )
    tool_rounds: int = Field(
        DEFAULT_TOOL_ROUNDS,
        ge=0,
        le=500,
        title="Tool rounds",
        description="The responses per run that may call tools.",
    )
    tools_by_trust: dict[TrustName, ToolNames] = Field(
        default_factory=dict,
        title="Tools by trust",
        description="The tools available to a run whose least trusted firing has that trust. Default: all.",
        examples=[{"unauthenticated": ["list_triggers"]}],
    )

    @classmethod
    def open(cls, spec: RuntimeSpec, parts: RuntimeParts) -> Runtime:
        """Returns the runtime for one run."""
        return LlmRun(spec, parts)
