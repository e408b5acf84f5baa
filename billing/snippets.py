"""The first request in several languages, with a key in its place, to be copied and run."""

from collections.abc import Callable
from typing import NamedTuple


class Snippet(NamedTuple):
    title: str
    name: str  # of the element on the page
    code: str


Written = Callable[[str, str, str], str]


def _curl(base: str, key: str, hello: str) -> str:
    return f"""curl {base}/chat/completions \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "gigachat/lite", "messages": [{{"role": "user", "content": "{hello}"}}]}}'"""


def _python(base: str, key: str, hello: str) -> str:
    return f"""from openai import OpenAI

client = OpenAI(base_url="{base}", api_key="{key}")
completion = client.chat.completions.create(
    model="gigachat/lite",
    messages=[{{"role": "user", "content": "{hello}"}}],
)
print(completion.choices[0].message.content)"""


def _node(base: str, key: str, hello: str) -> str:
    return f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{base}", apiKey: "{key}" }});
const completion = await client.chat.completions.create({{
  model: "gigachat/lite",
  messages: [{{ role: "user", content: "{hello}" }}],
}});
console.log(completion.choices[0].message.content);"""


def _java(base: str, key: str, hello: str) -> str:
    return f"""OpenAIClient client = OpenAIOkHttpClient.builder()
    .baseUrl("{base}")
    .apiKey("{key}")
    .build();
var completion = client.chat().completions().create(
    ChatCompletionCreateParams.builder()
        .model("gigachat/lite")
        .addUserMessage("{hello}")
        .build());
System.out.println(completion.choices().get(0).message().content().orElse(""));"""


def _go(base: str, key: str, hello: str) -> str:
    return f"""client := openai.NewClient(
	option.WithBaseURL("{base}/"),
	option.WithAPIKey("{key}"),
)
completion, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{{
	Model:    "gigachat/lite",
	Messages: []openai.ChatCompletionMessageParamUnion{{openai.UserMessage("{hello}")}},
}})"""


def _langchain(base: str, key: str, hello: str) -> str:
    return f"""from langchain_openai import ChatOpenAI

model = ChatOpenAI(base_url="{base}", api_key="{key}", model="gigachat/lite")
print(model.invoke("{hello}").content)"""


def _curl_keys(base: str, key: str, _hello: str) -> str:
    return f"""curl {base}/keys \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"label": "worker-1", "limit": 100, "limit_reset": "monthly"}}'"""


def _python_keys(base: str, key: str, _hello: str) -> str:
    return f"""import requests

made = requests.post(
    "{base}/keys",
    headers={{"Authorization": "Bearer {key}"}},
    json={{"label": "worker-1", "limit": 100, "limit_reset": "monthly"}},
    timeout=30,
)
print(made.json()["key"])"""


WRITTEN: dict[str, tuple[str, Written]] = {
    "curl": ("curl", _curl),
    "python": ("Python, pip install openai", _python),
    "node": ("Node.js, npm install openai", _node),
    "langchain": ("LangChain, pip install langchain-openai", _langchain),
    "java": ("Java, com.openai:openai-java", _java),
    "go": ("Go, github.com/openai/openai-go", _go),
}

MANAGING: dict[str, tuple[str, Written]] = {
    "curl": ("curl", _curl_keys),
    "python": ("Python, pip install requests", _python_keys),
}


def snippets(base: str, key: str, hello: str, *, manages: bool = False) -> list[Snippet]:
    """``base``: the address of the API, ``hello``: what is asked; neither has quotes in it.

    ``manages``: whether it is a management key, with which other things are done.
    """
    written = MANAGING if manages else WRITTEN
    return [Snippet(title, name, code(base, key, hello)) for name, (title, code) in written.items()]
