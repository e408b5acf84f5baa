"""What is tried, and where: the rows and the columns of the table, and what an endpoint needs for a row.

The command and the suite know no others.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """One row. ``needs``: what the endpoint's matrix of capabilities has to promise."""

    name: str
    title: str
    needs: tuple[str, ...] = ()
    of_vectors: bool = False  # asked of the provider's model of vectors; ``needs`` are of its matrix


@dataclass(frozen=True)
class Column:
    """One model of one provider. ``family``: the twin that plays it."""

    title: str
    model: str
    family: str


CALLS = ("tools",)
CHOICE = ("tools", "tool_choice")

COLUMNS = (
    Column("GigaChat", "gigachat/pro", "gigachat"),
    Column("YandexGPT", "yandexgpt/pro", "yandexgpt"),
    Column("YandexGPT Lite, tools by prompt", "yandexgpt/lite", "yandexgpt"),
    Column("MTS AI", "mts-ai/cotype-pro", "mts-ai"),
    Column("GEN-T", "gen-t/t-pro", "gen-t"),
    Column("OpenAI-compatible host", "host/model", "openai"),
)
# Where features are tried for which it does not matter who answers.
ANYWHERE = COLUMNS[3]

FEATURES = (
    Feature("chat", "A chat"),
    Feature("stream", "A stream", ("stream",)),
    Feature("stream_usage", "`usage` at the end of a stream", ("stream", "stream_options")),
    Feature("cancel", "Leaving a stream ends it at the provider", ("stream",)),
    Feature("broken_stream", "A stream that breaks raises after what was said", ("stream",)),
    Feature("unicode", "Emoji and rare scripts, whole and streamed", ("stream",)),
    Feature("roles", "Roles `system` and `developer`"),
    Feature("parts", "Content in parts", ("messages[].content[].text",)),
    Feature("history", "A history of 120 messages"),
    Feature("tool", "A tool is called", CALLS),
    Feature("tool_results", "Several calls and their results in the history", CALLS),
    Feature("tool_required", "`tool_choice: required`", CHOICE),
    Feature("tool_required_of_two", "`tool_choice: required`, with two tools", CHOICE),
    Feature("tool_named", "`tool_choice` names a tool", CHOICE),
    Feature("tool_none", "`tool_choice: none`", CHOICE),
    Feature("stream_tool", "A call in a stream", ("stream", *CALLS)),
    Feature("tools_at_once", "Two calls in one answer, whole and streamed", ("stream", *CALLS)),
    Feature("schema", "An answer by a JSON schema", ("response_format.json_schema",)),
    Feature("schema_by_tool", "An answer by a schema, as the arguments of a tool", CHOICE),
    Feature("reask", "An answer that does not fit is asked for anew, with its history", CHOICE),
    Feature("json_object", "`response_format: json_object`", ("response_format.json_object",)),
    Feature("stop", "`stop`, whole and streamed", ("stop",)),
    Feature("max_tokens", "`max_tokens`", ("max_tokens",)),
    Feature("max_completion_tokens", "`max_completion_tokens`", ("max_completion_tokens",)),
    Feature("sampling", "Temperature, seed and penalties are accepted, what is dropped is named"),
    Feature("reasoning", "`reasoning_effort`, and the thoughts apart from the answer", ("reasoning_effort",)),
    Feature("completion", "`/v1/completions`"),
    Feature("completion_stream", "`/v1/completions`, streamed", ("stream",)),
    Feature("embedding", "A vector as the client asks for it by itself", of_vectors=True),
    Feature("embedding_float", "Vectors as numbers", ("encoding_format",), of_vectors=True),
    Feature("embedding_array", "Many texts, in their order", ("input",), of_vectors=True),
    Feature("dimensions", "`dimensions`", ("dimensions",), of_vectors=True),
    Feature("request_id", "The request's id"),
    Feature("raw", "The raw answer and its headers"),
    Feature("timeout", "The client's own time-out"),
    Feature("provider_error", "A provider that fails: 502"),
    Feature("rejected", "A provider that rejects: 400"),
)
# Whoever answers: nobody is asked, or it does not matter who.
COMMON = (
    Feature("models", "The list of models"),
    Feature("model", "One model by its name"),
    Feature("invalid_key", "A wrong key: 401"),
    Feature("no_money", "No money: 402"),
    Feature("unknown_model", "An unknown model: 404"),
    Feature("bad_field", "A wrong field: 400"),
    Feature("limit", "Too many requests: 429 with Retry-After"),
    Feature("limit_waited", "After a 429 the client waits and is answered"),
    Feature("retry", "After a provider's 503 the client tries again and is answered"),
)

# What a vendor cannot do, nor XRouter for it, by (feature, model). The page shows it; where it works all the
# same the run fails, so that nothing stays here longer than it is true.
KNOWN = {
    ("tools_at_once", "gigachat/pro"): "GigaChat calls one function in an answer at most",
}

# What endpoints here do not have, by (feature, model): no other cell is left out, whatever the server says.
OF_VECTORS = {feature.name for feature in FEATURES if feature.of_vectors}
LACKING = {
    *(("reasoning", column.model) for column in COLUMNS if column.model != "gen-t/t-pro"),
    *(("dimensions", column.model) for column in COLUMNS if column.model != "host/model"),
    *((name, "gen-t/t-pro") for name in OF_VECTORS),
}


def rows(column: Column) -> tuple[Feature, ...]:
    """What is tried at this model."""
    return FEATURES + COMMON if column is ANYWHERE else FEATURES
