"""The first request to one model, in several languages; the key comes from the environment. Pure."""

from billing.snippets import Snippet, snippets

NAMED = "gigachat/lite"  # the model that the ordinary snippets ask
KEY = "$XROUTER_API_KEY"
# How a language reads its environment, and what stands before its first line. A shell does it by itself.
READ = {
    "python": ('os.environ["XROUTER_API_KEY"]', "import os\n\n"),
    "langchain": ('os.environ["XROUTER_API_KEY"]', "import os\n\n"),
    "node": ("process.env.XROUTER_API_KEY", ""),
    "java": ('System.getenv("XROUTER_API_KEY")', ""),
    "go": ('os.Getenv("XROUTER_API_KEY")', ""),
}


def chat_snippets(base: str, model: str, hello: str) -> list[Snippet]:
    return [_reading(each, model) for each in snippets(base, KEY, hello)]


def _reading(snippet: Snippet, model: str) -> Snippet:
    code = snippet.code.replace(NAMED, model)
    if snippet.name in READ:
        read, before = READ[snippet.name]
        code = before + code.replace(f'"{KEY}"', read)
    return snippet._replace(code=code)


def vector_snippets(base: str, model: str, text: str) -> list[Snippet]:
    curl = f"""curl {base}/embeddings \\
  -H "Authorization: Bearer {KEY}" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "input": "{text}"}}'"""
    python = f"""import os

from openai import OpenAI

client = OpenAI(base_url="{base}", api_key=os.environ["XROUTER_API_KEY"])
answer = client.embeddings.create(model="{model}", input="{text}")
print(answer.data[0].embedding)"""
    return [Snippet("curl", "curl", curl), Snippet("Python, pip install openai", "python", python)]
