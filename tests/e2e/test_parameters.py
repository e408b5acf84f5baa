"""What is measured of sampling parameters: from requests to the address that tells."""

from typing import Any

import requests
from openai import OpenAI

from billing.sampling import CLIENTS, REQUESTS
from tests.e2e.installation import Installation, Server
from tests.e2e.market import new_client
from tests.e2e.talk import chat, post

QUESTION = "Да или нет?"


def told(door: Server, model: str) -> dict[str, Any]:
    answer = requests.get(f"{door.base_url}/parameters/{model}", timeout=10)
    assert answer.status_code == 200
    return dict(answer.json()["data"])


def test_a_generation_keeps_what_the_provider_was_told(sdk: OpenAI, installation: Installation):
    asked: Any = {"temperature": 0.4, "top_p": 0.5, "max_tokens": 5}

    giga = sdk.chat.completions.create(**chat("solo/gigachat", QUESTION, **asked))
    yandex = sdk.chat.completions.create(**chat("solo/yandexgpt", QUESTION, **asked))
    silent = sdk.completions.create(model="solo/gigachat", prompt=QUESTION)

    kept = [installation.generation(each.id) for each in (giga, yandex, silent)]
    assert [(row["temperature"], row["top_p"], row["repetition_penalty"]) for row in kept] == [
        (0.4, 0.5, None),
        (0.4, None, None),
        (None, None, None),
    ]


def test_what_clients_ask_becomes_the_median(express: Server, framework: Server, installation: Installation):
    model = "median/openai"
    assert told(express, model)["source"]["temperature_p50"] == "default"
    for number in range(CLIENTS):
        asked = {"model": model, "prompt": QUESTION, "temperature": 0.1 * (number + 1), "max_tokens": 1}
        key = new_client(installation).key
        for _ in range(REQUESTS // CLIENTS):
            assert post(express, key, asked, path="/v1/completions").status_code == 200

    installation.manage("shell", "-c", "from billing.tasks import work_out_medians; work_out_medians()")

    for door in (express, framework):
        data = told(door, model)
        assert (data["model"], data["temperature_p50"]) == (model, 0.3)
        assert data["source"]["temperature_p50"] == "measured"
        assert data["requests"] == {"temperature_p50": REQUESTS}
