"""Sums of hours: equal to what was recorded and charged, whatever came late, twice, or was killed."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from random import Random
from threading import Thread
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections, transaction

from accounts.models import ApiKey
from billing import ledger
from billing.durations import BORDERS, CLASSES, middle, percentile
from billing.models import Generation, GenerationStatus, UsageHour, UsageMark, UsageMinute, UsagePace
from billing.money import roubles
from billing.periods import moscow_day
from billing.tasks import sum_up_usage
from billing.usage import KEPT, count_anew, count_marked, mark_all, marked, sum_up
from billing.usage_audit import usage_audit
from tests.books import full_books, make_hold, make_record, spend
from tests.builders import make_client, make_generation, make_key, open_our_accounts
from tests.database import own_connection

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
# Moments at which an hour, or Moscow's day, ends and begins.
MOMENTS = [
    *(NOON, NOON + timedelta(minutes=59, seconds=59, microseconds=999_999), NOON + timedelta(hours=1)),
    *(NOON + timedelta(hours=8, minutes=59), NOON + timedelta(hours=9)),
]
# Of which the sums of minutes are kept.
THIS_HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
SUMMED = (
    *("requests", "answers", "errors", "cancelled", "cost", "refunded"),
    *("tokens_prompt", "tokens_completion", "tokens_cached", "tokens_reasoning"),
    *("duration_ms", "first_token_ms", "first_tokens"),
)
Place = tuple[datetime, int, int | None, str, str]


def counted() -> dict[Place, dict[str, Any]]:
    return {
        (row["hour"], row["client_id"], row["key_id"], row["model"], row["provider"]): {
            name: row[name] for name in (*SUMMED, "durations")
        }
        for row in UsageHour.objects.values()
    }


def expected() -> dict[Place, dict[str, Any]]:
    """The same, added up here one by one."""
    sums: dict[Place, dict[str, Any]] = defaultdict(
        lambda: {**dict.fromkeys(SUMMED, 0), "durations": [0] * CLASSES}
    )
    for each in Generation.objects.values():
        hour = each["created_at"].replace(minute=0, second=0, microsecond=0)
        name = (each["model"] or each["model_requested"])[:200]
        total = sums[hour, each["client_id"], each["key_id"], name, each["provider"]]
        end = {"ok": "answers", "cancelled": "cancelled"}.get(each["status"], "errors")
        total["requests"] += 1
        total[end] += 1
        for field in SUMMED[4:10]:
            total[field] += each[field]
        if end == "answers":
            total["duration_ms"] += each["duration_ms"]
            total["first_token_ms"] += each["first_token_ms"] or 0
            total["first_tokens"] += each["first_token_ms"] is not None
            total["durations"][sum(border <= each["duration_ms"] for border in BORDERS)] += 1
    return dict(sums)


# --- What is counted ---------------------------------------------------------------------------------


def test_an_hour_adds_up_what_its_requests_were():
    owner = make_client()
    key, _ = make_key(owner)
    usual = {"key": key, "created_at": NOON, "tokens_prompt": 10, "tokens_completion": 3}
    make_generation(owner, **usual, cost=7, refunded=2, duration_ms=100, first_token_ms=40)
    make_generation(owner, **usual, cost=5, duration_ms=32)
    for status in (GenerationStatus.FAILED, GenerationStatus.EXPIRED, GenerationStatus.REFUSED):
        make_generation(owner, **usual, status=status, duration_ms=1)
    make_generation(owner, **usual, status=GenerationStatus.CANCELLED, cost=1, duration_ms=9_000)
    make_generation(owner, created_at=NOON, model="", provider="", model_requested="m" * 5_000)

    assert sum_up() == 1

    row = UsageHour.objects.get(key=key)
    assert (row.requests, row.answers, row.errors, row.cancelled) == (6, 2, 3, 1)
    assert (row.tokens_prompt, row.tokens_completion) == (60, 18)
    assert (row.cost, row.refunded) == (13, 2)
    assert (row.duration_ms, row.first_token_ms, row.first_tokens) == (132, 40, 1)
    assert [number for number, count in enumerate(row.durations) if count] == [1, 4]
    assert counted() == expected()


def test_what_is_counted_is_marked_no_more_and_nothing_is_counted_twice():
    make_generation(created_at=NOON)
    assert UsageMark.objects.values_list("hour", "minute").get() == (NOON, NOON)

    assert [sum_up(), sum_up()] == [1, 0]

    assert counted() == expected()
    assert not UsageMark.objects.exists()


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_request_is_in_the_hour_it_came_in(moment):
    make_generation(created_at=moment)

    sum_up()

    assert UsageHour.objects.get().hour == moment.replace(minute=0, second=0, microsecond=0)


def test_whatever_changes_a_generation_has_its_hour_counted_anew():
    first, second = (make_generation(created_at=NOON + timedelta(hours=hours)) for hours in (0, 1))
    sum_up()

    Generation.objects.filter(pk=first.pk).update(created_at=NOON + timedelta(hours=2), tokens_prompt=5)
    Generation.objects.filter(pk=second.pk).delete()

    assert sum_up() == 3
    assert list(UsageHour.objects.values_list("hour", "tokens_prompt")) == [(NOON + timedelta(hours=2), 5)]


def test_history_without_marks_is_counted_when_it_is_told_to():
    make_generation(created_at=NOON)
    UsageMark.objects.all().delete()
    UsageHour.objects.bulk_create([_nonsense(NOON - timedelta(hours=1))])

    call_command("usage_backfill", stdout=(said := StringIO()))

    assert "Посчитано часов: 2" in said.getvalue()
    assert counted() == expected()


# --- By the minute --------------------------------------------------------------------------------------


def unnoticed(statement: str) -> None:
    """Change what no trigger marks."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("SET session_replication_role = DEFAULT")


def test_of_a_running_hour_only_the_minutes_that_changed_are_read_again():
    owner = make_client()
    _, second = (make_generation(owner, created_at=THIS_HOUR + timedelta(minutes=at)) for at in (1, 2))
    sum_up()
    unnoticed("UPDATE billing_generation SET tokens_prompt = 5")

    Generation.objects.filter(pk=second.pk).update(tokens_prompt=3)
    make_generation(owner, created_at=THIS_HOUR + timedelta(minutes=2), tokens_prompt=4)

    assert sum_up() == 1
    row = UsageHour.objects.get()
    assert (row.requests, row.tokens_prompt, sum(row.durations)) == (3, 7, 3)

    mark_all()
    sum_up()
    assert counted() == expected()


def test_what_is_gone_from_a_minute_is_gone_from_its_hour():
    here, there = (make_generation(created_at=THIS_HOUR + timedelta(minutes=at)) for at in (0, 59))
    sum_up()

    here.delete()
    Generation.objects.filter(pk=there.pk).update(created_at=THIS_HOUR + timedelta(hours=1))
    sum_up()

    assert counted() == expected()
    assert UsageMinute.objects.get().hour == THIS_HOUR + timedelta(hours=1)


def test_an_hour_that_says_less_than_its_minutes_is_counted_as_a_whole():
    generation = make_generation(created_at=THIS_HOUR, tokens_prompt=5)
    sum_up()
    UsageHour.objects.update(tokens_prompt=1)

    Generation.objects.filter(pk=generation.pk).update(tokens_prompt=2)
    sum_up()

    assert counted() == expected()


def test_marks_from_before_minutes_were_told_stand_for_their_whole_hour():
    for minute in (3, 30):
        make_generation(created_at=THIS_HOUR + timedelta(minutes=minute))
    UsageMark.objects.all().delete()
    UsageMark.objects.create(hour=THIS_HOUR)

    sum_up()

    assert counted() == expected()
    assert UsageMinute.objects.count() == 2


def test_minutes_are_kept_for_a_while_only():
    make_generation(created_at=THIS_HOUR)
    sum_up()
    UsageMinute.objects.update(hour=THIS_HOUR - KEPT - timedelta(hours=1))

    make_generation(created_at=NOON)
    sum_up()

    assert not UsageMinute.objects.exists()


def test_how_fast_a_model_was_is_added_up_over_everybody():
    for duration in (40, 50, 90_000):
        make_generation(created_at=THIS_HOUR, duration_ms=duration)
    make_generation(created_at=NOON - timedelta(days=365))

    sum_up()

    pace = UsagePace.objects.get()
    assert (pace.hour, pace.model, pace.provider, pace.answers) == (THIS_HOUR, "gigachat/pro", "gigachat", 3)
    assert percentile(pace.durations, 50) < 60 < percentile(pace.durations, 95)


def _nonsense(hour: datetime) -> UsageHour:
    sums = dict.fromkeys((*SUMMED, "client_id"), 0)
    return UsageHour(hour=hour, model="m", durations=[], **sums)


# --- Late, repeated, killed -----------------------------------------------------------------------------


class Story:
    """A client that asks, and hands that count, in an order that nobody foresaw."""

    def __init__(self, seed: int, noon: datetime) -> None:
        self.dice, self.moments = Random(seed), [moment - NOON + noon for moment in MOMENTS]
        self.client = make_client(balance="100000")
        self.keys = [make_key(self.client)[0] for _ in range(3)]
        self.told: list[Any] = []

    def step(self) -> None:
        steps = (self.ask, self.ask, self.ask, self.tell_again, self.come_late, self.give_back)
        self.dice.choice((*steps, self.lose_a_key, sum_up, self.be_killed, mark_all))()

    def ask(self) -> None:
        self._settle(make_hold(self.key))

    def tell_again(self) -> None:
        if self.told:
            ledger.settle(self.dice.choice(self.told))

    def come_late(self) -> None:
        """Its hold has been reaped, and perhaps counted as lost."""
        generation_id = make_hold(self.key, "2", seconds=0)
        ledger.reap()
        if self.dice.random() < 0.5:
            sum_up()
        self._settle(generation_id)

    def give_back(self) -> None:
        paid = Generation.objects.filter(cost__gt=0, refunded=0).first()
        if paid:
            ledger.refund(paid, 1, cause=f"refund of {paid.pk}")

    def lose_a_key(self) -> None:
        if len(self.keys) > 1:
            self.keys.pop().delete()

    def be_killed(self) -> None:
        """In the middle of a run: what was not committed never was."""
        for hour, minutes in marked().items():
            with transaction.atomic():
                is_old = hour < datetime.now(UTC) - KEPT
                count_anew(hour) if is_old else count_marked(hour, minutes)
                if self.dice.random() < 0.5:
                    transaction.set_rollback(True)
                    break

    @property
    def key(self) -> ApiKey:
        return self.dice.choice(self.keys)

    def _settle(self, generation_id: Any) -> None:
        status = self.dice.choice(["ok", "ok", "failed", "cancelled"])
        facts: dict[str, Any] = {
            "created_at": self.dice.choice(self.moments),
            "model": self.dice.choice(["gigachat/pro", "yandexgpt/pro", ""]),
            "status": status,
            "duration_ms": self.dice.randrange(1_000_000),
            "first_token_ms": self.dice.choice([None, 5]),
        }
        record = make_record(self.key, generation_id, **facts)
        self.told.append(record)
        ledger.settle(record)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("seed", "noon"), [(0, NOON), (1, NOON), (2, THIS_HOUR), (3, THIS_HOUR), (4, THIS_HOUR)]
)
def test_whatever_happens_in_whatever_order_the_sums_are_those_of_the_ledger(seed, noon):
    open_our_accounts()
    story = Story(seed, noon)

    for _ in range(40):
        story.step()
    sum_up()

    assert counted() == expected()
    report = usage_audit()
    assert report["clean"], report["examples"]
    assert (report["waiting"], report["days"]) == (0, len({moscow_day(hour) for hour, *_ in counted()}))
    charged = -sum(move.signed for move in ledger.wallet_of(story.client).movements().filter(code="charge"))
    assert sum(row["cost"] for row in counted().values()) == charged > 0


@pytest.mark.django_db(transaction=True)
def test_beats_at_once_do_no_harm():
    for hours in range(6):
        make_generation(created_at=NOON + timedelta(hours=hours))

    @own_connection()
    def run(_: int) -> None:
        sum_up_usage()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(8)))

    assert counted() == expected()
    assert not UsageMark.objects.exists()


BLOCKED = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'billing_usagehour'::regclass"


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_killed_is_taken_up_by_the_next():
    make_generation(created_at=NOON)
    failures: list[Exception] = []

    @own_connection()
    def run() -> None:
        try:
            sum_up()
        except OperationalError as exc:
            failures.append(exc)

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE billing_usagehour IN EXCLUSIVE MODE")
        victim = Thread(target=run)
        victim.start()
        while victim.is_alive() and not (found := _rows(cursor, BLOCKED)):
            cursor.execute("SELECT pg_sleep(0.01)")
        cursor.execute("SELECT pg_terminate_backend(%s)", found[0])
        victim.join()

    assert failures
    assert counted() == {}
    assert sum_up() == 1
    assert counted() == expected()


def _rows(cursor: Any, statement: str) -> list[Any]:
    cursor.execute(statement)
    return list(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_what_is_committed_while_its_hour_is_counted_is_counted_next():
    make_generation(created_at=NOON)
    other = connections.create_connection("default")
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:  # not committed yet
            cursor.execute("UPDATE billing_generation SET tokens_prompt = 77")
        sum_up()
        assert UsageHour.objects.get().tokens_prompt == 0

        other.commit()
        assert sum_up() == 1
    finally:
        other.close()

    assert UsageHour.objects.get().tokens_prompt == 77


# --- The audit ------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_books_in_which_everything_has_happened_are_counted_right():
    full_books()

    sum_up()

    assert counted() == expected()
    assert usage_audit()["clean"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_usagehour SET cost = cost + 1",
        "UPDATE billing_usagehour SET durations[3] = durations[3] + 1",
        "UPDATE billing_usagehour SET hour = hour - interval '1 hour'",
        "DELETE FROM billing_usagehour",
        'INSERT INTO billing_usagehour SELECT (jsonb_populate_record(h, \'{"id": 0, "model": "x"}\')).*'
        " FROM billing_usagehour h",
        "UPDATE billing_generation SET tokens_cached = tokens_cached + 1",
        "DELETE FROM billing_generation",
        "UPDATE billing_transfer SET amount = amount + 1 WHERE code = 'charge'",
        "DELETE FROM billing_transfer WHERE code = 'charge'",
    ],
)
def test_the_audit_finds_what_is_not_so(statement):
    open_our_accounts()
    spend(make_key(make_client(balance="100"))[0])
    sum_up()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no trigger marks it
        cursor.execute(statement)
        assert cursor.rowcount == 1

    with pytest.raises(CommandError) as failed:
        call_command("usage_audit", "--json", stdout=StringIO())

    assert failed.value.returncode == 1


@pytest.mark.django_db(transaction=True)
def test_the_audit_leaves_out_what_waits_and_says_so():
    open_our_accounts()
    spend(make_key(make_client(balance="100"))[0], cost=roubles("1"))

    report = usage_audit()

    assert (report["clean"], report["waiting"], report["rows"]) == (True, 1, 0)
    assert report["waiting_since"]


# --- How long answers took -------------------------------------------------------------------------------


def test_percentiles_are_within_a_fifth_of_what_was_measured():
    dice = Random(1)
    measured = sorted(int(dice.lognormvariate(7, 1.2)) + 33 for _ in range(500))
    counts = [0] * CLASSES
    for value in measured:
        counts[sum(border <= value for border in BORDERS)] += 1

    for percent in (1, 50, 95, 100):
        exact = measured[-(-len(measured) * percent // 100) - 1]
        assert abs(percentile(counts, percent) - exact) <= exact / 5


def test_borders_rise_and_the_ends_are_told_by_their_border():
    assert list(BORDERS) == sorted(set(BORDERS))
    assert (middle(0), middle(CLASSES - 1)) == (BORDERS[0], BORDERS[-1])
    assert percentile([0] * CLASSES, 50) is None
