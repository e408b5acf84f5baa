"""The stage of the clients: started once, stopped with everything it started."""

from collections.abc import Iterator

import pytest

from tests.conformance.stage import Stage, staged

# What clients are found to get is told in full, as in tests.
pytest.register_assert_rewrite(
    *(f"tests.conformance.{module}" for module in ("openai_python", "openai_helpers", "langchain"))
)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("conformance")) as made:
        yield made
    from tests.conformance.clients import end  # registered by now

    end()
