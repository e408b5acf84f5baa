"""Makes the catalogue of the tests' installation, adds providers and models, and prints a client's key.

    python -m tests.e2e.stage '{"a": "http://127.0.0.1:9100", "b": …, "hole": …, …}' CLIENT

All in one process, because Django takes a second to start.

For each wire there are ``solo/<wire>``, answered by the twins A alone; ``pair/<wire>``, by A and, where A
fails, by the twins B; ``slow/<wire>``, by A with all the time in the world. Elsewhere A is given little time,
so that tests of time-outs are short. ``late/<fault>`` is a pair whose A has that fault. ``odd/<wire>`` is as
slow as ``slow`` at a price of which no token costs a whole number of micro-roubles; ``dear/openai`` is
answered by B. ``prompted/<wire>`` is told of tools in its prompt, ``thinking/<wire>`` may be asked to reason;
both are as slow as ``slow``. Their circuits stay closed: faults come there by the hundred, each to be met.
``vectors/<wire>`` embed texts, answered by A and B; ``vectors/alone`` by A alone, ``vectors/parts`` by A in
parts of two texts. Their texts have a price of their own, beside that of prompts.
Models with automatic circuits are in ``frail``; ``both/<fault>-<fault>`` has these faults of two providers.
"""

import json
import os
import sys
from io import StringIO
from itertools import product
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - models need settings

from billing.money import roubles  # noqa: E402
from providers.models import Provider  # noqa: E402
from routing.models import Endpoint  # noqa: E402
from tests import builders  # noqa: E402
from tests.e2e.frail import BREAKS, EQUALS, FRAIL, Place, api_key  # noqa: E402

# Wire: (path at the twins, path of its tokens, secret, upstream name, options)
WIRES: dict[str, tuple[str, str, dict[str, str], str, dict[str, str]]] = {
    "gigachat": (
        "/gigachat/api/v1",
        "/gigachat/api/v2/oauth",
        {"authorization_key": "ZTJlOmUyZS1zZWNyZXQ=", "scope": "GIGACHAT_API_PERS"},
        "GigaChat-2-Pro",
        {},
    ),
    "yandexgpt": (
        "/yandexgpt",
        "",
        {"api_key": "e2e-secret"},
        "yandexgpt/latest",
        {"folder_id": "b1ge2ee2ee2ee2ee2ee0"},
    ),
    "mts-ai": ("/mts-ai/v1", "", {"api_key": "e2e-secret"}, "mws-gpt-alpha", {}),
    "gen-t": ("/gen-t/v1", "", {"api_key": "e2e-secret"}, "t-tech/T-pro-it-2.1", {}),
    "openai": ("/openai/v1", "", {"api_key": "e2e-secret"}, "gpt-twin", {}),
}
# Seconds. Long enough for a busy machine to answer in, short enough to wait for.
HURRIED = {"connect": 1, "first_byte": 1.5, "first_token": 1.5, "between_tokens": 1.5, "total": 3}
# The same, but the time to connect is long enough for others to be served meanwhile.
UNHURRIED = {**HURRIED, "connect": 2, "first_byte": 4, "first_token": 4, "total": 5}
# The same, but nobody learns by a time-out within ten seconds that a provider is silent.
SLOW = {**HURRIED, "first_byte": 12, "first_token": 12, "total": 30}
PATIENT = {"first_token": 30, "between_tokens": 30}

THINKING = ["streaming", "json_object", "json_schema", "reasoning"]
# Wire: upstream name of a model that thinks, where not every model may be asked to.
THINKERS = {"gigachat": "GigaChat-2-Reasoning", "mts-ai": "qwen3-32b", "gen-t": "t-tech/T-pro-it-2.0"}

# Roubles for a million tokens of prompt and answer.
ODD = ("333.333333", "1500.500001")
DEAR = ("2000", "7000.7")

# Wire: upstream name of its model of vectors.
EMBEDDERS = {
    "gigachat": "EmbeddingsGigaR",
    "yandexgpt": "text-search",
    "mts-ai": "bge-m3",
    "gen-t": "bge-m3",
    "openai": "text-embedding",
}

# Faults of A that take time to show.
LATE = (
    *("blackhole", "slow_headers.ms=9000", "drip_headers.ms=100", "slow_first.ms=9000", "stall.after=0"),
    "slow_body.ms=400.bytes=4",
)
# Providers whose names nobody answers for (see ``silence``).
SILENT = {f"silent-{number}": f"name-{number}.silent.test" for number in range(8)}
# Credentials of ours that the vendors do not take.
BAD = {
    "gigachat": {"authorization_key": "bad", "scope": "GIGACHAT_API_PERS"},
    "yandexgpt": {"api_key": "bad"},
    "openai": {"api_key": "bad"},
}


def main(places: dict[str, str], client: str) -> None:
    call_command("bootstrap", stdout=StringIO())
    _stage(places)
    call_command("create_key", client=client, label="e2e", plan="paid", balance="100000", json=True)


def _stage(places: dict[str, str]) -> None:
    Endpoint.objects.update(circuit="closed")  # of the models that every installation has
    for wire in WIRES:
        _wire(wire, places["a"], places["b"])
    _provider("hasty", "openai", places["hasty"], HURRIED)
    _model("solo/hasty", "openai", "hasty")
    _model("pair/hasty", "openai", "hasty", "b-openai")
    _provider("drowsy", "openai", places["drowsy"], PATIENT)
    _model("solo/drowsy", "openai", "drowsy")
    for fault in LATE:
        _model(f"late/{fault.partition('.')[0]}", "openai", "a-openai", "b-openai", fault=fault)
    for name, base_url in _unreachable(places).items():
        lost = builders.make_provider(name, base_url=base_url, timeouts=HURRIED)
        lost.ca_bundle = places.get(f"{name}-roots", "")
        lost.save()
        builders.make_credential(lost)
        _model(f"solo/{name}", "openai", name)
        _model(f"pair/{name}", "openai", name, "b-openai")
    for name, host in SILENT.items():
        _provider(name, "openai", f"http://{host}", UNHURRIED)
        _model(f"solo/{name}", "openai", name)
        _model(f"pair/{name}", "openai", name, "b-openai")
    _provider("named", "openai", places["b"].replace("127.0.0.1", "localhost"), HURRIED)
    _model("solo/named", "openai", "named")
    for wire, secret in BAD.items():
        _provider(f"bad-{wire}", wire, places["a"], HURRIED, secret)
        _model(f"bad/{wire}", wire, f"bad-{wire}")
        _model(f"pair/bad-{wire}", wire, f"bad-{wire}", f"b-{wire}")
    _model("dear/openai", "openai", "b-openai", price=DEAR)
    _model("median/openai", "openai", "b-openai")  # asked by one test only
    _vectors()
    tariff = builders.make_tariff()
    for name, endpoints in FRAIL.items():
        _frail(name, endpoints, places["frail"], tariff)
    _both(places["frail"], tariff)


def _vectors() -> None:
    tariff = builders.make_tariff(*DEAR, embedding=roubles(ODD[0]))
    facts: Any = {"kind": "embeddings", "max_output": 0, "context_length": 4096, "tariff": tariff}
    served = {f"vectors/{wire}": (f"a-{wire}", f"b-{wire}") for wire in EMBEDDERS}
    for slug, providers in {**served, "vectors/alone": ["a-openai"], "vectors/parts": ["a-openai"]}.items():
        model = builders.make_model(slug, **facts)
        for priority, name in enumerate(providers):
            provider: Any = Provider.objects.get(slug=name)
            builders.make_endpoint(
                model,
                provider,
                upstream_name=EMBEDDERS[name[2:]],
                priority=priority,
                circuit="closed",
                tools="none",
                features=["dimensions"] if slug == "vectors/openai" else [],
                options={"texts_at_once": 2} if slug == "vectors/parts" else {},
            )


def _frail(name: str, endpoints: tuple[Place, ...], url: str, tariff: Any) -> None:
    facts: Any = {"max_output": 8192, "context_length": 131_072, "tariff": tariff}
    model = builders.make_model(f"frail/{name}", **facts)
    for number, place in enumerate(endpoints):
        provider = _provider_at(f"{name}-{place.wire}", place.wire, url, _pace(place))
        for key in range(place.keys):
            sealed = {"api_key": api_key(name, key)} if place.wire == "openai" else WIRES[place.wire][2]
            builders.make_credential(provider, sealed, slots=place.slots)
        builders.make_endpoint(
            model,
            provider,
            upstream_name=WIRES[place.wire][3],
            priority=0 if name in EQUALS else number,
            context_length=place.context,
        )


def _pace(place: Place) -> dict[str, float]:
    return SLOW if place.is_slow else PATIENT if place.is_patient else HURRIED


def _both(url: str, tariff: Any) -> None:
    _provider("both-openai", "openai", url, HURRIED)
    _provider("both-gen-t", "gen-t", url, HURRIED)
    for first, second in product(BREAKS, repeat=2):
        model = builders.make_model(f"both/{first}-{second}", tariff=tariff)
        for priority, (wire, fault) in enumerate([("openai", first), ("gen-t", second)]):
            provider: Any = Provider.objects.get(slug=f"both-{wire}")
            facts: Any = {"priority": priority, "circuit": "closed"}
            builders.make_endpoint(model, provider, upstream_name=f"{WIRES[wire][3]}--{fault}", **facts)


def _unreachable(places: dict[str, str]) -> dict[str, str]:
    """Base URLs where there is no answer to be had, except from the one whose roots are known."""
    return {
        "refused": "http://127.0.0.1:9/v1",
        "hanging": f"http://127.0.0.1:{places['hole']}/v1",
        "no-name": "http://upstream.invalid/v1",
        "mute-tls": f"https://127.0.0.1:{places['mute']}/openai/v1",
        "alert-tls": f"https://127.0.0.1:{places['alert']}/openai/v1",
        "reset-tls": f"https://127.0.0.1:{places['reset']}/openai/v1",
        "no-tls": f"{places['a'].replace('http:', 'https:')}/openai/v1",
        "self-signed": f"https://127.0.0.1:{places['self-signed']}/openai/v1",
        "wrong-name": f"https://127.0.0.1:{places['wrong-name']}/openai/v1",
        "own-roots": f"https://127.0.0.1:{places['self-signed']}/openai/v1",
    }


def _wire(wire: str, first: str, second: str) -> None:
    for slug, url, timeouts in (("a", first, HURRIED), ("b", second, PATIENT), ("slow", first, PATIENT)):
        _provider(f"{slug}-{wire}", wire, url, timeouts)
    _model(f"solo/{wire}", wire, f"a-{wire}")
    _model(f"pair/{wire}", wire, f"a-{wire}", f"b-{wire}")
    _model(f"slow/{wire}", wire, f"slow-{wire}")
    _model(f"odd/{wire}", wire, f"slow-{wire}", price=ODD)
    _model(f"prompted/{wire}", wire, f"slow-{wire}", tools="emulated")
    _model(f"thinking/{wire}", wire, f"slow-{wire}", name=THINKERS.get(wire, ""), features=THINKING)


def _provider(
    slug: str, wire: str, url: str, timeouts: dict[str, float], secret: dict[str, str] | None = None
) -> None:
    provider = _provider_at(slug, wire, url, timeouts)
    builders.make_credential(provider, secret or WIRES[wire][2], slots=1000)


def _provider_at(slug: str, wire: str, url: str, timeouts: dict[str, float]) -> Any:
    """Without a credential."""
    path, auth_path, _, _, options = WIRES[wire]
    return builders.make_provider(
        slug,
        adapter=wire,
        base_url=url + path,
        auth_url=url + auth_path if auth_path else "",
        timeouts=timeouts,
        options=options,
    )


def _model(
    slug: str,
    wire: str,
    *providers: str,
    name: str = "",
    fault: str = "",
    price: tuple[str, str] = ("500", "500"),
    circuit: str = "closed",
    **more: Any,
) -> None:
    """``name``: the upstream one, if not the wire's usual. ``fault`` is what the first of ``providers`` does
    to every answer; ``more``, the endpoints' fields.
    """
    model = builders.make_model(slug, max_output=8192, tariff=builders.make_tariff(*price))
    for priority, slug_of_provider in enumerate(providers):
        upstream_name = (name or WIRES[wire][3]) + (f"--{fault}" if fault and not priority else "")
        provider: Any = Provider.objects.get(slug=slug_of_provider)
        facts: Any = {"upstream_name": upstream_name, "priority": priority, "circuit": circuit}
        builders.make_endpoint(model, provider, **facts, **more)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
