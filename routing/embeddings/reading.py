"""The customer's request for vectors: its declared shape, and bytes -> texts or a BadRequest. Pure."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from accounts.misfit import misfit
from accounts.preferences import Preferences
from providers.wire import Texts
from routing.errors import BadRequest
from routing.reading import read_object
from routing.shape import ModelId, Short, Text

MAX_TEXTS = 2048  # as OpenAI
# Wider than any model's vectors.
WIDEST = 65_536

TOKENS = (
    "Поле input: нужны тексты, а не токены: у каждой модели свой словарь, "
    "и чужие токены в текст не перевести."
)
ONE_MODEL = (
    "Поле models: векторы разных моделей нельзя сравнивать, поэтому запасных моделей здесь не бывает. "
    "Укажите одну в поле model."
)


class EmbeddingsRequest(Struct, gc=False):
    """``POST /v1/embeddings``. ``input_type`` says what the texts are for, where a model minds.

    ``dimensions``: how many numbers a vector is to have, for models that can change it.
    """

    model: ModelId
    input: Text | Annotated[list[Text], Meta(min_length=1, max_length=MAX_TEXTS)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=WIDEST)] | None = None
    input_type: Literal["query", "document", "search_query", "search_document"] | None = None
    user: Short | None = None
    provider: Preferences | None = None


def read_texts(body: bytes) -> Texts:
    """The request in ``body``, its ``input`` as a list. Raises TooManyBytes or BadRequest."""
    asked = read_object(body)
    if _has_tokens(asked.get("input")):
        raise BadRequest(TOKENS, param="input")
    try:
        msgspec.convert(asked, EmbeddingsRequest)
    except msgspec.ValidationError as exc:
        found = misfit(EmbeddingsRequest, asked, exc)
        raise BadRequest(found.said, param=found.field) from None
    if asked.get("models") is not None:
        raise BadRequest(ONE_MODEL, param="models")
    texts = asked["input"]
    return {**asked, "input": [texts]} if isinstance(texts, str) else asked


def _has_tokens(texts: Any) -> bool:
    """Whether these are numbers of a vocabulary, of one text or of several."""
    return isinstance(texts, list) and bool(texts) and type(texts[0]) in {int, list}
