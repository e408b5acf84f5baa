"""What is smuggled into a good request: fields and headers that other routers obey, templates, addresses to
be fetched, names that are paths. It is taken literally, or refused; nothing of it is done.
"""

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.e2e.installation import Installation, Server, Twins, leaked, wait_until
from tests.e2e.market import new_client
from tests.e2e.raw import one, request
from tests.e2e.stage import WIRES
from tests.e2e.talk import PATH, Heard, ask, chat, post

# --- Fields that other routers obey ---------------------------------------------------------------------

# What may come to a provider: what its documents name, and our ways of bringing effects about.
KNOWN = {
    "openai": {"model", "messages", "stream", "stream_options", "max_tokens", "temperature"},
    "gen-t": {"model", "messages", "stream", "stream_options", "max_tokens", "temperature"},
    "mts-ai": {"model", "messages", "stream", "stream_options", "max_completion_tokens", "temperature"},
    "gigachat": {"model", "messages", "stream", "max_tokens", "temperature"},
    "yandexgpt": {"modelUri", "messages", "completionOptions"},
}
HEADERS_KNOWN = {
    *("host", "accept", "accept-encoding", "authorization", "content-type", "content-length", "user-agent"),
    *(
        "x-xrouter-hop",
        "rquid",
        "x-session-id",
        "x-folder-id",
        "x-data-logging-enabled",
        "x-client-request-id",
    ),
}


def smuggled(bait: str) -> dict[str, Any]:
    """Fields by which other routers are told where to send a request, and as whom."""
    one = {
        **dict.fromkeys(
            ("api_base", "base_url", "proxy", "proxies", "endpoint", "url", "azure_endpoint"), bait
        ),
        **dict.fromkeys(("api_key", "organization", "mock_response", "api_version"), "smuggled"),
        **{name: {"x-smuggled": "1"} for name in ("extra_headers", "headers", "extra_body")},
        "custom_llm_provider": "openai",
        "timeout": 0.001,
        "num_retries": 50,
    }
    deployments = [{"model_name": "x", "litellm_params": one}]
    return {
        **one,
        "model_list": deployments,
        "fallbacks": [one],
        "metadata": {**one, "nested": [{"deep": one}]},
        "litellm_params": one,
        "provider_options": one,
        "config": {"targets": [one]},
        "litellm_metadata": one,
    }


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("wire", WIRES)
def test_fields_that_other_routers_obey_do_nothing(
    express: Server, key: str, twins: Twins, others: Twins, wire: str, is_streamed: bool
):
    bait = f"{others.url}/__bait/{wire}"
    tag = f"smuggled-{wire}-{is_streamed}"
    body = chat(f"solo/{wire}", f"[[tag={tag}]]Привет", stream=is_streamed, temperature=0.5, max_tokens=20)
    body["messages"][0] |= smuggled(bait)

    heard = ask(express, key, {**smuggled(bait), **body})

    [entry] = twins.journal(tag)
    assert (heard.status, heard.provider) == (200, f"a-{wire}")
    assert "smuggled" not in heard.text
    assert set(entry["fields"]) <= KNOWN[wire]
    assert others.control("GET", "/__summary")["bait_hits"] == 0


HEADERS_OF_OTHERS = {
    **dict.fromkeys(("x_portkey_custom_host", "x_custom_host", "x_upstream_url", "x_base_url"), "{bait}"),
    **dict.fromkeys(("x_litellm_api_base", "x_forwarded_host", "x_original_url", "destination"), "{bait}"),
    **dict.fromkeys(("x_portkey_api_key", "x_litellm_api_key", "x_goog_api_key", "api_key"), "smuggled"),
    "x_portkey_provider": "openai",
    "openai_organization": "smuggled",
    "Forwarded": "for=10.1.2.3;host=evil.example",
    "Via": "1.1 evil.example",
}


@pytest.mark.parametrize("wire", WIRES)
def test_headers_that_other_routers_obey_do_nothing(
    door: Server, key: str, twins: Twins, others: Twins, wire: str
):
    headers = {name: value.format(bait=f"{others.url}/__bait/h") for name, value in HEADERS_OF_OTHERS.items()}
    tag = f"headers-{wire}-{door.root[-5:]}"

    heard = ask(door, key, chat(f"solo/{wire}", f"[[tag={tag}]]Привет"), **headers)

    [entry] = twins.journal(tag)
    assert (heard.status, heard.provider) == (200, f"a-{wire}")
    assert set(entry["header_names"]) <= HEADERS_KNOWN
    assert others.control("GET", "/__summary")["bait_hits"] == 0


@pytest.mark.parametrize("wire", WIRES)
def test_nothing_of_who_asks_reaches_a_provider(express: Server, key: str, twins: Twins, wire: str):
    who = ["ivan@example.test", "session-4711", "198.51.100.7", "sid-4711", "agent-4711", "page-4711"]
    fields = dict.fromkeys(("user", "safety_identifier", "prompt_cache_key"), "ivan@example.test")
    body = chat(f"solo/{wire}", "Привет", **fields, session_id="session-4711", metadata={"e": who[0]})
    if wire == "openai":
        post(express, key, {"model": "vectors/openai", "input": "Привет", **fields}, path="/v1/embeddings")

    for is_streamed in (False, True):
        heard = ask(
            express,
            key,
            {**body, "stream": is_streamed, "store": True},
            Cookie="sid=sid-4711",
            X_Forwarded_For="198.51.100.7",
            Forwarded="for=198.51.100.7",
            User_Agent="agent-4711",
            Referer="https://page-4711.example",
            X_Request_Id="session-4711",
            Idempotency_Key="session-4711",
        )
        assert heard.status == 200

    assert leaked(twins, [key, key[8:], *who]) == []


# --- A provider that is ourselves -----------------------------------------------------------------------


def test_a_provider_whose_address_is_our_own_is_asked_once(installation: Installation, key: str):
    server = installation.start_web("circle")
    client = new_client(installation)
    installation.run(["-c", CIRCLE, server.base_url, client.key], DJANGO_SETTINGS_MODULE=SETTINGS)

    def question(*, is_streamed: bool) -> Heard:
        return ask(server, client.key, chat("circle/own", "Привет", stream=is_streamed))

    assert wait_until(lambda: question(is_streamed=False).status != 404)
    before = len(client.records())
    heard = [question(is_streamed=is_streamed) for is_streamed in (False, True)]

    assert {(one.status, one.code, one.attempts) for one in heard} == {(502, "provider_unavailable", 1)}
    assert wait_until(lambda: len(client.records()) == before + 2)
    assert (client.charges(), client.wallet()["held"]) == ([], 0)


SETTINGS = "xrouter.settings"
# As an operator does by mistake, with a key of his own installation for a credential.
CIRCLE = """
import sys, django; django.setup()
from routing.models import Model
from tests import builders
url, key = sys.argv[1:]
provider = builders.make_provider("circle", adapter="openai", base_url=url)
builders.make_credential(provider, {"api_key": key})
model = builders.make_model("circle/own", tariff=Model.objects.get(slug="solo/openai").tariff)
builders.make_endpoint(model, provider, upstream_name="circle/own", circuit="closed")
"""

# --- Templates and odd characters -----------------------------------------------------------------------

TEMPLATES = [
    *("{{7*7}}", "{% debug %}", "${jndi:ldap://127.0.0.1/x}", "#{7*7}", "<%= 7*7 %>", "{0.__class__}"),
    *(
        "{self}",
        "%(secret)s",
        "%s%n%x",
        "__import__('os').system('id')",
        "$(id)",
        "`id`",
        "'; DROP TABLE x; --",
    ),
    *(
        "<script>alert(1)</script>",
        "=cmd|' /C calc'!A0",
        "../../etc/passwd",
        "\\u0041",
        "\u202eтекст",
        "a\r\nb: c",
    ),
]


def test_templates_are_text(installation: Installation, express: Server):
    client = new_client(installation)
    text = " ".join(TEMPLATES)

    heard = ask(express, client.key, chat("slow/openai", f"[[echo]]{text}", user=text[:256]))

    record = installation.generation(heard.generation)
    assert (heard.status, heard.text) == (200, text)
    assert record["user"] == text[:256]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_for_a_models_name_is_an_unknown_name(express: Server, key: str, template: str):
    answer = post(express, key, chat(template, "Привет"))

    assert answer.status_code in {400, 404}
    assert "49" not in answer.json()["error"]["message"]


ODD = {
    "combining marks": "е" + "\u0301" * 100_000,
    "another direction": "\u202e\u2066текст\u2069",
    "private and unassigned": "\ue000\U000e0001\U0010ffff\uffff",
    "joined": "👩‍👩‍👧‍👦" * 100,
    "controls": "\x01\x02\x1b[31m\x7f\x85",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_characters_come_through_and_are_recorded(
    installation: Installation, door: Server, key: str, text: str
):
    tool = {
        "type": "function",
        "function": {"name": "f", "description": text, "parameters": {"type": "object"}},
    }
    body = chat(
        "slow/openai", f"[[echo]]{text}", user=text[:256], metadata={text[:50]: text[:500]}, tools=[tool]
    )
    body["session_id"] = text[:256]

    said = "".join(filter(str.isprintable, text[:100])).encode().decode("latin-1")
    heard = ask(door, key, body, X_Request_Id=said)

    record = installation.generation(heard.generation)
    assert (heard.status, heard.text) == (200, text)
    assert record["user"] == text[:256]


BROKEN = {
    "NUL": "\\u0000",
    "half a pair": "\\ud800",
    "the other half": "\\udfff\\ud800",
}
PLACES = {
    "content": '"messages": [{"role": "user", "content": "@"}]',
    "part": '"messages": [{"role": "user", "content": [{"type": "text", "text": "@"}]}]',
    "model": '"model": "@"',
    "user": '"user": "@"',
    "metadata": '"metadata": {"@": "@"}',
    "a tool's name": '"tools": [{"type": "function", "function": {"name": "@"}}]',
    "a tool's schema": '"tools": [{"type": "function", "function": {"name": "f", "parameters": {"@": 1}}}]',
    "an unknown field": '"x": {"y": ["@"]}',
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_what_cannot_be_written_down_is_refused_wherever_it_stands(
    door: Server, key: str, place: str, broken: str
):
    said = json.dumps(chat("solo/openai", "Привет"))[:-1] + ", " + place.replace("@", f"a{broken}b") + "}"

    answer = post(door, key, said.encode())

    assert answer.status_code == 400
    assert answer.json()["error"]["metadata"]["error_type"] == "invalid_request"


def test_bytes_that_are_no_text_are_refused_in_queries_and_ignored_in_headers(express: Server, key: str):
    login = f"Authorization: Bearer {key}"

    ids = ["%00", "%ff%fe", "%ed%a0%80", "gen-%00", "%25", "a" * 8_000, "%F0%9F%92%A9", "a%0d%0ab"]
    queries = [one(express, request(f"/v1/generation?id={each}", login)) for each in ids]
    headers = one(express, request("/v1/key", login, "X-Request-Id: \xff\xfe", "X-Title: \xed\xa0\x80"))

    assert {(reply.status, reply.kind) for reply in queries} == {(404, "generation_not_found")}
    assert headers.status == 200


# --- Names that are paths -------------------------------------------------------------------------------

NAMES = [
    *(
        "../../x",
        "..%2f..%2fx",
        "gpt://other-folder/yandexgpt/latest",
        "gpt://b1ge2ee2ee2ee2ee2ee0/yandexgpt",
    ),
    *(
        "a b",
        "a\r\nX-Evil: 1",
        "a\nb",
        "x" * 10_000,
        "%00",
        "a\tb",
        "solo//openai",
        "solo/openai\u2028",
        "./solo",
    ),
    *(
        "http://127.0.0.1:1/x",
        "//evil.example/x",
        "solo/openai?x=1",
        "solo/openai#x",
        "solo\\openai",
        "*",
        "%",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_models_name_is_looked_up_and_never_put_into_an_address(
    express: Server, key: str, twins: Twins, name: str
):
    before = len(twins.journal())

    asked = [
        post(express, key, chat(name, "Привет")),
        post(express, key, {"model": "solo/openai", "models": [name]}),
    ]
    asked.append(post(express, key, {"model": name, "input": "Привет"}, path="/v1/embeddings"))
    read = [
        requests.get(f"{express.root}/v1/{where}", timeout=30)
        for where in (f"models/{quote(name, safe='')}", f"parameters/{quote(name, safe='')}")
    ]

    assert asked[0].status_code in {400, 404}
    assert {answer.status_code for answer in asked + read} <= {400, 404}
    assert all("x-evil" not in answer.headers for answer in asked + read)
    assert len(twins.journal()) == before


# --- Addresses to be fetched ----------------------------------------------------------------------------

LOOPBACK = [
    *(
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "127.0.0.1.nip.io@0",
    ),
    *("[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "127.0.0.1.", "LOCALHOST", "①②⑦.⓪.⓪.①"),
]
ELSEWHERE = [
    *(
        "https://169.254.169.254/latest/meta-data/",
        "https://metadata.google.internal/",
        "https://100.64.0.1/",
    ),
    *("file:///etc/passwd", "FILE:///etc/passwd", "gopher://example.com/", "ftp://example.com/x.png"),
    *("jar:https://example.com!/x", "https://user:secret@example.com/x.png", "https://example.com:22/x.png"),
    *(
        "https://example.com:6379/x.png",
        "https://example.com:5432/",
        "http://example.com/x.png",
        "data:text/html,x",
    ),
    *("data:image/svg+xml;base64,PHN2Zz4=", "//example.com/x.png", "dict://x/", "ldap://x/", "unix:/tmp/x"),
]


def picture(model: str, url: str, **fields: Any) -> dict[str, Any]:
    body = chat(model, "Что тут?", **fields)
    parts = [{"type": "text", "text": "Что тут?"}, {"type": "image_url", "image_url": {"url": url}}]
    body["messages"][0]["content"] = parts
    return body


def document(model: str, url: str) -> dict[str, Any]:
    body = chat(model, "Что тут?")
    body["messages"][0]["content"] = [{"type": "file", "file": {"file_data": url, "filename": "x.pdf"}}]
    return body


@pytest.fixture(scope="module")
def seer(installation: Installation) -> str:
    """A model that takes pictures, as an address, at a provider that fetches nothing."""
    script = (
        "import django; django.setup(); from routing.models import Endpoint; "
        "Endpoint.objects.filter(model__slug='solo/openai').update(features=['streaming', 'vision'])"
    )
    installation.run(["-c", script], DJANGO_SETTINGS_MODULE=SETTINGS)
    return "solo/openai"


def test_addresses_inside_are_refused_and_nobody_goes_there(
    door: Server, key: str, seer: str, twins: Twins, others: Twins
):
    before = len(twins.journal())
    baits = [
        f"{scheme}://{host}:{others.port}/__bait/x.png" for host in LOOPBACK for scheme in ("http", "https")
    ]
    told = {}

    for url in baits + ELSEWHERE:
        for body in (picture(seer, url), document(seer, url)):
            answer = post(door, key, body)
            told[url] = answer.status_code
            assert others.url not in answer.text

    assert {url for url, status in told.items() if status != 400} == set()
    assert len(twins.journal()) == before
    assert others.control("GET", "/__summary")["bait_hits"] == 0


@pytest.fixture(scope="module")
def watched(installation: Installation, key: str, name_server: socket.socket) -> Server:
    """A web process whose questions for names of ``.silent.test`` are heard."""
    path = str(Path(__file__).parent / "silence")
    port = str(name_server.getsockname()[1])
    return installation.start_web("watched", PYTHONPATH=path, SILENT_PORT=port)


def test_public_addresses_are_passed_on_and_fetched_by_nobody_here(
    watched: Server, key: str, seer: str, twins: Twins, name_server: socket.socket
):
    """So neither redirects nor names that change their address nor endless pictures concern us."""
    url = "https://rebind.8-8-8-8.127-0-0-1.silent.test/302?to=http://127.0.0.1/x.png"
    heard = [ask(watched, key, picture(seer, url, stream=is_streamed)) for is_streamed in (False, True)]

    assert [one.status for one in heard] == [200, 200]
    assert len(leaked(twins, [url])) == 2
    with pytest.raises(BlockingIOError):
        name_server.recv(512)


def test_a_prompt_full_of_addresses_is_a_prompt(express: Server, key: str, others: Twins):
    link = f"![x]({others.url}/__bait/{{}}) <img src={others.url}/__bait/{{}}>"
    text = " ".join(link.format(number, number) for number in range(500))

    heard = ask(express, key, chat("slow/openai", f"[[echo]]{text}", max_tokens=8_192))

    assert heard.status == 200
    assert text.startswith(heard.text) and len(heard.text) > 10_000
    assert others.control("GET", "/__summary")["bait_hits"] == 0


@pytest.mark.parametrize("wire", WIRES)
def test_a_picture_over_the_limit_of_a_body_is_too_large(express: Server, key: str, wire: str):
    answer = post(express, key, picture(f"solo/{wire}", "data:image/png;base64," + "A" * 3_000_000))

    assert answer.status_code == 413


# --- Schemas that are traps -----------------------------------------------------------------------------

TRAPS: dict[str, dict[str, Any]] = {
    "a loop of references": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
    },
    "a reference to all": {"type": "object", "properties": {"a": {"$ref": "#"}}},
    "a reference elsewhere": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x.json"}}},
    "a slow pattern": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
    "a bomb of choices": {"anyOf": [{"allOf": [{"anyOf": [{"type": "string"}] * 50}] * 20}] * 20},
    "a wide one": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(5_000)}},
    "not one at all": {"type": 5, "properties": ["a"], "required": "a", "enum": {}},
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS.keys())
def test_a_trap_in_a_schema_is_answered_or_refused_and_holds_up_nobody(
    express: Server, key: str, wire: str, trap: dict[str, Any]
):
    tool = {"type": "function", "function": {"name": "f", "parameters": trap}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": trap, "strict": True}}
    text = "Ответь: " + "a" * 40 + "!"

    answers = [
        ask(express, key, chat(f"slow/{wire}", text, tools=[tool])),
        ask(express, key, chat(f"slow/{wire}", text, response_format=form)),
        ask(express, key, chat(f"slow/{wire}", text, tools=[tool] * 3, stream=True)),
    ]

    assert {heard.status for heard in answers} <= {200, 400, 502}, [heard.error for heard in answers]
    assert max(heard.seconds for heard in answers) < 10


CROWDS: dict[str, tuple[dict[str, Any], int]] = {
    "10,000 messages": ({"messages": [{"role": "user", "content": "a"}] * 10_000}, 200),
    "10,001 messages": ({"messages": [{"role": "user", "content": "a"}] * 10_001}, 400),
    "10,000 tools": ({"tools": [{"type": "function", "function": {"name": "f"}}] * 10_000}, 400),
    "four megabytes": ({"user": "x", "prompt": "слово " * 400_000, "messages": None}, 413),
    "a schema of a megabyte": (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"x": "я" * 500_000}}}]},
        400,
    ),
}


@pytest.mark.parametrize(("fields", "status"), CROWDS.values(), ids=CROWDS.keys())
def test_crowds_meet_a_stated_limit(
    installation: Installation, express: Server, key: str, fields: dict[str, Any], status: int
):
    body = {
        name: value
        for name, value in {**chat("slow/openai", "Привет"), **fields}.items()
        if value is not None
    }

    answer = post(express, key, json.dumps(body, ensure_ascii=False).encode(), path=PATH)

    assert answer.status_code == status, answer.text[:300]
