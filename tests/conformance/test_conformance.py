"""What each client gets of each feature at each provider: every cell of ``docs/conformance.md``."""

from collections.abc import Callable

import pytest

from tests.conformance.clients import CLIENTS
from tests.conformance.features import COLUMNS, COMMON, FEATURES, KNOWN, LACKING, Column, Feature, rows
from tests.conformance.stage import Stage


def marks(feature: Feature, column: Column) -> list[pytest.MarkDecorator]:
    """What is known not to work has to fail."""
    reason = KNOWN.get((feature.name, column.model))
    return [pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True)] if reason else []


CELLS = [
    pytest.param(
        name,
        feature,
        column,
        id=f"{name}-{column.model}-{feature.name}",
        marks=marks(feature, column),
    )
    for name, client in CLIENTS.items()
    for column in COLUMNS
    for feature in rows(column)
    if feature.name in client.features
]


@pytest.mark.parametrize(("name", "feature", "column"), CELLS)
def test_a_client_gets_what_it_asks_for(
    stage: Stage, name: str, feature: Feature, column: Column, record_property: Callable[[str, object], None]
):
    record_property("cell", (name, feature.name, column.model))
    client = CLIENTS[name]
    if client.missing:
        pytest.skip(client.missing)
    if not stage.has(feature, column):
        pytest.skip("the endpoint does not have it, by its capabilities")

    client.check(feature.name, stage.place(column))


def test_endpoints_have_all_but_what_they_are_known_to_lack(stage: Stage):
    told = {
        (feature.name, column.model)
        for column in COLUMNS
        for feature in rows(column)
        if not stage.has(feature, column)
    }

    assert told == LACKING


def test_every_feature_is_tried_by_a_client():
    assert set().union(*(client.features for client in CLIENTS.values())) == {
        feature.name for feature in FEATURES + COMMON
    }


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_tries_no_feature_of_which_the_table_does_not_know(name: str):
    assert CLIENTS[name].features <= {feature.name for feature in FEATURES + COMMON}
