"""Contents in the database: who has any, who may still be shown one, and when they are gone."""

import base64
from datetime import timedelta
from io import StringIO
from uuid import UUID, uuid4

import orjson
import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts import contents
from accounts.models import Client
from providers.vault import VaultError
from routing import tasks
from routing.contents import shelf
from routing.contents.models import Content
from routing.contents.transcript import Question, Transcript
from tests.builders import make_client

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
SECRET = "тайна-7f3a"


class Asked:
    def __init__(self, age: timedelta = timedelta()) -> None:
        self.id: UUID = uuid4()
        self.created_at = timezone.now() - age


def keeping(days: int = 7, since: timedelta = timedelta(days=365)) -> Client:
    """A client that asked for it a year ago."""
    client = make_client()
    contents.keep(client, days)
    client.content_since = timezone.now() - since
    client.save()
    return client


def given(client: Client, age: timedelta = timedelta(), question: str = SECRET) -> Transcript:
    body = orjson.dumps({"messages": [{"role": "user", "content": question}]})
    transcript = Transcript(Asked(age), client.pk, Question(body))
    transcript.deliver(b'{"choices": []}')
    return transcript


def numbers() -> set[UUID]:
    return set(Content.objects.values_list("pk", flat=True))


# Put ------------------------------------------------------------------------------------------------


def test_what_is_put_is_sealed_and_opens_as_it_was():
    transcript = given(keeping())

    shelf.put([transcript])

    content = shelf.in_force(transcript.id)
    assert content
    opened = shelf.opened(content)
    assert (opened.question, opened.answer) == (transcript.question.text, b'{"choices": []}')
    with connection.cursor() as cursor:
        cursor.execute("SELECT question || answer FROM routing_content")
        assert SECRET.encode() not in bytes(cursor.fetchone()[0])
    assert SECRET not in repr(opened)


def test_only_clients_that_asked_have_any():
    theirs, others = given(keeping()), given(make_client())

    assert shelf.put([theirs, others]) == 1

    assert numbers() == {theirs.id}


def test_what_began_before_the_consent_is_not_kept():
    client = keeping(since=timedelta(minutes=5))

    assert shelf.put([given(client, age=timedelta(minutes=6))]) == 0


def test_what_is_under_way_when_its_client_stops_is_not_kept():
    client = keeping()
    under_way = given(client)

    contents.stop(client)

    assert shelf.put([under_way]) == 0


def test_the_same_twice_is_once():
    transcript = given(keeping())

    shelf.put([transcript])
    shelf.put([transcript])

    assert numbers() == {transcript.id}


def test_a_content_moved_to_another_row_does_not_open():
    client = keeping()
    one, another = given(client, question="одно"), given(client, question="другое")
    shelf.put([one, another])
    moved = Content.objects.get(pk=one.id)
    moved.question = Content.objects.get(pk=another.id).question

    with pytest.raises(VaultError):
        shelf.opened(moved)


# In force -------------------------------------------------------------------------------------------


def test_what_is_too_old_is_shown_to_nobody_even_before_it_is_deleted():
    client = keeping(days=2)
    transcript = given(client, age=3 * DAY)
    shelf.put([transcript])

    assert shelf.in_force(transcript.id) is None
    contents.keep(client, 4)
    assert shelf.in_force(transcript.id)


def test_what_was_kept_before_a_stop_is_shown_to_nobody_even_if_it_is_kept_again():
    client = keeping()
    transcript = given(client)
    shelf.put([transcript])

    contents.stop(client)
    assert shelf.in_force(transcript.id) is None
    contents.keep(client, 7)
    assert shelf.in_force(transcript.id) is None


# Forgotten ------------------------------------------------------------------------------------------


def test_each_client_has_days_of_its_own():
    short, long = keeping(days=1), keeping(days=30)
    kept = [given(short, 0.9 * DAY), given(long, 29 * DAY)]
    due = [given(short, 1.1 * DAY), given(long, 31 * DAY)]
    shelf.put([*kept, *due])

    tasks.forget_contents()

    assert numbers() == {each.id for each in kept}


def test_of_a_client_that_stopped_everything_goes_and_of_others_nothing():
    client, other = keeping(), keeping()
    shelf.put([given(client), given(client, DAY), kept := given(other)])
    contents.stop(client)

    tasks.forget_contents()

    assert numbers() == {kept.id}


def test_what_was_kept_before_a_stop_goes_though_it_is_kept_again():
    client = keeping()
    shelf.put([given(client)])
    contents.stop(client)
    contents.keep(client, 7)
    shelf.put([kept := given(client)])

    tasks.forget_contents()

    assert numbers() == {kept.id}


def test_much_goes_in_batches(django_assert_max_num_queries):
    client = keeping(days=1)
    row = shelf._row(given(client, 2 * DAY))
    Content.objects.bulk_create(
        Content(
            generation=uuid4(),
            client=client,
            began_at=row.began_at,
            vault_key_id=row.vault_key_id,
            question=b"",
            answer=b"",
        )
        for _ in range(shelf.AT_ONCE + 1)
    )

    with django_assert_max_num_queries(1 + 2 * 2 + 1) as asked:
        assert shelf.forget() == shelf.AT_ONCE + 1

    assert len([each for each in asked if each["sql"].startswith("DELETE")]) == 2
    assert not any('"question"' in each["sql"] for each in asked)  # what is deleted is not read


def test_with_its_client_goes_what_it_said():
    client = make_client()
    contents.keep(client, 7)
    shelf.put([given(client)])
    client.wallet.delete()

    client.delete()

    assert not numbers()


# The vault ------------------------------------------------------------------------------------------


def test_the_rotation_of_the_vault_seals_contents_anew(settings):
    old, new = (f"{name}:{base64.b64encode(name.encode() * 32).decode()}" for name in "on")
    settings.XROUTER_VAULT_KEYS = [old]
    shelf.put([transcript := given(keeping())])

    settings.XROUTER_VAULT_KEYS = [new, old]
    call_command("rotate_vault", stdout=StringIO())

    settings.XROUTER_VAULT_KEYS = [new]
    content = shelf.in_force(transcript.id)
    assert content
    assert shelf.opened(content).question == transcript.question.text
