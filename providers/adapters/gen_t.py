"""GEN-T: T-Lite and T-Pro on a vLLM, SGLang or llama.cpp server, or at a cloud that hosts the weights.

Options as in ``openai``, and ``thinking`` (true or false): what a request that says nothing of reasoning
gets; left out, the model decides. A host that refuses ``chat_template_kwargs`` has it in ``drop_fields``.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from providers.adapters.kinds import SWITCH, Kind
from providers.adapters.openai import OpenAI
from providers.adapters.openai_request import require
from providers.reasoning import effort_of
from providers.thinking import split
from providers.wire import Chat, Support, Target


class GenT(OpenAI):
    """Thinking is a switch of the chat template, thoughts leave the text, the system message comes first."""

    FIELDS: ClassVar[Mapping[str, Support]] = {
        **OpenAI.FIELDS,
        # The model thinks or does not: all levels but "none" mean the same.
        "reasoning_effort": Support.EMULATED,
        "reasoning": Support.EMULATED,
    }
    OPTIONS: ClassVar[Mapping[str, Kind]] = {**OpenAI.OPTIONS, "thinking": SWITCH}
    EFFORT_FIELD = "chat_template_kwargs"
    THINKS_IN_TEXT = True

    def body(self, chat: Chat, target: Target) -> dict[str, Any]:
        """Raises Rejected for tools where the model was not trained for them."""
        if chat.get("tools"):
            require("tools", target)
        body = super().body(chat, target)
        body["messages"] = _system_first([_without_thoughts(message) for message in body["messages"]])
        thinks = _thinks(chat, target)
        if thinks is not None:
            body["chat_template_kwargs"] = {**body.get("chat_template_kwargs", {}), "enable_thinking": thinks}
        return body


def _thinks(chat: Chat, target: Target) -> bool | None:
    """The customer's word, else the endpoint's; None leaves it to ``chat_template_kwargs`` and the model."""
    level = effort_of(chat)
    if level and "reasoning" in target.features:
        return level != "none"
    return None if chat.get("chat_template_kwargs") else target.options.get("thinking")


def _without_thoughts(message: dict[str, Any]) -> dict[str, Any]:
    """Earlier thoughts only take up context: the model was trained without them in the history."""
    if message["role"] != "assistant" or not isinstance(message["content"], str):
        return message
    return {**message, "content": split(message["content"])[1]}


def _system_first(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One system message at the start, made of all there are: the chat template knows no other place."""
    system = [message for message in messages if message["role"] == "system"]
    if not system or (len(system) == 1 and messages[0] is system[0]):
        return messages
    first = {"role": "system", "content": "\n\n".join(_text(message["content"]) for message in system)}
    return [first, *(message for message in messages if message["role"] != "system")]


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""
