"""What becomes of each field of a request at an endpoint: what is lost, told beforehand. Pure.

Nothing here is kept by hand: it is what adapters declare and endpoints can do, by the same questions that are
asked on the way of a request. Where one comes by, ``x-xrouter-dropped`` names what is DROPPED here.
"""

from collections.abc import Iterable, Mapping
from typing import get_args

from providers.adapters import ADAPTERS
from providers.wire import Support
from routing.embeddings.reading import EmbeddingsRequest
from routing.needs import OWN, TEXT_FIELDS
from routing.route import ANY_CALL, FORM, Route
from routing.shape import ChatRequest, Part

BEST_FIRST = (Support.EXACT, Support.EMULATED, Support.DROPPED, Support.REFUSED)
HONOURED = frozenset(BEST_FIRST[:2])

# Forms of an answer, and kinds of parts of a message: not every endpoint has all of them.
FORMS = {f"{FORM}.{form}": form for form in ("json_object", "json_schema")}
PARTS = {
    f"messages[].content[].{kind}": kind for kind in (part.__struct_config__.tag for part in get_args(Part))
}
ROWS = (*sorted(ChatRequest.__struct_fields__), *sorted(FORMS), ANY_CALL, *sorted(PARTS))
# Rows of a model of vectors, which is never asked for a chat. What no vendor is told of is ours to honour.
TEXT_ROWS = tuple(sorted(EmbeddingsRequest.__struct_fields__))
# Fields that are rewritten before anybody is asked (``legacy``), and what they become.
REWRITTEN = {"functions": "tools", "function_call": "tool_choice"}

Treatments = Mapping[str, Support]


def treatments(route: Route) -> Treatments:
    """What becomes of everything that a chat may ask for."""
    return {row: _treatment(route, row) for row in ROWS}


def text_treatments(route: Route) -> Treatments:
    """What becomes of everything that a request for vectors may ask for."""
    return {row: route.support(row) if row in TEXT_FIELDS else Support.EXACT for row in TEXT_ROWS}


def best_of(matrix: Iterable[Treatments]) -> Treatments:
    """For each row the best that one of the endpoints, of which there are some, does with it."""
    found = list(matrix)
    return {row: min((each[row] for each in found), key=BEST_FIRST.index) for row in found[0]}


def _treatment(route: Route, row: str) -> Support:
    if row in PARTS:
        takes = ADAPTERS[route.upstream.adapter].takes(PARTS[row], route.features)
        return Support.EXACT if takes else Support.REFUSED
    if row in FORMS and route.lacks_form(FORMS[row]):
        return Support.EMULATED
    if row in REWRITTEN:
        return min(route.support(row), route.support(REWRITTEN[row]), key=BEST_FIRST.index)
    if row == "stream" and "streaming" not in route.features:
        return Support.EMULATED  # in one piece, once all of it is there
    return OWN.get(row) or route.support(row)
