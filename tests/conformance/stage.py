"""The installation that clients are tried against: a web server, twins, and keys of every kind of client.

``python -m tests.conformance.stage URL`` makes the catalogue, and in it a host whose twin is at URL.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from tests.conformance.features import Column, Feature
from tests.e2e.installation import Server, Twins, migrated, wait_until
from tests.e2e.market import new_client

HONOURED = {"exact", "emulated"}
VECTORS = "text->embedding"


@dataclass(frozen=True)
class Place:
    """Where one cell is tried. ``told``: what becomes of each field there, by the model's capabilities."""

    base_url: str
    model: str
    vectors: str  # the provider's model of vectors; "" if it has none
    family: str
    twins: Twins
    told: Mapping[str, str]
    home: Path  # for what a client has to install
    key: str = field(repr=False)
    poor_key: str = field(repr=False)  # of a client without money
    hurried_key: str = field(repr=False)  # of a client who may ask once in a second

    def was_left(self, tag: str) -> bool:
        """Whether the provider has been told that nobody listens to the answer to ``tag`` any more."""

        def outcomes() -> list[str]:
            return [entry["outcome"] for entry in self.twins.journal(tag)]

        return bool(wait_until(lambda: outcomes() == ["closed_by_client"]))


@dataclass(frozen=True)
class Stage:
    """The whole of it. Clients have keys of their own, because one's haste is no other's concern."""

    server: Server
    twins: Twins
    home: Path
    key: str = field(repr=False)
    poor_key: str = field(repr=False)
    hurried_key: str = field(repr=False)

    @cached_property
    def listed(self) -> dict[str, Any]:
        """``GET /v1/models``, by name."""
        return {model["id"]: model for model in self._get("/models")["data"]}

    @cached_property
    def _told(self) -> dict[str, Mapping[str, str]]:
        return {}

    def told(self, model: str) -> Mapping[str, str]:
        """The matrix of a model's capabilities, as the server tells it."""
        if model not in self._told:
            self._told[model] = self._get(f"/models/{model}/capabilities")["data"]["capabilities"]
        return self._told[model]

    def vectors(self, column: Column) -> str:
        """The first model of vectors of the provider in this column; "" if there is none."""
        provider = self.listed[column.model]["provider"]
        return next(
            (
                name
                for name, model in self.listed.items()
                if model["provider"] == provider and model["architecture"]["modality"] == VECTORS
            ),
            "",
        )

    def has(self, feature: Feature, column: Column) -> bool:
        """Whether the endpoint has it, by its own word."""
        model = self.vectors(column) if feature.of_vectors else column.model
        return bool(model) and all(self.told(model)[row] in HONOURED for row in feature.needs)

    def place(self, column: Column) -> Place:
        return Place(
            base_url=self.server.base_url,
            model=column.model,
            vectors=self.vectors(column),
            family=column.family,
            twins=self.twins,
            told=self.told(column.model),
            home=self.home,
            key=self.key,
            poor_key=self.poor_key,
            hurried_key=self.hurried_key,
        )

    def _get(self, path: str) -> Any:
        answer = requests.get(self.server.base_url + path, timeout=30)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def staged(home: Path) -> Iterator[Stage]:
    """The stage; at the end everything that was started is stopped."""
    with migrated(home) as installation:
        twins = installation.start_twins("twins")
        installation.run(["-m", "tests.conformance.stage", twins.url], XROUTER_TWIN_URL=twins.url)
        # A second between one's requests is what one of them is tried for; the others are in no way limited.
        rich, poor, hurried = (
            new_client(installation),
            new_client(installation, 0),
            new_client(installation, requests_per_second=1),
        )
        server = installation.start_web("web")
        yield Stage(server, twins, home, rich.key, poor.key, hurried.key)


def new_tag() -> str:
    """A name for one request in the twins' journal."""
    return uuid4().hex


def main(url: str) -> None:
    """Circuits stay closed: faults are to be met, each of them."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")
    django.setup()
    from django.core.management import call_command

    from routing.models import Endpoint
    from tests import builders

    call_command("bootstrap")
    host = builders.make_provider("host", base_url=f"{url}/openai/v1")
    builders.make_credential(host)
    model = builders.make_model("host/model", max_output=8192, tariff=builders.make_tariff())
    builders.make_endpoint(model, host, upstream_name="gpt-twin")
    vectors = builders.make_model(
        "host/vectors",
        kind="embeddings",
        modality=VECTORS,
        max_output=0,
        tariff=builders.make_tariff(embedding=333_333_333),
    )
    facts: Any = {"tools": "none", "features": ["dimensions"]}
    builders.make_endpoint(vectors, host, upstream_name="text-embedding", **facts)
    Endpoint.objects.update(circuit="closed")


if __name__ == "__main__":
    main(sys.argv[1])
