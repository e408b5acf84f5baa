"""A look at what a request said: by whom, with what reason, and what is left of it in the journal."""

from io import StringIO
from typing import Any

import orjson
import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import reverse

from accounts import contents, roles
from accounts.models import Change, Client
from billing.models import Generation
from routing.contents import shelf
from routing.contents.models import Content
from routing.contents.transcript import Question, Transcript
from tests.builders import clerks_browser, make_client, make_generation, make_user, operators_browser

pytestmark = pytest.mark.django_db

PROMPT, ANSWER = "секретный план", "ответ на план"
REASON = "обращение 7: пустой ответ"
XSS = '<script>alert(1)</script><img src=x onerror="alert(2)">'
MAY_LOOK = ("view_generation", "view_content")


def address(generation: Generation, page: str = "content") -> str:
    return reverse(f"admin:billing_generation_{page}", args=[generation.pk])


def kept(client: Client, body: Any, answer: Any) -> Generation:
    """A generation with its content."""
    generation = make_generation(client)
    question = Question(body if isinstance(body, bytes) else orjson.dumps(body))
    transcript = Transcript(_Asked(generation), client.pk, question)
    transcript.deliver(answer if isinstance(answer, bytes) else orjson.dumps(answer))
    assert shelf.put([transcript])
    return generation


class _Asked:
    def __init__(self, generation: Generation) -> None:
        self.id, self.created_at = generation.pk, generation.created_at


def chat(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0.5}


def completion(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


@pytest.fixture
def client_() -> Client:
    client = make_client("Ромашка")
    contents.keep(client, 7)
    return client


@pytest.fixture
def generation(client_) -> Generation:
    return kept(client_, chat(PROMPT), completion(ANSWER))


@pytest.fixture
def looking() -> Browser:
    return clerks_browser(*MAY_LOOK)


def page_of(browser: Browser, generation: Generation, **typed: str) -> str:
    answer = browser.post(address(generation), typed) if typed else browser.get(address(generation))
    assert answer.status_code == 200
    assert "no-store" in answer["cache-control"]
    return answer.content.decode()


# What is shown --------------------------------------------------------------------------------------


def test_with_a_reason_the_question_and_the_answer_are_shown(looking, generation):
    page = page_of(looking, generation, reason=REASON)

    assert PROMPT in page
    assert ANSWER in page
    assert "temperature" in page


def test_the_form_alone_shows_nothing_and_writes_nothing(looking, generation):
    page = page_of(looking, generation)

    assert PROMPT not in page
    assert ANSWER not in page
    assert not Change.objects.filter(action=Change.Action.ACCESS).exists()


@pytest.mark.parametrize("reason", ["", "   ", "надо", "а" * 9, "а" * 301])
def test_without_a_real_reason_nothing_is_shown(looking, generation, reason):
    page = page_of(looking, generation, reason=reason)

    assert PROMPT not in page
    assert not Change.objects.filter(action=Change.Action.ACCESS).exists()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (chat(XSS), completion(XSS)),
        ({"model": XSS, "messages": [{"role": XSS, "content": [{"type": "text", "text": XSS}]}]}, {XSS: XSS}),
        ({"model": "m", "prompt": XSS}, {"choices": [{"text": XSS}]}),
        ({"model": "m", "input": [XSS]}, b""),
        (XSS.encode(), XSS.encode()),
        (chat("x"), {"error": {"message": XSS}}),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": XSS}}]}]}, b"{}"),
        ({"model": "m", "prompt": XSS, "messages": None}, b"{}"),
        ({**chat(XSS), "choices": 7}, {"choices": [1]}),
        ([XSS], {"choices": [{"message": XSS}]}),
    ],
    ids=["chat", "parts", "text", "vectors", "cut", "error", "calls", "nothing", "odd choices", "no object"],
)
def test_whatever_was_said_is_text(looking, client_, body, answer):
    page = page_of(looking, kept(client_, body, answer), reason=REASON + XSS)

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_what_was_cut_says_so_and_is_shown_as_far_as_it_goes(looking, client_):
    generation = kept(client_, orjson.dumps(chat("слово " * 60_000)), b"{}")

    page = page_of(looking, generation, reason=REASON)

    assert page.count("Обрезано") == 1
    assert "слово слово" in page


def test_what_no_key_opens_is_told_and_the_look_is_in_the_journal(looking, generation):
    Content.objects.update(answer=b"x" * 40)

    page = page_of(looking, generation, reason=REASON)

    assert "Не удалось расшифровать" in page
    assert PROMPT not in page
    assert Change.objects.filter(action=Change.Action.ACCESS).count() == 1


# The generation's page ------------------------------------------------------------------------------


def test_a_generation_without_content_says_so(looking):
    generation = make_generation()

    page = looking.get(address(generation, "change")).content.decode()

    assert "Содержание не хранится." in page
    assert address(generation) not in page
    assert "Содержание не хранится." in page_of(looking, generation, reason=REASON)


def test_a_generation_with_content_leads_to_it_and_shows_none_of_it(looking, generation):
    page = looking.get(address(generation, "change")).content.decode()

    assert address(generation) in page
    assert "Содержание хранится до" in page
    assert PROMPT not in page


def test_once_its_client_stops_nobody_is_shown_it(looking, generation, client_):
    contents.stop(client_)

    assert "Содержание не хранится." in looking.get(address(generation, "change")).content.decode()
    assert PROMPT not in page_of(looking, generation, reason=REASON)
    assert not Change.objects.filter(action=Change.Action.ACCESS).exists()


# Who may --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "may"),
    [("viewer", False), ("support", False), ("billing", False), ("operator", True), ("owner", True)],
)
def test_of_the_roles_only_operators_and_owners_may_look(generation, role, may):
    roles.establish()
    person = make_user(is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    browser = Browser()
    browser.force_login(person)

    shown = browser.get(address(generation, "change")).content.decode()
    answer = browser.post(address(generation), {"reason": REASON})

    assert (address(generation) in shown) is may
    assert (PROMPT in answer.content.decode()) is may
    assert answer.status_code == (200 if may else 403)


@pytest.mark.parametrize("permissions", [("view_generation",), ("view_content",), ()])
def test_both_permissions_are_needed(generation, permissions):
    browser = clerks_browser(*permissions)

    assert browser.get(address(generation)).status_code == 403
    assert browser.post(address(generation), {"reason": REASON}).status_code == 403


def test_of_a_generation_that_is_not_there_nothing_is_told(looking, generation):
    path = address(generation).replace(str(generation.pk), "00000000-0000-0000-0000-000000000000")

    assert looking.post(path, {"reason": REASON}).status_code == 404


# What is left of it ---------------------------------------------------------------------------------


def test_each_look_is_in_the_journal_without_what_was_seen(looking, generation):
    page_of(looking, generation, reason=REASON)
    page_of(looking, generation, reason=REASON)

    looks = list(Change.objects.filter(action=Change.Action.ACCESS))
    assert len(looks) == 2
    assert {look.object_pk for look in looks} == {str(generation.pk)}
    assert all(look.actor.is_staff for look in looks)
    told = str([(look.changes, look.additional_data, look.object_repr) for look in looks])
    assert "Ромашка" in told
    assert REASON in told
    assert PROMPT not in told
    assert ANSWER not in told


def test_there_is_no_list_of_contents():
    assert not admin.site.is_registered(Content)


def test_neither_lists_nor_exports_nor_dumps_have_any_of_it(generation):
    operator, said = operators_browser(), StringIO()
    the_list = reverse("admin:billing_generation_changelist")
    exported = operator.post(reverse("admin:billing_generation_export"))

    call_command("dumpdata", "routing.content", "billing.generation", stdout=said)

    told = [b"".join(exported.streaming_content).decode("utf-8-sig"), said.getvalue()]
    told += [operator.get(the_list + query).content.decode() for query in ("", f"?q={generation.pk}")]
    assert all(str(generation.pk) in each for each in told)
    assert not any(PROMPT in each or ANSWER in each for each in told)
    assert str(generation.pk) not in operator.get(the_list, {"q": PROMPT}).content.decode()
