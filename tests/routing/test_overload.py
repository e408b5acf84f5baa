"""Who is held up where the machine is full: who asks far more often than others, and nobody else."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from routing.overload import AGE, BURST, COMPANY, LEAST, OFTENER, OVER, ROOM, Overload, waited
from tests.accounts.test_guesses import Clock

FULL = 0.2
GREEDY = 0
OTHERS = dict.fromkeys(range(1, 11), 5.0)


class Worker:
    """Requests that come evenly, by a clock and a kernel of its own."""

    def __init__(self, full: float = FULL) -> None:
        self.clock = Clock()
        self.waited = 0.0
        self.overload = Overload(full, lambda: self.waited, self.clock)

    def work(self, seconds: float, share: float, rates: dict[int, float]) -> Counter[int]:
        """Who was let in. ``share``: of the time in which the worker waits. ``rates``: requests a second."""
        let_in: Counter[int] = Counter()
        step = 0.001
        owed = dict.fromkeys(rates, 0.0)
        for _ in range(round(seconds / step)):
            self.clock.now += step
            self.waited += share * step
            for client, rate in rates.items():
                owed[client] += rate * step
                while owed[client] >= 1:
                    owed[client] -= 1
                    let_in[client] += self.ask(client)
        return let_in

    def ask(self, client: int) -> bool:
        if self.overload.is_felt and self.overload.refusal(client):
            return False
        self.overload.count(client)
        return True


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_while_the_machine_is_not_full_everybody_has_what_he_asks(worker: Worker) -> None:
    let_in = worker.work(10, FULL - 0.01, {GREEDY: 500, **OTHERS})

    assert let_in[GREEDY] >= 4_999
    assert not worker.overload.is_felt


def test_where_it_is_full_who_asks_far_more_often_is_held_up_and_the_others_are_not(worker: Worker) -> None:
    let_in = worker.work(10, FULL + 0.3, {GREEDY: 500, **OTHERS})

    assert let_in[GREEDY] < 2_500
    assert all(let_in[client] >= 49 for client in OTHERS)


def test_nobody_is_held_up_below_a_pace_that_is_always_his(worker: Worker) -> None:
    worker.work(10, 0.9, {GREEDY: 500, **OTHERS})

    let_in = worker.work(10, 0.9, {GREEDY: 500, **OTHERS})

    assert LEAST * 10 - 1 <= let_in[GREEDY] <= LEAST * 10 + LEAST * BURST + 1


def test_nor_below_some_times_what_others_ask(worker: Worker) -> None:
    let_in = worker.work(10, 0.9, dict.fromkeys(OTHERS, 20.0) | {GREEDY: 500})

    assert let_in[GREEDY] >= OFTENER * 20 * 10


def test_where_all_ask_alike_nobody_is_held_up(worker: Worker) -> None:
    let_in = worker.work(5, 0.9, dict.fromkeys(range(5), 100.0))

    assert min(let_in.values()) >= 499


@pytest.mark.parametrize("rates", [dict.fromkeys(OTHERS, 100.0), dict.fromkeys(OTHERS, 20.0) | {11: 75.0}])
def test_others_who_ask_more_after_a_flood_are_soon_not_held_up_by_its_pace(
    worker: Worker, rates: dict[int, float]
) -> None:
    worker.work(10, 0.9, {GREEDY: 500, **OTHERS})
    worker.work(OVER + 2, 0.9, rates)

    assert worker.work(2, 0.9, rates) == {client: pytest.approx(2 * rates[client], abs=1) for client in rates}


def test_nobody_is_held_up_who_asks_less_than_is_always_his_whatever_came_at_once(worker: Worker) -> None:
    worker.work(5, 0.9, OTHERS)
    first = [worker.ask(GREEDY) for _ in range(20)]
    worker.work(AGE + 0.01, 0.9, OTHERS)

    second = [worker.ask(GREEDY) for _ in range(25)]

    assert worker.overload.is_felt
    assert all(first + second)


def test_what_was_before_a_long_pause_does_not_count(worker: Worker) -> None:
    worker.work(10, 0.9, OTHERS)
    worker.clock.now += 3600

    assert worker.work(5, 0.05, {GREEDY: 300, **OTHERS})[GREEDY] >= 1_499


def test_who_is_alone_is_not_held_up(worker: Worker) -> None:
    assert worker.work(5, 0.9, {GREEDY: 500})[GREEDY] >= 2_499


def test_who_is_left_alone_gets_all_again(worker: Worker) -> None:
    worker.work(10, 0.9, {GREEDY: 500, **OTHERS})
    worker.work(COMPANY + 15, 0.9, {GREEDY: 500})

    assert worker.work(5, 0.9, {GREEDY: 500})[GREEDY] >= 2_499


def test_who_comes_rarely_may_come_with_many_at_once(worker: Worker) -> None:
    worker.work(10, 0.9, {GREEDY: 500, **OTHERS})

    assert all(worker.ask(1) for _ in range(20))
    assert all(worker.ask(99) for _ in range(20))


def test_whoever_has_asked_for_too_much_begins_with_nothing_at_once(worker: Worker) -> None:
    flood = {GREEDY: 500.0, **OTHERS}
    while not worker.overload.is_felt:
        worker.work(0.2, 0.9, flood)

    # Before the pace slows down for the first time.
    assert worker.work(0.1, 0.9, flood)[GREEDY] < 500 * 0.1


def test_where_that_is_not_wanted_nobody_is() -> None:
    assert Worker(full=1).work(5, 1, {GREEDY: 500, **OTHERS})[GREEDY] >= 2_499


def test_when_there_is_room_again_he_gets_more_and_soon_all(worker: Worker) -> None:
    flood = {GREEDY: 500.0, **OTHERS}
    worker.work(10, 0.9, flood)

    first, second, _, last = (worker.work(5, 0.1, flood)[GREEDY] for _ in range(4))

    assert LEAST * 5 < first < second < last
    assert last >= 2_499


@pytest.mark.parametrize("share", [0.05, 0.9])
def test_when_he_has_gone_nothing_is_remembered(worker: Worker, share: float) -> None:
    worker.work(5, 0.9, {GREEDY: 500, **OTHERS})
    assert worker.overload.is_felt

    worker.work(OVER + 2 * AGE, share, OTHERS)

    assert not worker.overload.is_felt
    assert not worker.overload._next


def test_one_burst_of_other_work_is_not_taken_for_a_full_machine(worker: Worker) -> None:
    flood = {GREEDY: 500.0, **OTHERS}
    worker.work(5, 0.05, flood)

    worker.work(AGE, 0.3, flood)

    assert not worker.overload.is_felt


def test_he_hears_when_to_come_again_and_is_let_in_then(worker: Worker) -> None:
    worker.work(10, 0.9, {GREEDY: 500, **OTHERS})
    while (told := worker.overload.refusal(GREEDY)) is None:
        pass
    assert told.retry_after is not None

    worker.clock.now += told.retry_after + 1e-6

    assert 0 < told.retry_after <= 1 / LEAST + 1e-6
    assert worker.overload.refusal(GREEDY) is None


def test_after_a_pause_a_few_may_come_at_once(worker: Worker) -> None:
    worker.work(10, 0.9, {GREEDY: 500, **OTHERS})
    worker.clock.now += 10

    let_in = sum(worker.overload.refusal(GREEDY) is None for _ in range(1_000))

    assert let_in == pytest.approx(LEAST * BURST + 1, abs=1)


def test_so_many_clients_are_remembered_and_no_more(worker: Worker) -> None:
    worker.work(5, 0.9, {GREEDY: 500, **OTHERS})

    for client in range(2 * ROOM):
        worker.overload.refusal(client)

    assert len(worker.overload._next) == ROOM


# The kernel -----------------------------------------------------------------------------------------


def test_what_the_kernel_counts_grows_where_another_process_wants_the_same_processor() -> None:
    before, was_on = waited(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(was_on)})  # this thread, and what it starts
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        is_over = time.monotonic() + 60
        while waited() < before + 0.05 and time.monotonic() < is_over:
            pass
    finally:
        rival.kill()
        rival.wait()
        os.sched_setaffinity(0, was_on)

    assert waited() >= before + 0.05


@pytest.mark.parametrize("told", [None, "", "nothing"])
def test_where_no_kernel_tells_nobody_ever_waits(tmp_path: Path, told: str | None) -> None:
    path = tmp_path / "schedstat"
    if told is not None:
        path.write_text(told)

    assert waited(path) == 0.0


def test_requests_may_come_by_threads_that_end() -> None:
    clock = Clock()
    counted = Overload(0.2, clock=clock)
    for client in range(20):
        clock.now += AGE
        thread = threading.Thread(target=counted.count, args=[client])
        thread.start()
        thread.join()

    assert counted._came == {19: 1}
