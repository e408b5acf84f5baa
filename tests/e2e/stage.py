"""Adds to the catalogue of the tests' installation: providers at two sets of twins, A and B.

    python -m tests.e2e.stage URL-OF-A URL-OF-B

For each wire there are the models ``solo/<wire>``, answered by A alone, and ``pair/<wire>``, by A and, where
A fails, by B. A is given little time, so that tests of time-outs are short.
"""

import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")
django.setup()

from tests import builders  # noqa: E402 - models need settings

# Wire: (path at the twins, path of its tokens, secret, upstream name, options)
WIRES: dict[str, tuple[str, str, dict[str, str], str, dict[str, str]]] = {
    "gigachat": (
        "/gigachat/api/v1",
        "/gigachat/api/v2/oauth",
        {"authorization_key": "dHdpbjp0d2lu", "scope": "GIGACHAT_API_PERS"},
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
HURRIED = {"connect": 1, "first_byte": 1.5, "first_token": 1.5, "between_tokens": 1.5, "total": 5}
PATIENT = {"first_token": 30, "between_tokens": 30}

# Providers that cannot be reached, each in its own way: base URL, with the ports of A and of nobody.
NOWHERE = {
    "refused": "http://127.0.0.1:9/v1",
    "no-name": "http://upstream.invalid/v1",
    "no-tls": "https://127.0.0.1:{port}/openai/v1",
}
# Credentials of ours that the vendors do not take.
BAD = {
    "gigachat": {"authorization_key": "bad", "scope": "GIGACHAT_API_PERS"},
    "yandexgpt": {"api_key": "bad"},
    "openai": {"api_key": "bad"},
}


def main(first: str, second: str) -> None:
    for wire in WIRES:
        hurried = _provider(f"a-{wire}", wire, first, HURRIED)
        other = _provider(f"b-{wire}", wire, second, PATIENT)
        _model(f"solo/{wire}", wire, hurried)
        _model(f"pair/{wire}", wire, hurried, other)
        _model(f"slow/{wire}", wire, _provider(f"slow-{wire}", wire, first, PATIENT))
    for name, base_url in NOWHERE.items():
        lost = builders.make_provider(
            name, base_url=base_url.format(port=first.rpartition(":")[2]), timeouts=HURRIED
        )
        builders.make_credential(lost)
        _model(f"solo/{name}", "openai", lost)
        _model(f"pair/{name}", "openai", lost, _known("b-openai"))
    for wire, secret in BAD.items():
        _model(f"bad/{wire}", wire, _provider(f"bad-{wire}", wire, first, HURRIED, secret))


def _provider(
    slug: str, wire: str, url: str, timeouts: dict[str, float], secret: dict[str, str] | None = None
) -> Any:
    path, auth_path, usual, _, options = WIRES[wire]
    provider = builders.make_provider(
        slug,
        adapter=wire,
        base_url=url + path,
        auth_url=url + auth_path if auth_path else "",
        timeouts=timeouts,
        options=options,
    )
    builders.make_credential(provider, secret or usual, slots=1000)
    return provider


def _known(slug: str) -> Any:
    from providers.models import Provider

    return Provider.objects.get(slug=slug)


def _model(slug: str, wire: str, *providers: Any) -> None:
    model = builders.make_model(slug, max_output=8192)
    for priority, provider in enumerate(providers):
        builders.make_endpoint(model, provider, upstream_name=WIRES[wire][3], priority=priority)


if __name__ == "__main__":
    main(*sys.argv[1:])
