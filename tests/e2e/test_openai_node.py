"""The official SDK for Node, pointed at XRouter, with the models of all four providers."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installation import Installation, Server
from tests.e2e.sdk_for_node import installed_sdk, is_there
from tests.e2e.talk import MODELS

pytestmark = pytest.mark.skipif(not is_there(), reason="Node and npm are not installed on this machine")


@pytest.fixture(scope="module")
def project(installation: Installation) -> Path:
    """The client's code with the SDK of the lock file, away from the checkout."""
    return installed_sdk(installation.home)


@pytest.mark.parametrize("model", MODELS)
def test_node_chats_streams_calls_and_keeps_to_a_schema(project: Path, express: Server, key: str, model: str):
    heard = converse(project, express, key, model)

    chat, stream = heard["chat"], heard["stream"]
    assert chat["text"].startswith("[двойник]")
    assert chat["finish"] == "stop"
    assert stream["text"] == chat["text"]
    assert stream["roles"][0] == "assistant"
    assert set(stream["roles"][1:]) == {None}
    assert stream["finishes"][-1] == "stop"
    assert set(stream["finishes"][:-1]) == {None}
    assert stream["usages"][-1]["total_tokens"] == chat["usage"]["total_tokens"]
    assert set(map(bool, stream["usages"][:-1])) == {False}
    assert [list(arguments) for arguments in heard["tools"]["called"]] == [["city"]]
    assert '"degrees"' in heard["tools"]["text"]
    assert heard["streamedCall"] == {
        "finish": "tool_calls",
        "name": "get_weather",
        "arguments": heard["tools"]["called"][0],
    }
    assert set(heard["structured"]) == {"name", "population"}
    assert (heard["refusal"]["name"], heard["refusal"]["status"]) == ("NotFoundError", 404)
    assert heard["refusal"]["requestID"].startswith("req_")
    assert heard["broken"] == {"name": "APIError", "type": "api_error"}


def converse(project: Path, server: Server, key: str, model: str) -> dict[str, Any]:
    done = subprocess.run(
        ["node", "converse.mjs", model],
        cwd=project,
        env={**os.environ, "BASE_URL": server.base_url, "API_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.returncode, done.stderr
    return dict(json.loads(done.stdout))
