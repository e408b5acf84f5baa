"""Faults of a 200: what is in the body is not the answer that was asked for."""

from dataclasses import replace

from providers.twins.faults.common import Args, Edit, Fault, each, edited, inserted, is_stream, number
from providers.twins.faults.statuses import HTML, PAGE
from providers.twins.faults.streams import bad_json, no_choices, null_content
from providers.twins.shapes import JSON, Answer, Frame, Reply, body_of
from providers.twins.turn import Turn

DEPTH = 100_000
XSS = ' <script>alert(1)</script><img src=x onerror=alert(1)> =HYPERLINK("http://127.0.0.1:9/") '
EVIL_MODEL = '<script>alert("model")</script>'
CENSORED = "[двойник] Разговоры на эту тему ограничены. Спросите о чём-нибудь другом."

# Characters of private use that stand in the text for what JSON or UTF-8 would not let through.
MARK = "\ue000"


def ok_empty(turn: Turn, args: Args) -> Reply:
    return Reply(200, (JSON, *turn.headers), (Frame(b""),))


def ok_error_body(turn: Turn, args: Args) -> Reply:
    """The vendor's error with status 200; ``status`` says which error is inside."""
    refusal = turn.refusal(int(number(args, "status", 500)), "[двойник] заказанная ошибка внутри ответа")
    return replace(refusal, status=200)


def ok_html(turn: Turn, args: Args) -> Reply:
    return Reply(200, (HTML, *turn.headers), (Frame(PAGE % (200, 200)),))


def wrong_ct(turn: Turn, args: Args) -> Reply:
    """A good answer under a wrong content type."""
    reply = turn.reply()
    others = (header for header in reply.headers if header[0] != HTML[0])
    return replace(reply, headers=(("Content-Type", "text/plain"), *others))


def ok_trunc(turn: Turn, args: Args) -> Reply:
    """Half of the body, and HTTP says it is all."""
    reply = turn.reply()
    body = body_of(reply)
    return replace(reply, frames=(Frame(body[: len(body) // 2]),))


def ok_badjson(turn: Turn, args: Args) -> Reply:
    if turn.streamed:
        return bad_json(turn, {"after": "0"})
    return each(turn.reply(), lambda data: data[:-1] + b",}")


def ok_deep(turn: Turn, args: Args) -> Reply:
    """Brackets in brackets."""
    deep = b'{"choices":' + b"[" * DEPTH + b"]" * DEPTH + b"}"
    reply = turn.reply()
    if is_stream(reply):
        prefix, suffix = (b"data: ", b"\n\n") if turn.dialect.done else (b"", b"\n")
        return inserted(reply, 1, prefix + deep + suffix)
    return replace(reply, frames=(Frame(deep),))


def with_edit(edit: Edit) -> Fault:
    def fault(turn: Turn, args: Args) -> Reply:
        return edited(turn, turn.reply(), edit)

    return fault


def with_bytes(data: bytes) -> Fault:
    """The text with ``data`` in its midst, as no encoder would write it."""

    def fault(turn: Turn, args: Args) -> Reply:
        marked = turn.answering(lambda answer: replace(answer, text=_marked(answer.text)))
        return each(marked.reply(), lambda sent: sent.replace(MARK.encode(), data))

    return fault


def _marked(text: str) -> str:
    return f"{text[:12]}{MARK}{text[12:]}"


def xss(turn: Turn, args: Args) -> Reply:
    """Markup and formulas in the text and in the model's name."""
    evil = turn.answering(lambda answer: replace(answer, text=answer.text + XSS))
    question = evil.question and replace(evil.question, model=EVIL_MODEL)
    return replace(evil, question=question).reply()


def blacklist(turn: Turn, args: Args) -> Reply:
    """The vendor's moderation: a canned text and its own finish reason."""
    return turn.answering(lambda answer: Answer(CENSORED, finish="content_filter")).reply()


def in_form(*, stream: bool) -> Fault:
    """The answer streamed or not, whatever was asked for."""
    return lambda turn, args: turn.reply(stream=stream)


FAULTS: dict[str, Fault] = {
    "ok_empty": ok_empty,
    "ok_error_body": ok_error_body,
    "ok_html": ok_html,
    "wrong_ct": wrong_ct,
    "ok_trunc": ok_trunc,
    "ok_badjson": ok_badjson,
    "ok_no_choices": with_edit(no_choices),
    "ok_null_content": with_edit(null_content),
    "ok_deep": ok_deep,
    "ok_nul": with_bytes(b"\\u0000"),
    "ok_surrogate": with_bytes(b"\\ud800"),
    "bad_utf8": with_bytes(b"\xff\xfe"),
    "xss": xss,
    "blacklist": blacklist,
    "stream_as_json": in_form(stream=False),
    "json_as_stream": in_form(stream=True),
}
