"""/metrics: near readers and those with the token get it, for everybody else there is no such page."""

import asyncio
from typing import Any

import pytest

from xrouter.asgi import application
from xrouter.scrape import Gate

TOKEN = "a-token-for-prometheus"
NEAR = "127.0.0.1"
FAR = "203.0.113.7"
PROXY = "10.0.0.2"


@pytest.fixture(autouse=True)
def gate(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.XROUTER_METRICS_NETWORKS = ["127.0.0.1/32", "::1/128", "10.1.0.0/16"]
    settings.XROUTER_TRUSTED_PROXIES = ["10.0.0.0/24"]
    settings.XROUTER_METRICS_TOKEN = TOKEN


async def get(
    peer: str | None, *, method: str = "GET", path: str = "/metrics", **headers: str
) -> tuple[int, bytes]:
    """Status and body of what the application answers."""
    sent: list[dict[str, Any]] = []
    told = {"host": "testserver", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(key.replace("_", "-").encode(), text.encode()) for key, text in told.items()],
        "client": (peer, 5) if peer else None,
        "server": ("testserver", 80),
    }
    came = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        return next(came, None) or await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(10):
        await application(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize("peer", [NEAR, "::1", "::ffff:127.0.0.1", "10.1.2.3"])
async def test_who_is_near_reads_the_figures(peer):
    status, page = await get(peer)

    assert status == 200
    assert b"# TYPE xrouter_requests_total counter" in page
    assert b"# TYPE django_http_requests_before_middlewares_total counter" in page


@pytest.mark.parametrize("peer", [FAR, PROXY, "", None, "no address"])
async def test_for_others_there_is_no_such_page(peer):
    status, page = await get(peer)

    assert status == 404
    assert b"xrouter_" not in page


async def test_who_is_refused_is_answered_as_for_any_page_that_is_not_there():
    assert await get(FAR) == await get(FAR, path="/metricz")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_the_token_opens_from_everywhere(scheme):
    status, _ = await get(FAR, authorization=f"{scheme} {TOKEN}")

    assert status == 200


@pytest.mark.parametrize(
    "said", [f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer ", f"Bearer {TOKEN}x", "Bearer ключ"]
)
async def test_another_word_does_not(said):
    status, _ = await get(FAR, authorization=said)

    assert status == 404


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer "])
async def test_where_there_is_no_token_nothing_is_one(said, settings):
    settings.XROUTER_METRICS_TOKEN = ""

    status, _ = await get(FAR, authorization=said)

    assert status == 404


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
async def test_there_is_nothing_but_to_read(method):
    status, page = await get(NEAR, method=method)

    assert status != 200
    assert b"xrouter_" not in page


@pytest.mark.parametrize(
    ("peer", "hops", "opens"),
    [
        (PROXY, "10.1.2.3", True),
        (PROXY, FAR, False),
        (PROXY, f"{NEAR}, {FAR}", False),  # he says that he is near
        (PROXY, f"{FAR}, {PROXY}", False),  # behind two proxies of ours
        (PROXY, f"{FAR}, 10.1.2.3", False),  # the second of which is within the networks
        (PROXY, "", False),
        (PROXY, "unknown", False),
        (PROXY, "10.1.2.3:5000", False),
        (NEAR, FAR, False),  # a proxy that nobody has told us of
        (NEAR, "10.1.2.3", True),
        (FAR, NEAR, False),  # he says that somebody near has sent him
    ],
)
async def test_behind_a_proxy_the_whole_way_counts(peer, hops, opens):
    status, _ = await get(peer, x_forwarded_for=hops)

    assert (status == 200) == opens


@pytest.mark.parametrize("trace", ["forwarded", "via", "x_real_ip", "x_forwarded_proto", "x_forwarded_host"])
async def test_who_came_through_a_proxy_that_does_not_say_from_where_is_not_near(trace):
    status, _ = await get(NEAR, **{trace: "something"})

    assert status == 404


def test_a_network_that_is_none_stops_the_start():
    with pytest.raises(ValueError, match="does not appear"):
        Gate.of(["10.0.0"], [], "")


def test_the_token_is_not_shown():
    assert TOKEN not in repr(Gate.of([], [], TOKEN))
