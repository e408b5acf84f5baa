"""What changes while answers are given: prices, models, keys, clients. What was begun ends as it began."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
import requests
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from psycopg.errors import ForeignKeyViolation

from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import MICRO, Client, cost, new_client, new_model, price_of, put_price, tariff_of
from tests.e2e.talk import Heard, Line, ask, call, chat

PAID = 1_000 * MICRO
OLD, NEW = {"prompt": "500.5", "completion": "1500.5"}, {"prompt": "900.9", "completion": "9000.9"}
STREAMS = 20
# Seconds in which a change is in force everywhere, and in which a stream that may not go on has to end.
SOON = 1.0


@dataclass
class Streams:
    """Streams under way while something changes."""

    server: Server
    client: Client
    model: str
    tag: str
    lines: list[Line] = field(default_factory=list)

    async def begin(self) -> None:
        question = f"[[tag={self.tag}]][[tokens=200]][[chunks=50]][[delay_ms=20]]Рассказывай"
        body = chat(self.model, question, stream=True)
        self.lines = await asyncio.gather(*(call(self.server, self.client.key, body) for _ in range(STREAMS)))
        for line in self.lines:
            assert await line.status() == 200

    async def end(self) -> list[bytes]:
        """The rest of each."""

        async def rest(line: Line) -> bytes:
            body = b"".join([piece async for piece in line.pieces()])
            await line.leave()
            return body

        async with asyncio.timeout(5):
            return list(await asyncio.gather(*map(rest, self.lines)))


@pytest.fixture
def client(installation: Installation) -> Client:
    return new_client(installation, PAID)


@pytest.fixture
def model(installation: Installation, express: Server) -> str:
    """One of this test's own, which the server knows."""
    slug = new_model(installation, **OLD)
    pauper = new_client(installation, 0)
    assert wait_until(lambda: ask(express, pauper.key, chat(slug, "Привет")).status == 402)
    return slug


async def changed_meanwhile(streams: Streams, change: Callable[[], Any]) -> list[bytes]:
    """What the streams bring if ``change`` happens while they run."""
    await streams.begin()
    await asyncio.to_thread(change)
    bodies = await streams.end()
    assert await asyncio.to_thread(wait_until, streams.client.is_at_rest)
    return bodies


def due(streams: Streams, twins: Twins, price: dict[str, int]) -> int:
    """What the providers' tokens cost at ``price``."""
    entries = twins.journal(streams.tag)
    assert len(entries) == STREAMS
    return sum(cost(price, one["prompt_tokens"], one["completion_tokens_sent"]) for one in entries)


async def test_a_price_that_changes_is_for_those_who_come_later(
    installation: Installation, express: Server, twins: Twins, client: Client, model: str
):
    old = price_of(installation, model)
    streams = Streams(express, client, model, "new-price")

    await changed_meanwhile(streams, lambda: put_price(installation, tariff_of(installation, model), **NEW))

    new = price_of(installation, model)
    assert old["completion"] < new["completion"]
    assert sum(client.charges()) == due(streams, twins, old)
    assert wait_until(lambda: charged_by(client, ask(express, client.key, chat(model, "Привет")), new), SOON)


def charged_by(client: Client, heard: Heard, price: dict[str, int]) -> bool:
    """Whether the answer costs what it should at ``price``."""
    record = client.installation.generation(heard.generation)
    return bool(record["cost"] == cost(price, record["tokens_prompt"], record["tokens_completion"]))


CATALOGUE = {
    "renamed": "UPDATE routing_model SET slug = slug || '-renamed' WHERE slug = %s",
    "disabled": "UPDATE routing_model SET is_enabled = false WHERE slug = %s",
    "without an endpoint": (
        "DELETE FROM routing_endpoint USING routing_model m WHERE m.id = model_id AND m.slug = %s"
    ),
    "deleted": (
        "WITH m AS (SELECT id FROM routing_model WHERE slug = %s), "
        "e AS (DELETE FROM routing_endpoint USING m WHERE model_id = m.id) "
        "DELETE FROM routing_model USING m WHERE routing_model.id = m.id"
    ),
}


@pytest.mark.parametrize("statement", CATALOGUE.values(), ids=CATALOGUE)
async def test_a_model_that_changes_ends_what_it_has_begun(
    installation: Installation, express: Server, twins: Twins, client: Client, model: str, statement: str
):
    price = price_of(installation, model)
    streams = Streams(express, client, model, f"model-{model.rpartition('-')[2]}")

    bodies = await changed_meanwhile(streams, lambda: installation.query(statement, model))

    assert all(body.endswith(b"data: [DONE]\n\n") and b'"error"' not in body for body in bodies)
    assert sum(client.charges()) == due(streams, twins, price)
    assert wait_until(lambda: ask(express, client.key, chat(model, "Привет")).status in {404, 503}, SOON)


GIVE = (
    "INSERT INTO routing_model_clients (model_id, client_id) "
    "SELECT id, unnest(%s::bigint[]) FROM routing_model WHERE slug = %s"
)
TAKE = "DELETE FROM routing_model_clients WHERE client_id = %s"


def test_who_loses_a_model_has_it_no_more_and_the_others_have_it(
    installation: Installation, express: Server, client: Client, model: str
):
    keeper, stranger = new_client(installation, PAID), new_client(installation, PAID)

    def status(who: Client) -> int:
        return ask(express, who.key, chat(model, "Привет")).status

    installation.query(GIVE, [client.id, keeper.id], model)
    installation.query("UPDATE routing_model SET visible_to = 'clients' WHERE slug = %s", model)
    assert wait_until(lambda: status(stranger) == 404, SOON)
    assert (status(client), status(keeper)) == (200, 200)

    installation.query(TAKE, client.id)

    assert wait_until(lambda: status(client) == 404, SOON)
    assert status(keeper) == 200


CALLERS: dict[str, Callable[[Client], Any]] = {
    "key disabled": lambda client: client.change_key(client.key, disabled_at="now"),
    "key deleted": lambda client: client.installation.query(
        "DELETE FROM accounts_apikey WHERE prefix = %s", client.key[:16]
    ),
    "client blocked": lambda client: client.change(is_active=False),
}


@pytest.mark.parametrize("change", CALLERS.values(), ids=CALLERS)
async def test_who_may_not_ask_any_more_pays_for_what_he_has_begun(
    installation: Installation, express: Server, twins: Twins, client: Client, change: Callable[[Client], Any]
):
    streams = Streams(express, client, "odd/openai", f"caller-{client.id}")

    bodies = await changed_meanwhile(streams, lambda: change(client))

    assert len(bodies) == STREAMS
    assert sum(client.charges()) == due(streams, twins, price_of(installation, "odd/openai"))
    assert ask(express, client.key, chat("odd/openai", "Привет")).status in {401, 403}


@dataclass
class Portal:
    """The operators' portal over HTTP, logged in by its own form."""

    server: Server
    session: requests.Session = field(default_factory=requests.Session)

    def send(self, path: str, **form: str) -> requests.Response:
        """Post a form as a browser does, with the token that the page before it has left."""
        address = f"{self.server.root}{path}"
        self.session.get(address, timeout=10).raise_for_status()
        form["csrfmiddlewaretoken"] = self.session.cookies["csrftoken"]
        answer = self.session.post(address, form, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return answer


@pytest.fixture(scope="module")
def portal(installation: Installation, workers: Server) -> Portal:
    email, password = f"{uuid4().hex}@xrouter.example", uuid4().hex
    hashed = PBKDF2PasswordHasher().encode(password, "salt", iterations=1)
    installation.query(
        "INSERT INTO accounts_user (email, name, password, is_active, is_staff, is_superuser, date_joined) "
        "VALUES (%s, '', %s, true, true, true, now())",
        email,
        hashed,
    )
    portal = Portal(workers)
    portal.send("/login/", username=email, password=password)
    return portal


STEPS = {
    "key disabled": ("apikey/{key}/disable/", 401),
    "key replaced at once": ("apikey/{key}/rotate/", 401),
    "client blocked": ("client/{client}/block/", 403),
}


@pytest.mark.parametrize(("page", "refusal"), STEPS.values(), ids=STEPS)
def test_what_an_operator_stops_is_refused_by_every_worker_within_a_second(
    installation: Installation, workers: Server, portal: Portal, page: str, refusal: int
):
    client = new_client(installation, PAID)
    key = installation.query("SELECT id FROM accounts_apikey WHERE prefix = %s", client.key[:16])[0]["id"]

    def told() -> set[int]:
        """By whichever worker takes each of ten connections."""
        return {ask(workers, client.key, chat("gigachat/pro", "Привет")).status for _ in range(10)}

    assert told() == {200}
    portal.send(f"/admin/accounts/{page.format(key=key, client=client.id)}", reason="e2e", grace="0")

    assert wait_until(lambda: told() == {refusal}, SOON)


LOG_IN = (
    "from django.test import Client; from accounts.models import User; browser = Client(); "
    "browser.force_login(User.objects.create_superuser('portal@xrouter.example')); "
    "print(browser.cookies['sessionid'].value)"
)


def test_a_provider_switched_off_in_the_portal_is_not_asked_any_more(
    installation: Installation, express: Server, client: Client
):
    def status() -> int:
        return ask(express, client.key, chat("solo/drowsy", "Привет")).status

    [provider] = installation.query("SELECT id FROM providers_provider WHERE slug = 'drowsy'")
    page = f"{express.root}/admin/providers/provider/{provider['id']}/switch/"
    with requests.Session() as browser:
        browser.cookies.set("sessionid", installation.manage("shell", "-v", "0", "-c", LOG_IN).strip())
        browser.get(page, timeout=10)
        form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        before = status()
        try:
            assert browser.post(page, {**form, "to": "off"}, timeout=10).ok
            assert wait_until(lambda: status() == 503, SOON)
        finally:
            assert browser.post(page, {**form, "to": "on"}, timeout=10).ok

    assert before == 200
    assert wait_until(lambda: status() == 200, SOON)


async def test_a_client_with_an_answer_under_way_cannot_be_deleted(
    installation: Installation, express: Server
):
    """He lives on credit, so that only the hold stands in the way."""
    client = new_client(installation, 0)
    installation.query(
        "UPDATE billing_account SET credit_limit = %s WHERE client_id = %s", 10 * MICRO, client.id
    )
    line = await call(express, client.key, chat("slow/openai", "[[ttft_ms=3000]]Привет"))
    assert await asyncio.to_thread(wait_until, client.holds)

    with pytest.raises(ForeignKeyViolation, match="billing_hold"):
        installation.query("DELETE FROM billing_account WHERE client_id = %s", client.id)
    with pytest.raises(ForeignKeyViolation):
        installation.query("DELETE FROM accounts_client WHERE id = %s", client.id)

    await line.leave()
    assert await asyncio.to_thread(wait_until, client.is_at_rest)
