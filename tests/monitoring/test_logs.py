import io
import json
import logging
import sys

import pytest

from monitoring.logs import JsonFormatter, report_bug


@pytest.fixture
def written():
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


@pytest.fixture
def log(written):
    log = logging.Logger("test")
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    log.addHandler(handler)
    return log


def lines(written) -> list[str]:
    written.flush()
    return written.buffer.getvalue().decode().split("\n")[:-1]


def test_the_address_of_a_request_is_not_told(log, written):
    log.warning(
        "Unauthorized: %s", "/v1/key", extra={"request": "<GET '/v1/key?key=xr-live-1'>", "status_code": 401}
    )

    [line] = lines(written)
    assert "xr-live-1" not in line
    assert json.loads(line)["status_code"] == 401


def test_an_event_is_one_json_object(log, written):
    log.warning("it %s", "rains", extra={"provider": "ян", "ms": 1.5, "left": None})

    [line] = lines(written)
    event = json.loads(line)
    assert event.pop("time").endswith("+00:00")
    assert event == {
        "level": "warning",
        "logger": "test",
        "event": "it rains",
        "provider": "ян",
        "ms": 1.5,
        "left": None,
    }
    assert "ян" in line


HOSTILE = {
    "line ends": "a\r\nb\n{}",
    "ANSI": "\x1b[31mred\x1b[0m",
    "C1 ANSI": "\x9b31mred",
    "next line": "a\x85b",
    "unicode line ends": "a\u2028b\u2029c",
    "right to left": "\u202egnp.exe",
    "NUL and DEL": "\0\x7f",
    "quotes": '"}, {"level": "error',
    "half a pair": "\ud83d",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("place", ["event", "extra"])
def test_whatever_is_logged_one_event_is_one_harmless_line(log, written, text, place):
    if place == "event":
        log.error("%s", text)
    else:
        log.error("x", extra={"name_": text})

    [line] = lines(written)
    event = json.loads(line)
    assert (event["event"] if place == "event" else event["name_"]) == text
    assert len(line.splitlines()) == 1
    assert all(sign.isprintable() for sign in line)


def test_what_json_does_not_know_is_shown_as_python_shows_it(log, written):
    log.error("x", extra={"what": {1, 2}, "why": ValueError("n")})

    event = json.loads(lines(written)[0])
    assert (event["what"], event["why"]) == ("{1, 2}", "ValueError('n')")


def test_a_traceback_is_part_of_the_line(log, written):
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("failed")

    [line] = lines(written)
    assert json.loads(line)["traceback"].startswith("Traceback")


def test_a_bug_is_reported_with_its_place_and_without_its_words(log, written):
    def buggy(prompt: str) -> None:
        raise KeyError(prompt)

    try:
        buggy("the customer's secret")
    except KeyError:
        report_bug(log, sys.exc_info()[1], request_id="req_1")

    [line] = lines(written)
    event = json.loads(line)
    assert (event["request_id"], event["error"]) == ("req_1", "KeyError")
    assert event["frames"][-1].endswith("buggy")
    assert "secret" not in line
