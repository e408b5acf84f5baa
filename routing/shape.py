"""The declared shape of a chat request: every field we know, typed as loosely as OpenAI types it.

One declaration serves the check at the door and the published schema. Fields that are not here are
let through untouched. Rules between fields are in ``reading``.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from accounts.preferences import Preferences

MAX_MESSAGES = 10_000
MAX_TOOLS = 128  # as OpenAI
MAX_BIASES = 1024
MAX_INT32 = 2**31 - 1

# ``$`` alone would let a name end in a line break.
_END = r"$(?!\n)"

Name = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z0-9_-]{{1,64}}{_END}",
        description="строка от 1 до 64 латинских букв, цифр, знаков _ и -",
    ),
]
ModelId = Annotated[
    str,
    Meta(
        pattern=rf"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]{{1,256}}{_END}",
        description="строка от 1 до 256 символов без управляющих",
    ),
]
Text = Annotated[str, Meta(min_length=1)]
Short = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=1, le=MAX_INT32)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
JsonObject = dict[str, Any]


class _Declared(Struct, gc=False):
    """Lives for the check only; the customer's own dict is what travels on."""


# Parts of a message.


class TextPart(_Declared, tag_field="type", tag="text"):
    text: str


class RefusalPart(_Declared, tag_field="type", tag="refusal"):
    refusal: str


class ImageLink(_Declared):
    url: Text
    detail: str | None = None


class ImagePart(_Declared, tag_field="type", tag="image_url"):
    image_url: ImageLink


class FileLink(_Declared):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(_Declared, tag_field="type", tag="file"):
    file: FileLink


class Audio(_Declared):
    data: Text
    format: Text


class AudioPart(_Declared, tag_field="type", tag="input_audio"):
    input_audio: Audio


Part = TextPart | ImagePart | FilePart | AudioPart | RefusalPart
Parts = Annotated[list[Part], Meta(min_length=1)]


# Messages, told apart by their role.


class CalledFunction(_Declared):
    name: Text
    arguments: str


class ToolCall(_Declared):
    id: Text
    type: Literal["function"]
    function: CalledFunction


class _Said(_Declared, tag_field="role"):
    content: str | Parts
    name: str | None = None


class SystemMessage(_Said, tag="system"):
    pass


class DeveloperMessage(_Said, tag="developer"):
    pass


class UserMessage(_Said, tag="user"):
    pass


class AssistantMessage(_Declared, tag_field="role", tag="assistant"):
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: CalledFunction | None = None


class ToolMessage(_Declared, tag_field="role", tag="tool"):
    """A function that returns nothing has no text; its content is named all the same."""

    content: str | list[Part] | None
    tool_call_id: Text
    name: str | None = None


class FunctionMessage(_Declared, tag_field="role", tag="function"):
    name: Text
    content: str | None = None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


# Tools and the form of the answer.


class Function(_Declared):
    name: Name
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(_Declared):
    type: Literal["function"]
    function: Function


class NamedFunction(_Declared):
    name: Name


class NamedTool(_Declared, tag_field="type", tag="function"):
    function: NamedFunction


class FunctionReference(_Declared):
    type: Literal["function"]
    function: NamedFunction


class Allowed(_Declared):
    mode: Literal["auto", "required"]
    tools: Annotated[list[FunctionReference], Meta(min_length=1, max_length=MAX_TOOLS)]


class AllowedTools(_Declared, tag_field="type", tag="allowed_tools"):
    allowed_tools: Allowed


class TextFormat(_Declared, tag_field="type", tag="text"):
    pass


class JsonFormat(_Declared, tag_field="type", tag="json_object"):
    pass


class NamedSchema(_Declared):
    name: Name
    schema: JsonObject
    description: str | None = None
    strict: bool | None = None


class SchemaFormat(_Declared, tag_field="type", tag="json_schema"):
    json_schema: NamedSchema


# The rest of what has an inside.


class StreamOptions(_Declared):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Reasoning(_Declared):
    effort: Effort | None = None
    max_tokens: Count | None = None
    exclude: bool | None = None
    enabled: bool | None = None


class UsageOptions(_Declared):
    include: bool | None = None


class ChatRequest(_Declared):
    """``POST /v1/chat/completions``. Exactly one of ``messages`` and ``prompt``."""

    model: ModelId | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=MAX_MESSAGES)] | None = None
    prompt: Text | None = None
    audio: JsonObject | None = None
    frequency_penalty: Penalty | None = None
    function_call: Literal["none", "auto"] | NamedFunction | None = None
    functions: Annotated[list[Function], Meta(max_length=MAX_TOOLS)] | None = None
    logit_bias: Annotated[dict[str, Bias], Meta(max_length=MAX_BIASES)] | None = None
    logprobs: bool | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    metadata: JsonObject | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: JsonObject | None = None
    n: Count | None = None
    parallel_tool_calls: bool | None = None
    prediction: JsonObject | None = None
    presence_penalty: Penalty | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JsonObject | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: Effort | None = None
    response_format: TextFormat | JsonFormat | SchemaFormat | None = None
    safety_identifier: str | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    service_tier: str | None = None
    stop: Text | Annotated[list[Text], Meta(max_length=4)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | AllowedTools | None = None
    tools: Annotated[list[Tool], Meta(max_length=MAX_TOOLS)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Share | None = None
    user: Short | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: JsonObject | None = None
    # Fields of routers.
    provider: Preferences | None = None
    models: Annotated[list[ModelId], Meta(max_length=16)] | None = None
    route: str | None = None
    transforms: list[str] | None = None
    plugins: list[JsonObject] | None = None
    preset: str | None = None
    session_id: Short | None = None
    reasoning: Reasoning | None = None
    usage: UsageOptions | None = None
    top_k: Annotated[int, Meta(ge=0, le=MAX_INT32)] | None = None
    min_p: Share | None = None
    repetition_penalty: Annotated[float, Meta(ge=0, le=2)] | None = None
    data_class: str | None = None
    # OpenAI has it for completions only, servers of open models for chats, too.
    best_of: Count | None = None


def chat_schema() -> dict[str, Any]:
    """JSON schemas by component name for OpenAPI; ``ChatRequest`` is the request."""
    _, components = msgspec.json.schema_components([ChatRequest], ref_template="#/components/schemas/{name}")
    return components
