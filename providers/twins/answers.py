"""What a twin answers to which prompt. Pure: the same question gets the same answer.

One token is four characters, the last one may be shorter. A prompt costs the tokens of its messages and
tools, and four more for each message.
"""

import hashlib
from collections.abc import Iterator
from itertools import cycle, pairwise

from providers.twins.directives import directives
from providers.twins.emulated import as_asked, in_text
from providers.twins.instances import instance
from providers.twins.shapes import Answer, Call, JsonObject, Question, Tool, Usage, dumps

TOKEN = 4  # characters
PER_MESSAGE = 4  # tokens of role markup

# Every answer in prose begins with it, so that nobody takes a twin for its vendor.
MARK = "[двойник] "

SENTENCES = (
    "Это заранее известный ответ, он зависит только от текста запроса.",
    "Настоящая модель ответила бы подробнее и, вероятно, точнее.",
    "Здесь нет нейронной сети: слова подобраны по контрольной сумме вопроса.",
    "Тот же вопрос получит тот же ответ и завтра.",
    "Число токенов посчитано по простому правилу: четыре знака на токен.",
    "Проверьте, что текст дошёл целиком и без повторов.",
    "Карелия славится озёрами, а Петрозаводск стоит на берегу Онежского.",
    "Ёжик в тумане шёл к медвежонку считать звёзды.",
    "Съешь же ещё этих мягких французских булок да выпей чаю.",
    "Если нужен другой ответ, измените хотя бы одно слово вопроса.",
    "Порядок предложений тоже не случаен.",
    "Эмодзи 🦔 и тире — на месте, чтобы испытать границы символов.",
    "Двойник говорит на языке поставщика вплоть до заголовков.",
    "Учётные данные поставщика для этого ответа не понадобились.",
    "Скорость и ошибки двойника можно заказать прямо в запросе.",
    "На этом двойник заканчивает свой рассказ.",
)

# How XRouter asks for another answer where one is not in form (``promised/promise``).
ONCE_MORE = "Ответ не подходит:"

# Words of a question that ask for a tool, and words by which such a tool is known.
TOPICS = (
    (("погод", "weather"), ("weather", "погод", "forecast")),
    (("курс", "rate", "валют"), ("rate", "currency", "exchange", "курс", "валют")),
    (("котор", "врем", "time"), ("time", "clock", "врем")),
    (("рейс", "билет", "самол"), ("flight", "рейс")),
    (("закаж", "заказ"), ("order", "заказ")),
    (("кредит",), ("loan", "кредит")),
    (("напомн", "напомин"), ("remind", "напомин")),
    (("столик", "заброни"), ("table", "столик")),
)


def tokens(text: str) -> int:
    """How many tokens ``text`` is, by the twins' rule."""
    return -(-len(text) // TOKEN)


def prompt_tokens(question: Question) -> int:
    messages = sum(tokens(message.text) + PER_MESSAGE for message in question.messages)
    tools = () if question.emulated else question.tools
    return messages + sum(tokens(_described(tool)) for tool in tools)


def usage(question: Question, answers: tuple[Answer, ...]) -> Usage:
    """What the answers cost, by OpenAI's rules."""
    reasoning = sum(tokens(answer.reasoning) for answer in answers)
    said = sum(tokens(answer.text) + sum(call_tokens(c) for c in answer.calls) for answer in answers)
    return Usage(prompt_tokens(question), said + reasoning, question.cached, reasoning)


def call_tokens(call: Call) -> int:
    return tokens(call.name) + tokens(dumps(call.arguments).decode())


def answers(question: Question, title: str, nonce: str = "") -> tuple[Answer, ...]:
    """One answer for each copy asked for."""
    return tuple(_answer(question, title, nonce, copy) for copy in range(question.copies))


def pieces(text: str, size: int, count: int = 0) -> list[str]:
    """``text`` cut into pieces of ``size`` tokens, or into ``count`` pieces as even as can be."""
    if not count:
        step = size * TOKEN
        return [text[start : start + step] for start in range(0, len(text), step)]
    whole, longer = divmod(tokens(text), count)
    cuts = [TOKEN * (index * whole + min(index, longer)) for index in range(count + 1)]
    return [text[start:stop] for start, stop in pairwise(cuts) if stop > start]


def _answer(question: Question, title: str, nonce: str, copy: int) -> Answer:
    if calls := tuple(wanted_calls(question)):
        return _calling(question, calls)
    reasoning = _reasoning(question) if question.thinking else ""
    text = _until_stop(_text(question, title, nonce, copy), question.stop)
    if question.directives.has("think"):
        text, reasoning = _thoughts_left(text, reasoning), ""
    return _within_limit(Answer(text, reasoning), question.max_tokens)


def _calling(question: Question, calls: tuple[Call, ...]) -> Answer:
    """Calls in their field, or in the text where the prompt or ``[[hermes]]`` wants them there."""
    orders = question.directives
    # A choice that forces a call is kept to by constrained decoding: there nobody needs a parser.
    if question.emulated or (orders.has("hermes") and question.choice == "auto"):
        return _within_limit(Answer(in_text(question, calls)), question.max_tokens)
    return Answer("", calls=calls, finish="tool_calls")


def _thoughts_left(text: str, reasoning: str) -> str:
    """Thoughts in the text, as a server without a parser leaves them; an empty pair if there are none."""
    return f"<think>\n{reasoning}\n</think>\n\n{text}"


def _reasoning(question: Question) -> str:
    return f"Спрашивают: «{_short(asked(question), 60)}». Отвечу коротко и по делу."


def _within_limit(answer: Answer, limit: int | None) -> Answer:
    if limit is None or tokens(answer.reasoning) + tokens(answer.text) <= limit:
        return answer
    reasoning = answer.reasoning[: TOKEN * limit]
    text = answer.text[: TOKEN * (limit - tokens(reasoning))]
    return Answer(text, reasoning, finish="length")


def _until_stop(text: str, stops: tuple[str, ...]) -> str:
    found = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return text[: min(found)] if found else text


def _text(question: Question, title: str, nonce: str, copy: int) -> str:
    if question.directives.has("echo"):
        return question.directives.text
    if question.schema is not None:
        return _json_text(question)
    return _prose(question, title, nonce, copy)


def _json_text(question: Question) -> str:
    text = asked(question)
    schema = question.schema or {}
    if _says_nothing(schema):
        return as_asked(question, {"twin": True, "answer": _short(text, 80)})
    return as_asked(question, instance(schema, text))


def _says_nothing(schema: JsonObject) -> bool:
    """Whether any object will do."""
    return not schema.keys() - {"type", "additionalProperties"} and schema.get("additionalProperties", True)


def _prose(question: Question, title: str, nonce: str, copy: int) -> str:
    start = f"{MARK}Двойник {title}{_nonce(question, nonce)}: {_said(question)}"
    chosen = _sentences(question, copy)
    wanted = max(question.directives.count("tokens"), question.directives.count("chunks"))
    if not wanted:
        return " ".join([start, *(next(chosen) for _ in range(3))])
    while len(start) < TOKEN * wanted:
        start = f"{start} {next(chosen)}"
    return start[: TOKEN * wanted]


def _nonce(question: Question, nonce: str) -> str:
    return f" (nonce {nonce})" if question.directives.has("nonce") else ""


def _said(question: Question) -> str:
    last = question.messages[-1]
    if last.role == "result":
        return f"функция вернула: {_short(last.text, 600)}."
    return f"вы спросили о «{_short(asked(question), 80)}»."


def _sentences(question: Question, copy: int) -> Iterator[str]:
    # Directives are left out: an answer spoilt by a fault is otherwise the same as the good one.
    said = (directives(message.text).text for message in question.messages)
    seed = "\0".join([question.model, str(copy), *said])
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    return (SENTENCES[byte % len(SENTENCES)] for byte in cycle(digest))


def asked(question: Question) -> str:
    """The last user's text, without directives; the one before where he only wants the answer once more."""
    text = question.directives.text
    if text.startswith(ONCE_MORE):
        said = [directives(each.text).text for each in question.messages if each.role == "user"]
        text = next((each for each in reversed(said) if not each.startswith(ONCE_MORE)), text)
    return " ".join(text.split())


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


# --- Tools ----------------------------------------------------------------------------------------


def wanted_calls(question: Question) -> Iterator[Call]:
    """The calls the question asks for, after a result only if it must; orders may have it break rules."""
    orders = question.directives
    is_due = question.choice not in {"auto", "none"} or question.messages[-1].role != "result"
    if question.tools and question.choice != "none" and is_due:
        chosen = [] if orders.has("stubborn") else _chosen_tools(question)
        for tool in chosen if question.parallel or orders.has("greedy") else chosen[:1]:
            yield Call(tool.name, _arguments(tool, asked(question)))


def _arguments(tool: Tool, text: str) -> dict[str, object]:
    made = instance({"type": "object", **tool.parameters}, text)
    return made if isinstance(made, dict) else {}


def _chosen_tools(question: Question) -> list[Tool]:
    if question.choice not in {"auto", "required"}:
        return [tool for tool in question.tools if tool.name == question.choice]
    ordered = [tool for name in question.directives.all("call") for tool in _named(question.tools, name)]
    text = question.directives.text.lower()
    chosen = ordered or [tool for tool in question.tools if _is_meant(tool, text)]
    return chosen or list(question.tools[: question.choice == "required"])


def _named(tools: tuple[Tool, ...], name: str) -> list[Tool]:
    """The tools called ``name``; the first one for an empty name."""
    return [tool for tool in tools if tool.name == name] if name else list(tools[:1])


def _is_meant(tool: Tool, text: str) -> bool:
    if tool.name.lower() in text:
        return True
    known_by = f"{tool.name} {tool.description}".lower()
    return any(_any_in(asks, text) and _any_in(knows, known_by) for asks, knows in TOPICS)


def _any_in(words: tuple[str, ...], text: str) -> bool:
    return any(word in text for word in words)


def _described(tool: Tool) -> str:
    return f"{tool.name}{tool.description}{dumps(tool.parameters).decode()}"
