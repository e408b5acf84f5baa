"""The installation that the end-to-end tests speak to: started once, stopped with everything it started."""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from tests.e2e.installation import Installation, Server, Twins, migrated
from tests.e2e.suspects import ALERT, Front, front, gruff, hole, mute

CLIENT = "Ромашка"
# Seconds that an idle connection lives at twins which do not keep it for long.
HASTE, DROWSE = 0.05, 1.0
# For all clients: to read the certificates of the authorities takes longer than a chat.
TLS = ssl.create_default_context()


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A migrated database, and no program yet."""
    with migrated(tmp_path_factory.mktemp("home")) as installation:
        yield installation


@pytest.fixture(scope="session")
def twins(bare: Installation) -> Twins:
    """The twins of the catalogue's providers, and provider A of the staged models."""
    return bare.start_twins("twins")


@pytest.fixture(scope="session")
def others(bare: Installation) -> Twins:
    """Other twins: provider B of the staged models."""
    return bare.start_twins("others")


@pytest.fixture(scope="session")
def frail(bare: Installation) -> Twins:
    """The providers of the models whose circuits are automatic."""
    return bare.start_twins("frail")


@pytest.fixture(scope="session")
def hasty(bare: Installation) -> Twins:
    """Twins that close a connection soon after it has become idle."""
    return bare.start_twins("hasty", "--keepalive-idle", str(HASTE))


@pytest.fixture(scope="session")
def drowsy(bare: Installation) -> Twins:
    """Twins that close a connection after as long a pause as customers make."""
    return bare.start_twins("drowsy", "--keepalive-idle", str(DROWSE))


@pytest.fixture(scope="session")
def self_signed(twins: Twins, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The twins behind a certificate for 127.0.0.1 that nobody has signed."""
    with front(twins.port, "127.0.0.1", tmp_path_factory.mktemp("tls")) as made:
        yield made


@pytest.fixture(scope="session")
def wrong_name(twins: Twins, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The twins behind a certificate that is trusted, for another host."""
    with front(twins.port, "other.example", tmp_path_factory.mktemp("tls")) as made:
        yield made


@pytest.fixture(scope="session")
def staged(
    bare: Installation,
    twins: Twins,
    others: Twins,
    frail: Twins,
    hasty: Twins,
    drowsy: Twins,
    self_signed: Front,
    wrong_name: Front,
) -> Iterator[str]:
    """A live key of the client Ромашка, made with the catalogue and the staged models."""
    with hole() as port, mute() as silent, gruff(ALERT) as alerting, gruff(b"") as resetting:
        places = {
            "a": twins.url,
            "b": others.url,
            "frail": frail.url,
            "hasty": hasty.url,
            "drowsy": drowsy.url,
            "hole": str(port),
            "mute": str(silent),
            "alert": str(alerting),
            "reset": str(resetting),
            "self-signed": str(self_signed.port),
            "own-roots-roots": self_signed.certificate,
            "wrong-name": str(wrong_name.port),
            "wrong-name-roots": wrong_name.certificate,
        }
        said = bare.run(["-m", "tests.e2e.stage", json.dumps(places), CLIENT], XROUTER_TWIN_URL=twins.url)
        # More than the plan gives: hundreds of streams at once are tested with this client's keys.
        bare.query("UPDATE accounts_client SET concurrent_requests = 5000 WHERE name = %s", CLIENT)
        yield str(json.loads(said)["key"])


@pytest.fixture(scope="session")
def installation(bare: Installation, staged: str) -> Installation:
    """The database with the catalogue and the staged models; no web server yet."""
    return bare


@pytest.fixture(scope="session")
def key(staged: str) -> str:
    """A live key of the client Ромашка."""
    return staged


@pytest.fixture(scope="session")
def express(installation: Installation, key: str) -> Server:
    """One web process with the express lane."""
    return installation.start_web("express", XROUTER_EXPRESS="1")


@pytest.fixture(scope="session")
def framework(installation: Installation, key: str) -> Server:
    """One web process without the lane: every request goes through Django REST framework."""
    return installation.start_web("framework", XROUTER_EXPRESS="0")


@pytest.fixture(scope="session")
def workers(installation: Installation, key: str) -> Server:
    """Two web processes behind one port."""
    return installation.start_web("workers", workers=2)


@pytest.fixture(scope="module")
def name_server() -> Iterator[socket.socket]:
    """It hears every question for a name of ``.silent.test`` (see ``silence``) and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        yield server


@pytest.fixture(params=["express", "framework"])
def door(request: pytest.FixtureRequest) -> Server:
    """Either server: what is tested through it has to be the same through both doors."""
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def calm(twins: Twins, others: Twins, frail: Twins) -> Iterator[None]:
    """No fault outlives the test that ordered it."""
    yield
    for one in (twins, others, frail):
        one.calm()


@pytest.fixture
def sdk(door: Server, key: str) -> Iterator[OpenAI]:
    """The official client at either door, which tries nothing again by itself."""
    http = DefaultHttpxClient(verify=TLS)
    with OpenAI(base_url=door.base_url, api_key=key, max_retries=0, timeout=30, http_client=http) as client:
        yield client


@pytest.fixture
async def async_sdk(express: Server, key: str) -> Any:
    http = DefaultAsyncHttpxClient(verify=TLS)
    async with AsyncOpenAI(
        base_url=express.base_url, api_key=key, max_retries=0, timeout=30, http_client=http
    ) as client:
        yield client


@pytest.fixture(scope="session")
def reports(installation: Installation) -> Path:
    """Where measurements are written."""
    return installation.home
