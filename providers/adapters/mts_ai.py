"""MTS AI: MWS GPT Model Hub, the strictest of the OpenAI dialects. Options as in ``openai``.

Unknown or contradictory fields are refused there, so only documented ones are sent. ``model`` is the name
of a deployment in the project. Errors carry symbolic codes; texts change, codes do not.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from providers.adapters.kinds import WORD, Kind
from providers.adapters.openai import OpenAI
from providers.adapters.openai_errors import CODES, Codes
from providers.adapters.openai_request import require
from providers.errors import ContextTooLong, DeadCredential, Misconfigured, Rejected
from providers.wire import Chat, Support, Target

DOCUMENTED = (
    *("model", "messages", "temperature", "max_tokens", "max_completion_tokens", "stream", "stream_options"),
    *("tools", "tool_choice", "response_format", "reasoning_effort"),
)


class MtsAI(OpenAI):
    """Documented fields only, symbolic error codes, ``<think>`` in the text of some deployments."""

    FIELDS: ClassVar[Mapping[str, Support]] = {
        **dict.fromkeys(DOCUMENTED, Support.EXACT),
        "reasoning": Support.EMULATED,  # as reasoning_effort
        "n": Support.REFUSED,
        "stop": Support.EMULATED,  # the router ends the answer there
    }
    # Nothing but the model and the texts is documented there.
    TEXT_FIELDS: ClassVar[tuple[str, ...]] = ()
    SECRETS: ClassVar[tuple[Mapping[str, Kind], ...]] = ({"api_key": WORD},)
    CODES: ClassVar[Codes] = {
        **CODES,
        "UNAUTHORIZED": DeadCredential,
        "ACCESS_DENIED": DeadCredential,
        "PROJECT_BLOCKED": DeadCredential,
        "PROJECT_NOT_FOUND": Misconfigured,
        "BASEPATH_NOT_FOUND": Misconfigured,
        "DEPLOYMENT_NOT_FOUND": Misconfigured,
        "VALIDATION_FAILED": Misconfigured,  # the deployment is switched off
        "MODEL_DEPRECATED": Misconfigured,
        "UNSUPPORTED_ACTION": Misconfigured,
        "TOOL_CALLING_UNSUPPORTED": Rejected,
        "REASONING_UNSUPPORTED": Rejected,
        "INVALID_PARAMETER_COMBINATION": Rejected,
        "MAX_TOKENS_EXCEEDED": ContextTooLong,
    }
    MAX_TOKENS_FIELD = "max_completion_tokens"
    THINKS_IN_TEXT = True

    def body(self, chat: Chat, target: Target) -> dict[str, Any]:
        """Raises Rejected for tools where the deployment has none: the vendor would refuse them anyway."""
        if chat.get("tools"):
            require("tools", target)
        return super().body(chat, target)
