from asyncio import CancelledError
from dataclasses import asdict, replace
from typing import Any

import pytest

from billing.holds import Grant
from billing.pricing import Price, PriceList
from providers.errors import Broken, Busy, Rejected
from routing.answers import bill, dressed, head
from routing.call import Call
from routing.emitter import Emitter
from routing.errors import NobodyAnswered
from routing.meter import LONGEST_TOKEN, measure
from routing.needs import needs_of
from routing.policy import Group, Question, decide
from routing.ticket import Ticket
from tests.gateways import BEGINNING, NOBODY, PRICE, caller, route

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
DETAILED = {
    **USAGE,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


def ticket(*routes: Any, held: int | None = None, is_test: bool = False, **chat: Any) -> Ticket:
    """Admitted with all the money it asks for, or with ``held`` micro-roubles."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "Привет"}], **chat}
    routes = routes or (route(NOBODY, "a", priority=1), route(NOBODY, "b", priority=2))
    needs = needs_of(asked, measure(asked))
    question = Question((Group(routes),), needs, BEGINNING, "seed", is_test=is_test)
    call = Call("req_1", "127.0.0.1")
    made = Ticket(caller(is_test=is_test), asked, call, question, decide(question))
    amount = made.ask().amount if held is None else held
    made.granted(Grant(amount, available=0, balance=amount))
    return made


def completion(text: str | None = "Привет", usage: dict[str, Any] | None = USAGE) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"choices": [choice], **({"usage": usage} if usage else {})}


def streamed(ticket: Ticket, *texts: str, usage: dict[str, Any] | None = None) -> Emitter:
    """An emitter that has delivered these texts."""
    emitter = Emitter(head(ticket), include_usage=False)
    for text in texts:
        emitter.feed({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
    if usage:
        emitter.feed({"choices": [], "usage": usage})
    return emitter


def answered(ticket: Ticket) -> None:
    with ticket.attempt(ticket.quotes[0]):
        pass


def test_every_ticket_has_a_name_of_its_own():
    assert ticket().name != ticket().name
    assert ticket().name.startswith("gen-")


def test_an_attempt_is_noted_with_how_it_ended():
    asked = ticket()

    with pytest.raises(Busy), asked.attempt(asked.quotes[0]):
        raise Busy
    with asked.attempt(asked.quotes[1]):
        pass

    assert [(a["provider"], a["outcome"]) for a in asked.attempts] == [("a", "Busy"), ("b", "ok")]
    assert all(a["ms"] >= 0 for a in asked.attempts)
    assert asked.route.upstream.slug == asked.last_provider == "b"


def test_a_whole_answer_is_recorded_as_the_vendor_counted_it():
    asked = ticket()
    answered(asked)

    asked.delivered(completion(usage=DETAILED))

    record = asked.record()
    assert (record.status, record.http_status, record.finish_reason) == ("ok", 200, "stop")
    assert (record.tokens_prompt, record.tokens_completion) == (5, 2)
    assert (record.tokens_cached, record.tokens_reasoning) == (3, 1)
    assert record.usage_source == "provider"
    assert DETAILED.items() <= dressed(asked, completion())["usage"].items()


@pytest.mark.parametrize(
    ("told", "cached", "reasoning"),
    [
        (None, 0, 0),
        (USAGE, 0, 0),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 3}}, 3, 0),
        (
            {**USAGE, "completion_tokens_details": {"reasoning_tokens": 1}, "prompt_tokens_details": None},
            0,
            1,
        ),
        (DETAILED, 3, 1),
    ],
    ids=["no usage", "totals", "no reasoning", "no cache", "all"],
)
def test_the_parts_of_the_totals_are_always_told(told, cached, reasoning):
    asked = ticket()
    answered(asked)

    asked.delivered(completion(usage=told))

    usage = dressed(asked, completion())["usage"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": cached}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": reasoning}


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {**USAGE, "completion_tokens": 10**6},
        {**USAGE, "prompt_tokens": 0},
        {**USAGE, "completion_tokens": 0},
    ],
    ids=["none", "far too much", "no prompt", "no answer"],
)
def test_an_answer_is_counted_by_us_where_the_vendor_cannot_be_believed(usage):
    asked = ticket()
    answered(asked)

    asked.delivered(completion("x" * 30, usage))

    record = asked.record()
    assert (record.usage_source, record.tokens_completion) == ("estimated", 10)
    assert record.tokens_prompt > 0


def test_words_and_calls_count_as_produced():
    asked = ticket()
    answered(asked)
    answer = completion(usage=None)
    answer["choices"][0]["message"] |= {
        "content": None,
        "reasoning": "x" * 24,
        "refusal": "z" * 6,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f" * 6, "arguments": "y" * 24}}],
    }

    asked.delivered(answer)

    assert asked.record().tokens_completion == 20


def test_an_answer_is_dressed_with_what_openais_clients_expect():
    asked = ticket()
    answered(asked)
    asked.delivered(completion())

    answer = dressed(asked, completion())

    assert answer["id"] == asked.name
    assert (answer["object"], answer["model"], answer["provider"]) == ("chat.completion", "m", "a")
    assert answer["choices"][0]["logprobs"] is None
    assert answer["choices"][0]["message"]["refusal"] is None
    assert answer["system_fingerprint"] is None


def test_a_twins_answer_is_marked():
    asked = ticket(route(NOBODY, "a-twin", is_twin=True))
    answered(asked)

    assert head(asked)["system_fingerprint"] == "twin"


def test_before_anybody_answered_a_stream_has_a_head_all_the_same():
    told = head(ticket(model=None, models=["m"]))

    assert (told["model"], told["provider"], told["object"]) == ("m", None, "chat.completion.chunk")


def test_a_failure_before_any_output_costs_nothing():
    asked = ticket()

    asked.failed(NobodyAnswered(Broken(), 2), streamed(asked))

    record = asked.record()
    assert (record.status, record.http_status, record.error_type) == ("failed", 502, "provider_unavailable")
    assert (record.tokens_prompt, record.tokens_completion, record.usage_source) == (0, 0, "none")


def test_a_stream_that_broke_is_counted_to_where_it_broke():
    asked = ticket()
    answered(asked)

    asked.failed(Broken(), streamed(asked, "x" * 15, "x" * 15))

    record = asked.record()
    assert (record.status, record.finish_reason) == ("failed", "error")
    assert (record.tokens_completion, record.usage_source) == (10, "estimated")


def test_a_customer_who_left_before_any_output_is_recorded_as_gone():
    asked = ticket()

    asked.failed(GeneratorExit())

    record = asked.record()
    assert (record.status, record.cancelled, record.http_status) == ("cancelled", True, 499)
    assert (record.usage_source, record.error_type) == ("none", "")


def test_a_customer_who_left_in_the_middle_is_counted_to_there():
    asked = ticket()
    answered(asked)

    asked.failed(GeneratorExit(), streamed(asked, "x" * 30))

    record = asked.record()
    assert (record.status, record.tokens_completion, record.finish_reason) == ("cancelled", 10, "")


def test_what_happens_after_the_last_word_changes_nothing():
    asked = ticket()
    answered(asked)
    emitter = streamed(asked, "Привет", usage=USAGE)
    emitter.finish(None)

    asked.streamed(emitter)
    asked.failed(GeneratorExit(), emitter)

    record = asked.record()
    assert (record.status, record.finish_reason, record.usage_source) == ("ok", "stop", "provider")


@pytest.mark.parametrize(
    ("failure", "status", "error_type"),
    [
        (Rejected(), 400, "provider_rejected"),
        (NobodyAnswered(Busy(), 1), 429, "provider_overloaded"),
        (KeyError("our bug"), 500, "internal_error"),
    ],
)
def test_a_failure_is_recorded_as_the_customer_saw_it(failure, status, error_type):
    asked = ticket()

    asked.failed(failure)

    assert (asked.record().http_status, asked.record().error_type) == (status, error_type)


def test_what_the_customer_named_is_kept_within_reason():
    record = ticket(user="u" * 1000, session_id=7).record()

    assert record.user == "u" * 256
    assert record.session_id == ""


def test_no_prompt_and_no_answer_gets_into_the_record():
    asked = ticket(messages=[{"role": "user", "content": "the prompt"}])
    answered(asked)
    asked.delivered(completion("the answer"))

    kept = str(asdict(asked.record()))

    assert "the prompt" not in kept
    assert "the answer" not in kept


# --- Money: a token of the prompt is one micro-rouble, one of the answer two -------------------------------


def test_an_answer_costs_what_its_tokens_cost():
    asked = ticket()
    answered(asked)

    asked.delivered(completion())

    usage = dressed(asked, completion())["usage"]
    record = asked.record()
    assert (asked.cost, record.cost, record.price) == (5 + 2 * 2, 9, PRICE)
    assert usage["cost"] == 0.000009
    assert usage["cost_details"]["prompt_cost"] == 0.000005
    assert usage["cost_details"]["completion_cost"] == 0.000004
    assert usage["cost_details"]["currency"] == "RUB"


def test_the_customer_pays_no_more_than_was_held_and_the_record_knows_the_rest():
    asked = ticket()
    answered(asked)
    prompt = asked.size.estimate() * 4

    asked.delivered(completion(usage={**USAGE, "prompt_tokens": prompt}))
    asked.held = 10

    assert asked.cost == 10
    assert dressed(asked, completion())["usage"]["cost"] == 0.00001
    assert asked.record().cost == prompt + 4


def test_an_answer_that_says_nothing_is_free():
    asked = ticket()
    answered(asked)

    asked.delivered(completion("", usage={**USAGE, "completion_tokens": 0}))

    assert asked.record().cost == asked.cost == 0
    assert asked.record().tokens_prompt == 5


def test_a_stream_that_broke_costs_what_came_of_it():
    asked = ticket()
    answered(asked)

    asked.failed(Broken(), streamed(asked, "x" * 30))

    assert asked.cost == asked.size.estimate() + 2 * 10


@pytest.mark.parametrize("failure", [GeneratorExit(), Broken()], ids=["customer left", "stream broke"])
def test_before_the_first_output_nothing_is_owed(failure):
    asked = ticket()
    answered(asked)

    asked.failed(failure, streamed(asked))

    assert asked.record().cost == 0


def test_our_own_count_never_exceeds_the_limit():
    asked = ticket(max_tokens=5)
    answered(asked)

    asked.delivered(completion("x" * 300, usage=None))

    assert asked.record().tokens_completion == 5


def test_with_too_little_money_answers_are_shorter_and_the_customer_is_told():
    whole = ticket()
    prompt = whole.quotes[0].prompt

    asked = ticket(held=prompt + 2 * 40)
    answered(asked)
    asked.delivered(completion())

    assert [quote.limit for quote in asked.quotes] == [40, 40]
    assert asked.lowered_by == "balance"
    assert bill(asked)["cost_details"]["limited_by"] == "balance"
    assert bill(asked)["cost_details"]["max_tokens"] == 40
    assert not whole.lowered_by


def test_endpoints_that_the_money_does_not_pay_for_are_left_out():
    dear = replace(route(NOBODY, "dear"), prices=PriceList(((BEGINNING, Price(prompt=10**9)),)))
    cheap = route(NOBODY, "cheap")

    asked = ticket(dear, cheap, held=ticket(cheap).quotes[0].floor)

    assert [quote.route.upstream.slug for quote in asked.quotes] == ["cheap"]
    assert ticket(dear, cheap).ask().minimum == ticket(cheap).ask().minimum
    assert ticket(dear, cheap).ask().amount == ticket(dear).ask().amount


def test_a_test_key_pays_nothing():
    asked = ticket(is_test=True)
    answered(asked)

    asked.delivered(completion())

    assert (asked.ask().amount, asked.ask().minimum, asked.cost) == (0, 0, 0)
    assert bill(asked)["cost"] == 0


def test_a_stream_beyond_its_limit_must_stop():
    asked = ticket(max_tokens=10)
    answered(asked)

    assert not asked.must_stop(streamed(asked, "x" * 10 * LONGEST_TOKEN))
    assert asked.must_stop(streamed(asked, "x" * 12 * LONGEST_TOKEN))
    assert asked.must_stop(streamed(asked, *"x" * 12))


def test_our_own_time_is_never_negative():
    asked = ticket()
    answered(asked)

    assert asked.watch.overhead_ms() >= 0
    assert asked.record().overhead_ms >= -1
    assert asked.record().duration_ms >= 0


def test_a_refusal_is_an_answer_and_costs():
    asked = ticket()
    answered(asked)
    refused = completion(None, usage=USAGE)
    refused["choices"][0]["message"]["refusal"] = "Не могу с этим помочь."

    asked.delivered(refused)

    assert asked.cost == 9


def test_whoever_is_granted_his_minimum_has_an_endpoint():
    cheap = replace(
        route(NOBODY), prices=PriceList(((BEGINNING, Price(prompt=100_000, completion=100_000)),))
    )

    assert ticket(cheap, held=ticket(cheap).ask().minimum).quotes


def test_an_endpoint_whose_answer_is_not_shortened_says_so():
    dear = PriceList(((BEGINNING, Price(prompt=10**8, completion=10**8)),))
    cheap, costly = route(NOBODY, "cheap"), replace(route(NOBODY, "dear"), prices=dear)

    asked = ticket(cheap, costly, held=ticket(cheap, costly).ask().amount // 2)

    assert (asked.longest, asked.lowered_by) == (1000, "")


def test_a_vendor_that_counts_the_schema_it_was_told_is_believed():
    schema = {"type": "object", "properties": {f"поле_{n}": {"type": "string"} for n in range(200)}}
    asked = ticket(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    answered(asked)

    asked.delivered(completion(usage={**USAGE, "prompt_tokens": asked.quotes[0].prompt - 400}))

    assert asked.record().usage_source == "provider"


@pytest.mark.parametrize(
    ("asked", "wants"),
    [
        ({}, False),
        ({"stream_options": {"include_usage": True}}, True),
        ({"stream_options": {"include_usage": False}}, False),
        ({"usage": {"include": True}}, True),
        ({"usage": {"include": None}, "stream_options": None}, False),
    ],
)
def test_the_usage_of_a_stream_may_be_asked_for_in_two_ways(asked, wants):
    assert ticket(stream=True, **asked).wants_usage is wants


def test_how_the_answer_was_to_be_drawn_is_recorded_as_far_as_the_vendor_was_told():
    giga = ticket(route(NOBODY, adapter="gigachat"), temperature=0.5, top_p=0.9)
    yandex = ticket(route(NOBODY, adapter="yandexgpt"), temperature=0.5, top_p=0.9, store=True)
    ordinary = ticket(route(NOBODY, adapter="yandexgpt"), top_p=1)
    all_ = (giga, yandex, ordinary)
    for each in all_:
        answered(each)

    kept = [(r.temperature, r.top_p, r.repetition_penalty) for r in (each.record() for each in all_)]
    assert kept == [(0.5, 0.9, None), (0.5, None, None), (None, None, None)]
    assert yandex.dropped == ["top_p", "store"]


# What thoughts alone are worth: the end of the answer, whether the customer has stops of his own, the cost.
THOUGHTS_ALONE = [
    ("stop", None, 0),
    ("stop", [], 0),
    ("stop", ["\n"], 9),
    ("length", None, 9),
    ("content_filter", None, 9),
]


@pytest.mark.parametrize(("reason", "stop", "cost"), THOUGHTS_ALONE)
def test_thoughts_alone_are_paid_for_where_they_were_cut(reason, stop, cost):
    whole, stream = ticket(stop=stop), ticket(stop=stop)
    answered(whole)
    answered(stream)
    answer = completion(None, usage=USAGE)
    answer["choices"][0] |= {"finish_reason": reason}
    answer["choices"][0]["message"]["reasoning"] = "Думаю"
    emitter = Emitter(head(stream), include_usage=False, hides_thoughts=True)
    emitter.feed({"choices": [{"index": 0, "delta": {"reasoning": "Думаю"}, "finish_reason": None}]})
    emitter.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": USAGE})

    whole.delivered(answer)
    stream.streamed(emitter)

    assert (whole.cost, stream.cost) == (cost, cost)
    assert whole.record().usage_source == stream.record().usage_source == "provider"


@pytest.mark.parametrize(("was_cut", "cost"), [(False, 0), (True, 9)], ids=["by the model", "by us"])
@pytest.mark.parametrize("adapter", ["gigachat", "mts-ai", "yandexgpt"])
def test_of_stops_that_a_vendor_is_not_told_only_ours_make_thoughts_an_answer(adapter, was_cut, cost):
    asked = ticket(route(NOBODY, adapter=adapter), stop=["\n"])
    answered(asked)
    emitter = Emitter(head(asked), include_usage=False)
    emitter.feed({"choices": [{"index": 0, "delta": {"reasoning": "Думаю"}, "finish_reason": None}]})
    emitter.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})

    asked.streamed(emitter, was_cut=was_cut)

    assert asked.cost == cost


def test_the_parts_of_a_cost_that_is_not_charged_are_nothing():
    asked = ticket()
    answered(asked)
    emitter = Emitter(head(asked), include_usage=True)
    emitter.feed({"choices": [{"index": 0, "delta": {"reasoning": "Думаю"}, "finish_reason": None}]})
    emitter.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})

    asked.streamed(emitter)

    told = bill(asked)
    parts = [part for name, part in told["cost_details"].items() if name.endswith("_cost") and part]
    assert (told["total_tokens"], told["cost"], parts) == (USAGE["total_tokens"], 0, [])


def test_of_a_stream_that_ends_in_its_thoughts_only_who_leaves_pays():
    broken, left = ticket(), ticket()
    for asked, exc in ((broken, Broken()), (left, CancelledError())):
        answered(asked)
        emitter = Emitter(head(asked), include_usage=False)
        emitter.feed({"choices": [{"index": 0, "delta": {"reasoning": "Думаю"}, "finish_reason": None}]})
        asked.failed(exc, emitter)

    assert (broken.cost, broken.record().finish_reason) == (0, "error")
    assert (left.cost > 0, left.record().finish_reason) == (True, "")


def test_a_word_beside_thoughts_is_an_answer():
    asked = ticket()
    answered(asked)
    answer = completion("Да", usage=USAGE)
    answer["choices"][0]["message"]["reasoning"] = "Думаю"

    asked.delivered(answer)

    assert asked.cost == 9
