"""The record of a request: who asked what, who answered, what it took. Pure; written by the teller."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.money import Micro
from billing.pricing import FREE, Price

# What others have said: customers, vendors.
TOLD = (
    *("client_request_id", "session_id", "user", "model_requested", "model", "provider", "upstream_model"),
    *("error_type", "finish_reason", "native_finish_reason"),
)


@dataclass(slots=True)
class GenerationRecord:
    """A row of ``billing_generation``; the names are the columns'. Times in milliseconds."""

    id: UUID
    client_id: int
    key_id: int
    created_at: datetime
    request_id: str
    model_requested: str
    streamed: bool
    is_test: bool
    client_request_id: str = ""
    session_id: str = ""
    user: str = ""
    model: str = ""
    provider: str = ""
    upstream_model: str = ""
    status: str = "failed"  # ok, failed or cancelled
    cancelled: bool = False
    http_status: int = 0
    error_type: str = ""
    finish_reason: str = ""
    native_finish_reason: str = ""
    tokens_prompt: int = 0
    tokens_completion: int = 0
    tokens_cached: int = 0
    tokens_reasoning: int = 0
    usage_source: str = "none"  # provider, estimated or none
    first_token_ms: int | None = None
    duration_ms: int = 0
    upstream_ms: int | None = None
    overhead_ms: float | None = None
    cost: Micro = 0  # what the usage costs; the ledger charges no more of it than is on hold
    own_cost: Micro = 0  # what the provider takes from us for it
    price: Price = FREE  # in force at admission
    attempts: list[dict[str, Any]] = field(default_factory=list)
    dropped_fields: list[str] = field(default_factory=list)
    # How the answer was to be drawn, as far as the provider was told.
    temperature: float | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    route: dict[str, Any] | None = None  # how it was decided who would answer

    def without_texts(self) -> "GenerationRecord":
        """The money alone, for a row whose words the database does not take."""
        return replace(
            self,
            **dict.fromkeys(TOLD, ""),
            request_id=self.request_id.encode("ascii", "replace").decode().replace("\0", "?"),
            tokens_prompt=0,
            tokens_completion=0,
            tokens_cached=0,
            tokens_reasoning=0,
            attempts=[],
            dropped_fields=[],
            route=None,
        )
