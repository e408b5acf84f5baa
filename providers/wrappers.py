"""An adapter around another one, for what its vendor or its model lacks and one chat asks for. Pure.

Unlike other adapters an instance serves one chat: how an answer is read depends on what was asked.
"""

from collections.abc import Mapping
from typing import Any

from providers.adapters.base import Adapter
from providers.errors import UpstreamError
from providers.prompting import form_in_words, form_of, told
from providers.wire import (
    Chat,
    ChatStream,
    Completion,
    Support,
    Target,
    Token,
    UpstreamRequest,
    UpstreamResponse,
)


class Wrapper(Adapter):
    """Does as the adapter within does. What differs is the subclasses'."""

    def __init__(self, inner: Adapter) -> None:
        super().__init__(inner.new_id)
        self._inner = inner

    def chat_request(self, chat: Chat, target: Target) -> UpstreamRequest:
        return self._inner.chat_request(chat, target)

    def chat_completion(self, response: UpstreamResponse) -> Completion:
        return self._inner.chat_completion(response)

    def chat_stream(self) -> ChatStream:
        return self._inner.chat_stream()

    def failure(self, response: UpstreamResponse) -> UpstreamError:
        return self._inner.failure(response)

    def models_request(self, target: Target) -> UpstreamRequest:
        return self._inner.models_request(target)

    def model_names(self, response: UpstreamResponse) -> list[str]:
        return self._inner.model_names(response)

    def static_authorization(self, secret: Mapping[str, Any]) -> str | None:
        return self._inner.static_authorization(secret)

    def token_request(
        self, secret: Mapping[str, Any], auth_url: str, *, now: float, request_id: str
    ) -> UpstreamRequest:
        return self._inner.token_request(secret, auth_url, now=now, request_id=request_id)

    def token(self, response: UpstreamResponse, *, now: float) -> Token:
        return self._inner.token(response, now=now)

    def supports(self, field: str) -> Support:
        return self.FIELDS.get(field) or self._inner.supports(field)


class EmulatedForm(Wrapper):
    """JSON and JSON by a schema where the model is not made to keep to them: the prompt asks for it.

    What stands around the JSON all the same, fences and chatter, stays in the answer.
    """

    FIELDS = {"response_format": Support.EMULATED}

    def chat_request(self, chat: Chat, target: Target) -> UpstreamRequest:
        if not form_of(chat):
            return self._inner.chat_request(chat, target)
        may_call = bool(chat.get("tools")) and chat.get("tool_choice") != "none"
        plain = {name: value for name, value in chat.items() if name != "response_format"}
        words = "\n".join(form_in_words(chat, may_call=may_call))
        return self._inner.chat_request(told(plain, words), target)
