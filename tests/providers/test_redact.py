"""Secrets are masked for the log, and a doubtful sentence never reaches a customer."""

import time

import pytest

from providers.redact import LOG_LIMIT, QUOTE_LIMIT, quotable, redacted

SECRETS = [
    "upstream-secret-value-1",
    "sk-proj-abcdef",
    "sk-...t123",
    "AQVNxyz_0123456789abcdef",
    "v1.CmQKI-abc",
    "t1.9euelZq",
    "b1gabcdefghijklmnopq",
    "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
    "eyJhbGciOiJQUzI1NiJ9.eyJhdWQiOiJodHRwcyJ9.c2ln",
    "5e0d7e68-6f0c-4a2b-9d5d-0a3f6a2b7c11",
    "https://internal.test/path?key=1",
    "gpt://b1gabcdef/yandexgpt/latest",
    "10.0.0.5:8000",
    "gpt.mwsapis.ru",
    "NWUwZDdlNjgtNmYwYy00YTJiLTlkNWQtMGEzZjZhMmI3YzEx==",
]
HARMLESS = [
    "max_tokens must be at least 1, got 0.",
    "temperature must be non-negative, got -1.",
    "Input should be less than or equal to 1",
    "Поле top_p должно быть меньше 1.",
    "messages.0.content: expected a string",
    "`top_logprobs` needs `logprobs: true`",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_masked_and_not_quoted(secret):
    assert secret not in redacted(f"it was {secret} there")
    assert quotable(f"it was {secret} there") == ""


@pytest.mark.parametrize("scheme", ["Bearer", "Api-Key", "Authorization:", "authorization=", "Basic"])
def test_what_follows_a_scheme_is_masked_however_short(scheme):
    assert "abc" not in redacted(f"bad header {scheme} abc")
    assert quotable(f"bad header {scheme} abc") == ""


@pytest.mark.parametrize("text", HARMLESS)
def test_plain_sentences_stay(text):
    assert redacted(text) == text
    assert quotable(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Invalid API key abc",
        "wrong password hunter",
        "folder abc not found",
        "Traceback (most recent call last)",
        "<script>alert(1)</script>\x00",
        "user@example",
        "x " * QUOTE_LIMIT,
    ],
)
def test_a_doubtful_sentence_is_not_quoted(text):
    assert quotable(text) == ""


def test_a_log_line_is_one_short_line():
    line = redacted("one\r\ntwo\n" * 1000)

    assert line.startswith("one two one")
    assert len(line) == LOG_LIMIT


@pytest.mark.parametrize("pattern", ["a", "1", "a-", "a.", "A1", "=", "a b1 ", "bearer ", "://"])
def test_hostile_texts_take_no_time(pattern):
    text = pattern * 1_000_000

    started = time.process_time()
    redacted(text)
    quotable(text[:QUOTE_LIMIT])

    assert time.process_time() - started < 0.5
