"""The Python samples of the guides, run as they stand, against the running installation."""

import pytest

from accounts.keys import Kind
from tests.e2e.installation import Installation, Server
from tests.guides import Sample, is_there, samples

VECTORS = "client.embeddings"


@pytest.fixture(scope="module")
def management_key(installation: Installation, key: str) -> str:
    return installation.issue_key("Ромашка", Kind.MANAGEMENT)


@pytest.mark.parametrize("sample", samples("python"), ids=lambda sample: sample.name)
def test_a_sample_runs_as_it_stands(
    express: Server,
    key: str,
    management_key: str,
    sample: Sample,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    if VECTORS in sample.code and not is_there("/v1/embeddings"):
        pytest.skip("the program has no vectors yet")
    monkeypatch.setenv("OPENAI_BASE_URL", express.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("XROUTER_MANAGEMENT_KEY", management_key)

    exec(compile(sample.code, sample.name, "exec"), {"__name__": "__main__"})  # noqa: S102 (our own words)

    assert capsys.readouterr().out.strip()
