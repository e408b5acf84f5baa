"""What an operator does in the portal, at real processes: a price, a look ahead, a list of the twins'."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any

import psutil
import pytest
import requests

from tests.e2e.installation import Installation, Server, wait_until
from tests.e2e.market import MICRO, cost, new_client, new_model, price_of
from tests.e2e.talk import chat

OPERATOR, PASSWORD = "prices@xrouter.example", "оператор-и-пароль"
OLD, NEW = {"prompt": "500.5", "completion": "1500.5"}, {"prompt": "900.9", "completion": "9000.9"}
# Seconds in which a price is in force everywhere, from the portal's answer on.
SOON = 1.0
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class Portal:
    """A browser without a screen in which an operator is logged in."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._session = requests.Session()
        page = self.post("/login/", username=OPERATOR, password=PASSWORD)
        assert page.ok and "id_password" not in page.text

    def post(self, path: str, **form: Any) -> requests.Response:
        page = self._session.get(self._root + path, timeout=30)
        token = TOKEN.search(page.text)
        assert token, page.text
        form["csrfmiddlewaretoken"] = token[1]
        return self._session.post(self._root + path, form, timeout=30)


class Worker:
    """Whichever of the web processes takes our first connection, and no other."""

    def __init__(self, server: Server, key: str) -> None:
        self._server, self._key = server, key
        self._line = HTTPConnection(*server.address, timeout=30)
        self._line.connect()
        self.pid = self._other_end()

    def ask(self, model: str) -> tuple[int, dict[str, Any], Decimal]:
        """The status, the body, and what it cost in roubles."""
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        body = json.dumps(chat(model, "Привет"))
        while True:
            # A connection that was idle for seconds has been closed, as it is on a busy machine.
            with suppress(ConnectionError):
                self._line.request("POST", "/v1/chat/completions", body, headers)
                answer = self._line.getresponse()
                told = json.loads(answer.read())
                return answer.status, told, Decimal(answer.headers.get("x-xrouter-cost", "0"))
            assert wait_until(self._is_back, 10)

    def _is_back(self) -> bool:
        self._line.close()
        self._line.connect()
        return self._other_end() == self.pid

    def _other_end(self) -> int:
        """The process that has taken our connection."""
        port = self._line.sock.getsockname()[1]
        main = psutil.Process(self._server.program.pid)

        def taken_by() -> list[int]:
            processes = (main, *main.children(recursive=True))
            return [
                process.pid
                for process in processes
                if any(each.raddr and each.raddr.port == port for each in process.net_connections("tcp"))
            ]

        [pid] = wait_until(taken_by, 10)
        return pid

    def charges(self, model: str, price: dict[str, int]) -> bool:
        status, told, charged = self.ask(model)
        if status == 404:
            return False  # not yet heard of
        assert status == 200, told
        usage = told["usage"]
        return charged * MICRO == cost(price, usage["prompt_tokens"], usage["completion_tokens"])

    def close(self) -> None:
        self._line.close()


@pytest.fixture(scope="module")
def portal(installation: Installation, workers: Server) -> Portal:
    installation.manage(
        "createsuperuser", "--noinput", "--email", OPERATOR, DJANGO_SUPERUSER_PASSWORD=PASSWORD
    )
    return Portal(workers.root)


@pytest.fixture
def each_worker(installation: Installation, workers: Server) -> Iterator[dict[int, Worker]]:
    """A connection to each of the two processes."""
    key = new_client(installation, 1_000 * MICRO).key
    opened: list[Worker] = []
    found: dict[int, Worker] = {}

    def are_both_found() -> bool:
        opened.append(Worker(workers, key))
        found.setdefault(opened[-1].pid, opened[-1])
        return len(found) == 2

    assert wait_until(are_both_found, 10)
    yield found
    for one in opened:
        one.close()


def test_a_price_from_the_portal_is_charged_by_every_worker_within_a_second(
    installation: Installation, portal: Portal, each_worker: dict[int, Worker]
):
    model = new_model(installation, **OLD)
    old = price_of(installation, model)
    [row] = installation.query("SELECT id FROM routing_model WHERE slug = %s", model)
    path = f"/admin/routing/model/{row['id']}/price/"
    for worker in each_worker.values():
        assert wait_until(lambda worker=worker: worker.charges(model, old))

    looked = portal.post(path, **NEW, request="0", step="look")
    saved = portal.post(path, **NEW, request="0", step="save")

    began, new = time.monotonic(), price_of(installation, model)
    took = {}
    for pid, worker in each_worker.items():
        assert wait_until(lambda worker=worker: worker.charges(model, new), SOON)
        took[pid] = time.monotonic() - began
    assert looked.ok and saved.ok
    assert (old["completion"], new["completion"]) == (1500_500_000, 9000_900_000)
    assert max(took.values()) < SOON
    print("charged anew after", ", ".join(f"{each * 1000:.0f} ms" for each in took.values()))  # noqa: T201


def test_whom_a_request_would_meet_is_told_by_the_process_that_answers_it(
    installation: Installation, portal: Portal
):
    model = new_model(installation, **OLD)

    def told() -> str:
        return portal.post("/admin/routing/model/foresee/", model=f"{model}:floor", question="Привет").text

    assert wait_until(lambda: 'id="places"' in told(), 5)
    assert "от дешёвых к дорогим" in told()


@pytest.mark.parametrize(
    ("provider", "told"),
    [("gigachat", "GigaChat-2"), ("mts-ai", "qwen"), ("yandexgpt", "списка моделей у него нет")],
)
def test_a_provider_without_credentials_lets_its_twin_tell_its_models(
    installation: Installation, portal: Portal, provider: str, told: str
):
    [row] = installation.query("SELECT id FROM providers_provider WHERE slug = %s", provider)

    page = portal.post(f"/admin/routing/endpoint/providers/{row['id']}/", step="ask")

    assert page.ok and told in page.text
