"""Answers in a form that was promised, over real sockets: what is got, what is asked, who pays."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from typing import Any

import orjson
import psutil
import pytest
from psutil import Process

from providers.errors import Truncated
from providers.twins.answers import ONCE_MORE
from routing.errors import BadRequest, NobodyAnswered, TooManyUnfit, Unavailable, Unfit
from routing.promised import inspector
from routing.promised.promise import AGAIN
from tests.gateways import DONE, ROLE, House, before, caller, delta, event, spoken
from tests.gateways import card as card_of
from tests.gateways import route as route_of
from tests.routing.promised.test_form import PERSON, asked
from tests.servers import END, Line, Vendor, reply, stream_head

GOOD = '{"name": "Иван", "age": 40}'
OLD = '{"name": "Иван", "age": "сорок"}'
TALK = "Не знаю такого."
PROMISED = asked(PERSON)


def answered(
    text: str, finish: str = "stop", prompt: int = 10, completion: int = 5, **message: Any
) -> dict[str, Any]:
    said = {"role": "assistant", "content": text, **message}
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"choices": [{"index": 0, "message": said, "finish_reason": finish}], "usage": usage}


class Model(Vendor):
    """A vendor that says one answer after the other, whole or in small pieces; then the last again."""

    def __init__(self, *answers: dict[str, Any] | str) -> None:
        super().__init__(self._tell)
        self._answers = [answered(each) if isinstance(each, str) else each for each in answers]

    @property
    def questions(self) -> list[list[dict[str, Any]]]:
        return [asked.json["messages"] for asked in self.requests]

    async def _tell(self, line: Line) -> None:
        while True:
            asked = await line.asked()
            answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
            if asked.json.get("stream"):
                await line.say(stream_head(), ROLE, *pieces(answer), DONE, END)
            else:
                await line.say(reply(answer))


def pieces(answer: dict[str, Any]) -> Iterator[bytes]:
    choice = answer["choices"][0]
    text = choice["message"]["content"]
    yield from (delta(text[at : at + 2]) for at in range(0, len(text), 2))
    if calls := choice["message"].get("tool_calls"):
        yield event({"choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None}]})
    yield delta(finish=choice["finish_reason"])
    yield event({"choices": [], "usage": answer["usage"]})


async def whole(house: House, **chat: Any) -> str:
    completion = await house.complete(**{**PROMISED, **chat})
    return completion["choices"][0]["message"]["content"]


async def streamed(house: House, **chat: Any) -> str:
    return spoken(await house.stream(**{**PROMISED, **chat}))


BOTH = pytest.mark.parametrize("ask", [whole, streamed])


# What the customer gets -----------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("said", [GOOD, f"```json\n{GOOD}\n```", f"Вот ответ: {GOOD} Готово!"])
async def test_an_answer_that_fits_is_asked_for_once_and_given_without_what_stands_around(ask, said):
    async with Model(said) as model, before(model) as house:
        assert await ask(house) == GOOD

    assert len(model.requests) == 1


@BOTH
@pytest.mark.parametrize("bad", [TALK, OLD, '{"name": "Иван", "age": 40', "", "[]"])
async def test_one_that_does_not_fit_is_asked_for_again(ask, bad):
    async with Model(bad, GOOD) as model, before(model) as house:
        assert json.loads(await ask(house)) == {"name": "Иван", "age": 40}

    first, second = model.questions
    assert second[: len(first)] == first
    assert [message["role"] for message in second[len(first) :]] == (
        ["assistant", "user"] if bad else ["user"]
    )
    assert "Ответ не подходит" in second[-1]["content"]


@BOTH
async def test_the_model_is_told_what_is_wrong(ask):
    async with Model(OLD, GOOD) as model, before(model) as house:
        await ask(house)

    assert model.questions[1][-2] == {"role": "assistant", "content": OLD}
    assert "age" in model.questions[1][-1]["content"]
    assert "integer" in model.questions[1][-1]["content"]


@BOTH
async def test_it_is_asked_again_twice_at_the_most(ask):
    async with Model(TALK) as model, before(model) as house:
        with pytest.raises(Unfit) as unfit:
            await ask(house)

    assert len(model.requests) == 3
    assert unfit.value.repairs == 2
    assert "ничего не списано" in str(unfit.value)


@BOTH
async def test_the_third_answer_may_fit(ask):
    async with Model(TALK, OLD, GOOD) as model, before(model) as house:
        assert json.loads(await ask(house)) == json.loads(GOOD)

    assert len(model.requests) == 3
    assert house.book.records[0].attempts[-1]["repairs"] == 2


@BOTH
async def test_any_object_is_enough_without_a_schema(ask):
    any_object = {"response_format": {"type": "json_object"}}
    async with Model("[1]", '{"a": 1}') as model, before(model) as house:
        assert json.loads(await ask(house, **any_object)) == {"a": 1}

    assert len(model.requests) == 2


@BOTH
async def test_a_wish_is_not_a_promise(ask):
    async with Model(OLD) as model, before(model) as house:
        assert await ask(house, **asked(PERSON, strict=False)) == OLD


@BOTH
@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_an_answer_that_was_cut_short_says_so_and_is_given_as_it_is(ask, finish):
    async with Model(answered('{"name": "Ив', finish)) as model, before(model) as house:
        assert await ask(house) == '{"name": "Ив'

    assert len(model.requests) == 1
    assert house.book.records[0].finish_reason == finish


@BOTH
async def test_a_call_of_a_tool_is_no_answer_yet(ask):
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tools = [{"type": "function", "function": {"name": "f"}}]
    async with Model(answered("", "tool_calls", tool_calls=[call])) as model, before(model) as house:
        assert not await ask(house, tools=tools)

    assert len(model.requests) == 1
    assert house.book.records[0].finish_reason == "tool_calls"


@BOTH
async def test_where_the_model_breaks_while_it_is_asked_again_another_endpoint_begins_anew(ask):
    async def breaks(line: Line) -> None:
        while True:
            asked = await line.asked()
            if len(first.requests) > 1:
                await line.say(reply({}, status=500))
            elif asked.json.get("stream"):
                await line.say(stream_head(), ROLE, *pieces(answered(TALK)), DONE, END)
            else:
                await line.say(reply(answered(TALK)))

    good = Model(answered(GOOD, prompt=9))
    async with Vendor(breaks) as first, good as second, before(first, second) as house:
        assert json.loads(await ask(house)) == json.loads(GOOD)

    assert [asked.json["messages"] for asked in second.requests] == [first.requests[0].json["messages"]]
    assert house.book.records[0].tokens_prompt == 9


# Streams take nothing back -----------------------------------------------------------------------------


async def test_a_stream_that_fits_is_shown_as_it_comes():
    go_on = asyncio.Event()

    async def halting(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), ROLE, delta('{"name": "Ив'))
        await go_on.wait()
        await line.say(delta('ан", "age": 40}'), delta(finish="stop"), DONE, END)

    async with Vendor(halting) as model, before(model) as house:
        ticket = await house.admit(stream=True, **PROMISED)
        events = house.gateway.stream(ticket)
        shown = spoken([await anext(events)])
        go_on.set()
        rest = spoken([piece async for piece in events])

    assert shown == '{"name": "Ив'
    assert shown + rest == GOOD


async def test_a_second_try_goes_on_from_what_was_shown_though_it_is_written_otherwise():
    again = '{ "age": 40, "name": "Иван" }'
    async with Model(OLD, again) as model, before(model) as house:
        said = await streamed(house)

    assert said.startswith('{"name": "Иван"')
    assert json.loads(said) == json.loads(again)
    assert "повтори его без изменений" in model.questions[1][-1]["content"]


async def test_where_no_try_goes_on_from_what_was_shown_the_stream_ends_with_an_error_and_is_free():
    async with Model(OLD, '{"name": "Пётр", "age": 40}') as model, before(model) as house:
        pieces = await house.stream(**PROMISED)

    error = orjson.loads(pieces[-1].split(b"\n\n")[-3][6:])["error"]
    assert error["metadata"]["error_type"] == "response_format_not_kept"
    assert error["metadata"]["repairs"] == 2
    assert spoken(pieces[:-1]) == '{"name": "Иван"'
    assert (house.book.records[0].cost, house.book.records[0].tokens_completion) == (0, 0)


async def test_a_stream_of_nothing_that_fits_fails_before_its_first_event():
    async with Model(TALK) as model, before(model) as house:
        ticket = await house.admit(stream=True, **PROMISED)
        with pytest.raises(Unfit):
            await anext(house.gateway.stream(ticket))


async def test_a_stream_that_breaks_before_anything_was_shown_goes_on_elsewhere():
    async def breaking(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), ROLE, delta("Сейчас"))

    async with Vendor(breaking) as first, Model(GOOD) as second, before(first, second) as house:
        assert await streamed(house) == GOOD


async def test_a_stream_that_breaks_after_something_was_shown_is_told_to_be_broken():
    async def breaking(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), ROLE, delta('{"name": "Ив'))

    async with Vendor(breaking) as first, Model(GOOD) as second, before(first, second) as house:
        pieces = await house.stream(**PROMISED)

    assert spoken(pieces[:-1]) == '{"name": "Ив'
    assert house.book.records[0].attempts[0]["outcome"] == "ok"
    assert house.book.records[0].error_type == "provider_unavailable"
    assert Truncated.__name__ not in pieces[-1].decode()
    assert not second.requests


async def test_a_customer_who_leaves_while_the_model_is_asked_again_leaves_nothing_behind():
    left = asyncio.Event()

    async def waiting(line: Line) -> None:
        await line.asked()
        if len(model.requests) == 1:
            await line.say(stream_head(), ROLE, *pieces(answered(TALK)), DONE, END)
            await line.asked()
        left.set()
        await line.until_left()

    async with Vendor(waiting) as model, before(model) as house:
        ticket = await house.admit(stream=True, **PROMISED)
        reading = asyncio.ensure_future(anext(house.gateway.stream(ticket)))
        await left.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        assert await model.deserted()
    assert house.book.records[0].status == "cancelled"
    assert house.book.records[0].cost == 0


async def test_thoughts_of_a_second_try_do_not_come_after_words():
    thought = event({"choices": [{"index": 0, "delta": {"reasoning": "Хм"}, "finish_reason": None}]})

    async def thinking(line: Line) -> None:
        while True:
            await line.asked()
            said = OLD if len(model.requests) == 1 else GOOD
            await line.say(stream_head(), ROLE, thought, *pieces(answered(said)), DONE, END)

    async with Vendor(thinking) as model, before(model) as house:
        events = await house.stream(**PROMISED)

    assert json.loads(spoken(events)) == json.loads(GOOD)
    assert b"".join(events).count('"reasoning":"Хм"'.encode()) == 1


async def test_a_customer_who_has_seen_something_is_told_that_the_model_is_asked_again():
    async def slow(line: Line) -> None:
        while True:
            await line.asked()
            if len(model.requests) > 1:
                await asyncio.sleep(0.2)
            said = OLD if len(model.requests) == 1 else GOOD
            await line.say(stream_head(), ROLE, *pieces(answered(said)), DONE, END)

    async with Vendor(slow) as model, House(card_of(route_of(model.url)), keep_alive=0.05) as house:
        events = await house.stream(**PROMISED)

    seen = [event.startswith(b":") for event in events]
    assert not seen[0]
    assert sum(seen) >= 2


async def test_who_leaves_then_leaves_nothing_behind():
    asked_again = asyncio.Event()

    async def waiting(line: Line) -> None:
        await line.asked()
        if len(model.requests) == 1:
            await line.say(stream_head(), ROLE, *pieces(answered(OLD)), DONE, END)
            await line.asked()
        asked_again.set()
        await line.until_left()

    async with Vendor(waiting) as model, before(model) as house:
        events = house.gateway.stream(await house.admit(stream=True, **PROMISED))
        reading = asyncio.ensure_future(collected(events))
        await asked_again.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await events.aclose()

        assert await model.deserted()
    assert house.book.records[0].status == "cancelled"


async def collected(events: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [event async for event in events]


# Who pays ---------------------------------------------------------------------------------------------


@BOTH
async def test_the_customer_pays_for_his_question_and_one_answer_and_we_for_the_rest(ask):
    tries = (answered(TALK, prompt=10, completion=7), answered(GOOD, prompt=30, completion=5))
    async with Model(*tries) as model:
        route = route_of(model.url)
        object.__setattr__(route, "own_prices", route.prices)  # what the vendor takes from us
        async with House(card_of(route)) as house:
            await ask(house)

    record = house.book.records[0]
    assert (record.tokens_prompt, record.tokens_completion) == (10, 5)
    assert record.cost == 10 + 2 * 5
    assert record.own_cost == 10 + 2 * 7 + 30 + 2 * 5


@BOTH
async def test_an_answer_that_never_fits_is_free_and_we_pay_for_all_tries(ask):
    async with Model(answered(TALK, prompt=10, completion=7)) as model:
        route = route_of(model.url)
        object.__setattr__(route, "own_prices", route.prices)
        async with House(card_of(route)) as house:
            with pytest.raises(Unfit):
                await ask(house)

    record = house.book.records[0]
    assert (record.cost, record.status, record.error_type) == (0, "failed", "response_format_not_kept")
    assert record.own_cost == 3 * (10 + 2 * 7)


async def test_where_a_client_loses_us_too_many_answers_he_is_not_asked_for_again():
    async with Model(TALK) as model, before(model) as house:
        for _ in range(20):
            with pytest.raises(Unfit):
                await whole(house)
        before_last = len(model.requests)
        with pytest.raises(Unfit) as unfit:
            await whole(house)
        assert (len(model.requests) - before_last, unfit.value.repairs) == (1, 0)

        others = await house.admit(as_=caller(client_id=2), **PROMISED)
        with pytest.raises(Unfit) as unfit:
            await house.gateway.complete(others)
        assert unfit.value.repairs == 2


async def lose(house: House, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Unfit):
            await whole(house)


async def test_where_he_goes_on_nobody_is_asked_until_he_has_waited():
    async with Model(TALK) as model, before(model) as house:
        await lose(house, 40)
        asked_before = len(model.requests)
        with pytest.raises(TooManyUnfit) as refused:
            await whole(house)

        assert len(model.requests) == asked_before
        assert 0 < refused.value.retry_after <= 3600 / 20
        assert await house.complete()  # what promises nothing goes on


async def test_answers_that_are_paid_for_make_up_for_those_that_are_not():
    async with Model(TALK, TALK, TALK, GOOD) as model, before(model) as house:
        await lose(house, 1)
        assert house.gateway._promises._left(1) < 20
        for _ in range(2):
            await whole(house)

        assert house.gateway._promises._left(1) == 20


# A form that nothing fits, though all of it may be shown.
NOTHING = asked({"type": "object", "minProperties": 2, "maxProperties": 1})


async def test_forms_that_nothing_fits_are_not_the_endpoint_s_fault_nor_a_way_to_free_answers():
    async with Model('{"text": "Поэма"}') as model, before(model) as house:
        for _ in range(20):
            assert "Поэма" in spoken((await house.stream(**NOTHING))[:-1])

        ticket = await house.admit(stream=True, **NOTHING)
        with pytest.raises(Unfit):
            await anext(house.gateway.stream(ticket))

        assert await streamed(house, response_format={"type": "json_object"}) == '{"text": "Поэма"}'


async def test_a_second_answer_that_is_cut_short_is_lost_like_any_other():
    cut = answered('{"name": "Иван", "ag', "length", prompt=30, completion=9)
    async with Model(answered(OLD, prompt=10, completion=7), cut) as model:
        route = route_of(model.url)
        object.__setattr__(route, "own_prices", route.prices)
        async with House(card_of(route)) as house:
            await house.stream(**PROMISED)
            left = house.gateway._promises._left(1)

    record = house.book.records[0]
    assert (record.cost, record.own_cost) == (0, 10 + 2 * 7 + 30 + 2 * 9)
    assert left < 20


@BOTH
async def test_words_around_the_document_are_no_reason_to_doubt_the_count(ask):
    said = answered("Рассуждаю вслух. " * 60 + GOOD, prompt=10, completion=300)
    async with Model(said) as model, before(model) as house:
        assert await ask(house) == GOOD

    record = house.book.records[0]
    assert (record.usage_source, record.tokens_completion) == ("provider", 300)


# Bad schemas ------------------------------------------------------------------------------------------


async def test_a_schema_that_is_none_costs_nothing():
    async with Model(GOOD) as model, before(model) as house:
        with pytest.raises(BadRequest):
            await house.admit(**asked({"type": "strin"}))

    assert not model.requests
    assert not house.book.asks


async def test_a_schema_that_takes_for_ever_is_given_up_and_then_refused_at_once():
    branches = [{"allOf": [{"$ref": "#/$defs/a0"}, {"minLength": 1}]}]
    defs = {
        f"a{n}": {
            "anyOf": [
                {"$ref": f"#/$defs/a{n + 1}"},
                {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"minLength": n}]},
            ]
        }
        for n in range(40)
    }
    endless = asked({"$defs": {**defs, "a40": {"type": "string"}}, "anyOf": branches})
    async with Model("1") as model, before(model) as house:
        with pytest.raises(BadRequest, match="слишком сложна"):
            await house.complete(**endless)
        with pytest.raises(BadRequest, match="слишком сложна"):
            await house.admit(**endless)

    assert len(model.requests) == 1
    assert house.book.records[0].cost == 0


async def test_a_recursive_schema_is_checked():
    tree = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"leaf": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}},
                "required": ["leaf"],
            }
        },
        "$ref": "#/$defs/node",
    }
    async with (
        Model('{"leaf": 1, "next": {}}', '{"leaf": 1, "next": {"leaf": 2}}') as model,
        before(model) as house,
    ):
        assert json.loads(await whole(house, **asked(tree))) == {"leaf": 1, "next": {"leaf": 2}}

    assert "next" in model.questions[1][-1]["content"]


async def test_what_the_model_nests_too_deep_is_no_reason_to_refuse_the_schema():
    nested = {"$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"}
    async with Model("[" * 1_000 + "5" + "]" * 1_000, "[[]]") as model, before(model) as house:
        assert json.loads(await whole(house, **asked(nested))) == [[]]
        assert json.loads(await whole(house, **asked(nested))) == [[]]


async def test_a_check_that_was_killed_is_no_reason_to_refuse_the_schema():
    nested = {"$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"}
    takes_long = f"[{'[],' * 300_000}[]]"
    async with Model(takes_long, "[[]]") as model, before(model) as house:
        answer = asyncio.ensure_future(whole(house, **asked(nested)))
        (await child()).kill()
        with pytest.raises(Unavailable):
            await answer

        assert await whole(house, **asked(nested)) == "[[]]"

    assert house.book.records[0].cost == 0


async def child() -> Process:
    """The inspector's process, among others that other tests may have started."""
    while True:
        for process in Process().children():
            with suppress(psutil.Error):
                if inspector.__name__ in process.cmdline():
                    return process
        await asyncio.sleep(0.001)


async def test_nobody_answers_as_ever():
    async def broken(line: Line) -> None:
        while True:
            await line.asked()
            await line.say(reply({}, status=500))

    async with Vendor(broken) as model, before(model) as house:
        with pytest.raises(NobodyAnswered):
            await whole(house)


def test_twins_know_how_they_are_asked_once_more():
    assert AGAIN.startswith(ONCE_MORE)
