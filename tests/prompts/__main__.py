"""How many of the sixty prompts are answered well, as a table.

python -m xrouter.services -- python -m tests.prompts
    an installation of its own with twins, careful and careless, of every wire: how well XRouter reads

XROUTER_API_KEY=… python -m tests.prompts --base-url https://…/v1 --model yandexgpt/lite
    a running server with real models: how well they keep to a prompt

Exits with 1 where that is not what was measured: a prompt was refused, or careless twins made no mistake.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.prompts.measure import MANNERS, WIRES, Server, row, served, verdicts

FORM = "{:<24} {:<14} {:<8} {:>8} {:>8}  {}"
# How a verdict begins where nobody was asked: a key, a name or a limit was wrong.
REFUSED = "ошибка 4"
UNTRUE = "  << измерено не то: запросы отклонены или небрежный двойник не ошибся"
NOTICE = (
    "Отвечали двойники, ошибки разыграны по контрольной сумме вопроса: о моделях эти числа ничего не говорят."
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--base-url", help="a running server's, with /v1; its key is in XROUTER_API_KEY")
    parser.add_argument("--model", action="append", help="to ask there; may be given several times")
    options = parser.parse_args()
    if options.base_url:
        server = Server(options.base_url, os.environ["XROUTER_API_KEY"])
        if not options.model:
            parser.error("--base-url wants --model")
        return int(not _print(_rows(server, options.model, [""])))
    with tempfile.TemporaryDirectory() as home, served(Path(home)) as server:
        is_measured = _print(_rows(server, [f"plain/{wire}" for wire in WIRES], list(MANNERS)))
    sys.stdout.write(f"\n{NOTICE}\n")
    return int(not is_measured)


def _rows(server: Server, models: list[str], manners: list[str]) -> Iterator[tuple[str, bool]]:
    """Lines of the table, and whether each tells what it is there to tell."""
    for model in models:
        for manner in manners:
            for is_streamed in (False, True):
                told = row(verdicts(server, model, manner, is_streamed=is_streamed))
                wrong = ", ".join(f"{what} {count}" for what, count in told["wrong"].most_common())
                form = "поток" if is_streamed else "целиком"
                shares = (f"{told[kind]:.0f} %" for kind in ("calls", "answers"))
                is_asked = not any(what.startswith(REFUSED) for what in told["wrong"])
                line = FORM.format(model, MANNERS[manner], form, *shares, wrong)
                yield line, is_asked and (not manner or told["calls"] < 100)


def _print(rows: Iterator[tuple[str, bool]]) -> bool:
    """Whether all of them tell what they are there to tell."""
    are_good = True
    sys.stdout.write(FORM.format("модель", "манера", "ответ", "вызовы", "JSON", "что не так") + "\n")
    for line, is_good in rows:
        sys.stdout.write(f"{line}{'' if is_good else UNTRUE}\n")
        sys.stdout.flush()
        are_good = are_good and is_good
    return are_good


if __name__ == "__main__":
    sys.exit(main())
