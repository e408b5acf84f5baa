"""The control plane, the journal, the listener, and a peer that goes away."""

import asyncio
import time

import pytest

from tests.providers.twins.stand import question, settled


async def entries(stand, **query: str) -> list[dict]:
    async with stand.http.get("/__journal", params=query) as response:
        return (await response.json())["entries"]


async def test_it_is_healthy(stand):
    assert (await stand.get("/healthz"))[0] == 200


async def test_every_answer_names_the_twin(stand):
    path, body = question("gen-t", "Привет")

    async with stand.http.post(path, json=body) as response:
        assert response.headers["X-Twin"] == "gen-t"


async def test_an_unknown_path_is_404(stand):
    assert (await stand.post("/gigachat/api/v3/chat", {}))[0] == 404


async def test_the_journal_tells_what_was_seen_and_sent(stand):
    before = time.time()

    await stand.ask("gen-t", "[[tag=t1]][[tokens=20]]Привет", stream=True, user="u")
    await stand.ask("gen-t", "Другое")

    (entry,) = await entries(stand, tag="t1", family="gen-t", since=str(before))
    assert (entry["op"], entry["model"], entry["status"], entry["streamed"]) == (
        "chat",
        "t-tech/T-pro-it-2.1",
        200,
        True,
    )
    assert (entry["completion_tokens_sent"], entry["outcome"]) == (20, "served")
    assert before <= entry["t_start"] <= entry["t_first"] <= entry["t_end"]
    assert entry["fields"] == ["messages", "model", "stream", "user"]
    assert "authorization" in entry["header_names"]
    assert "Bearer" not in str(entry)
    assert "Привет" not in str(entry)


async def test_the_summary_counts(stand):
    await asyncio.gather(*(stand.ask("gen-t", "[[ttft_ms=50]]Привет") for _ in range(5)))
    await stand.giga_token()

    summary = (await stand.get("/__summary"))[1]

    assert (summary["chats"], summary["oauth_calls"], summary["max_in_flight"]) == (5, 1, 5)
    assert summary["in_flight"] == 0
    assert summary["by_outcome"] == {"served": 6}


async def test_a_reset_forgets_everything_but_tokens(stand):
    token = await stand.giga_token()
    await stand.post("/__fault", {"kind": "http_500"})
    await stand.post("/__reset", {})

    path, body = question("gigachat", "Привет")
    status, _ = await stand.post(path, body, Authorization=f"Bearer {token}")

    assert status == 200
    assert len(await entries(stand)) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_peer_that_goes_away_is_noticed_at_once(stream, stand):
    pace = "[[tokens=500]][[delay_ms=200]]" if stream else "[[ttft_ms=5000]]"
    path, body = question("gen-t", pace, stream=stream)
    asking = asyncio.create_task(stand.post(path, body))
    await asyncio.sleep(0.1)

    asking.cancel()
    left = time.time()

    assert await settled(stand)
    (entry,) = await entries(stand)
    assert entry["outcome"] == "closed_by_client"
    assert entry["t_closed"] - left < 0.2
    assert entry["completion_tokens_sent"] < 500


async def standstill(stand) -> int:
    """Tokens sent when for a second no more were."""
    async with asyncio.timeout(30):
        sent = -1
        while True:
            (entry,) = await entries(stand)
            if entry["completion_tokens_sent"] == sent:
                return sent
            sent = entry["completion_tokens_sent"]
            await asyncio.sleep(1)


async def test_a_reader_that_does_not_read_stops_the_stream(stand):
    path, body = question("gen-t", "[[fault=infinite.cap=1000000]]", stream=True)
    async with stand.http.post(path, json=body) as response:
        assert response.status == 200
        sent = await standstill(stand)

    assert sent < 100_000


async def test_events_come_at_the_pace_ordered(stand):
    started = time.perf_counter()

    await stand.ask("gen-t", "[[chunks=10]][[delay_ms=10]][[ttft_ms=50]]", stream=True)

    assert 0.15 <= time.perf_counter() - started < 0.6


async def test_a_fault_of_the_queue_strikes_as_often_as_ordered(stand):
    await stand.post("/__fault", {"family": "gen-t", "kind": "http_503", "times": 2})

    statuses = [(await stand.ask(family, "x"))[0] for family in ("openai", "gen-t", "gen-t", "gen-t")]

    assert statuses == [200, 503, 503, 200]


async def test_a_sticky_fault_stays_until_it_is_cleared(stand):
    await stand.post("/__fault", {"kind": "http_503", "sticky": True})
    struck = [(await stand.ask("gen-t", "x"))[0] for _ in range(3)]

    await stand.http.delete("/__fault")

    assert struck == [503, 503, 503]
    assert (await stand.ask("gen-t", "x"))[0] == 200


async def test_chance_is_the_share_ordered(stand):
    await stand.post("/__fault", {"kind": "http_500", "sticky": True, "probability": 0.5})

    statuses = [(await stand.ask("gen-t", "x"))[0] for _ in range(100)]

    assert 35 < statuses.count(500) < 65


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/__fault", {"kind": "no_such"}),
        ("/__fault", {"kind": "cut", "family": "no-such"}),
        ("/__limits", {"family": "no-such"}),
        ("/__listener", {"action": "explode"}),
        ("/__canary", {"needles": "x"}),
        ("/__gigachat", {"action": "x"}),
    ],
)
async def test_a_wrong_order_is_400(path, body, stand):
    assert (await stand.post(path, body))[0] == 400


async def test_an_unknown_fault_in_a_prompt_is_400(stand):
    assert (await stand.ask("gen-t", "[[fault=no_such]]"))[0] == 400


async def test_a_models_suffix_is_a_fault(stand):
    assert (await stand.ask("gen-t", "x", model="t-pro--http_418"))[0] == 418
    uri = "gpt://b1gtwin0000000000000/yandexgpt--http_503.ra=1/latest"
    assert (await stand.ask("yandexgpt", "x", modelUri=uri))[0] == 503


async def test_a_fault_may_strike_the_token_call(stand):
    await stand.post("/__fault", {"family": "gigachat", "kind": "http_500", "op": "oauth"})

    with pytest.raises(KeyError):
        await stand.giga_token()


async def test_tokens_expire_all_at_once(stand):
    token = await stand.giga_token()
    await stand.post("/__gigachat", {"action": "expire_tokens"})

    path, body = question("gigachat", "Привет")

    assert (await stand.post(path, body, Authorization=f"Bearer {token}"))[0] == 401


async def test_a_limit_counts_answers_under_way(stand):
    await stand.post("/__limits", {"family": "gen-t", "concurrency": 2})

    answers = await asyncio.gather(*(stand.ask("gen-t", "[[ttft_ms=100]]") for _ in range(5)))

    assert sorted(status for status, _ in answers) == [200, 200, 429, 429, 429]
    assert (await stand.ask("gen-t", "x"))[0] == 200


async def test_the_canary_finds_what_must_not_come_here(stand):
    await stand.ask("gen-t", "x", user="eve@example.com")

    found = (await stand.post("/__canary", {"needles": ["eve@example.com", "xr-live"]}))[1]["leaks"]

    assert [leak["needle"] for leak in found] == ["eve@example.com"]
    assert (await stand.get("/__canary"))[1]["leaks"] == found


async def test_a_bait_counts_who_follows_it(stand):
    await stand.get("/__bait/r")

    assert (await stand.get("/__summary"))[1]["bait_hits"] == 1


async def connected(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True


async def test_a_closed_port_refuses_and_opens_again(stand):
    await stand.post("/__listener", {"action": "close", "seconds": 0.2})

    assert not await connected(stand.port)
    await asyncio.sleep(0.3)
    assert await connected(stand.port)


async def test_an_unattended_port_lets_connections_wait(stand):
    await stand.post("/__listener", {"action": "pause", "seconds": 0.2})
    started = time.perf_counter()

    reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: twin\r\n\r\n")

    assert b" 200 " in await reader.readline()
    assert time.perf_counter() - started > 0.15
    writer.close()


@pytest.mark.parametrize("kind", ["reset_on_accept", "close_on_accept"])
async def test_a_connection_is_dropped_as_it_is_made(kind, stand):
    await stand.post("/__fault", {"kind": kind})

    reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
    try:
        got = await reader.read()
    except ConnectionError:
        got = b"reset"
    writer.close()

    assert got == (b"reset" if kind == "reset_on_accept" else b"")
    assert (await stand.get("/healthz"))[0] == 200
