"""No secret of a vendor is seen by whoever tests him."""

import base64
import json

import pytest

from monitoring.masking import MASK, SHOWN, Mask

KEY = 'a2V5/with"quote+and=more'


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        json.dumps({"k": KEY}),
        "https://x.example/?key=a2V5%2Fwith%22quote%2Band%3Dmore",
        base64.b64encode(KEY.encode()).decode(),
        KEY.encode().hex(),
    ],
)
def test_a_known_secret_is_masked_however_it_is_written(written):
    shown = Mask({"nested": {"api_key": KEY}}).text(f"before {written} after")

    assert "with" not in shown
    assert "d2l0aCJ" not in shown
    assert MASK in shown
    assert shown.startswith("before ")


def test_a_secret_written_with_escapes_in_json_is_masked():
    body = '{"echo": "' + "".join(f"\\u{ord(letter):04x}" for letter in "hunter2-hunter2") + '"}'

    assert "hunter2" not in Mask("hunter2-hunter2").body(body.encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"access_token": "abcdefgh", "expires_at": 1}',
        '{"iamToken":"abcdefgh"}',
        "Authorization: Bearer abcdefgh",
        "token eyJabcdefgh.abcdefgh.abcdefgh",
        "your key sk-abcdefgh123 is wrong",
        "AQVNabcdefgh12",
    ],
)
def test_what_looks_like_a_secret_is_masked_though_nobody_knows_it(text):
    assert "abcdefgh" not in Mask().text(text)


def test_headers_that_carry_secrets_show_but_their_scheme():
    shown = Mask().headers({"Authorization": "Basic Zm9v", "set-cookie": "sid=1", "x-id": "7"})

    assert shown == [("Authorization", f"Basic {MASK}"), ("set-cookie", MASK), ("x-id", "7")]


def test_a_long_body_is_cut_after_it_is_masked():
    shown = Mask("the-long-secret").text("x" * (SHOWN - 5) + "the-long-secret" + "y" * 100)

    assert "the-l" not in shown
    assert len(shown) == SHOWN + 1


def test_an_ordinary_answer_stays_readable():
    body = json.dumps({"data": [{"id": "GigaChat-2-Pro"}], "сказано": "да"}).encode()

    assert json.loads(Mask("the-key").body(body)) == {"data": [{"id": "GigaChat-2-Pro"}], "сказано": "да"}
