"""What a request may cost at an endpoint, and how long an answer that buys. Pure."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from billing.money import Micro
from billing.pricing import FREE, Price, ceiling, completion_within
from providers.wire import Chat
from routing.needs import Needs
from routing.route import Route


class Quote(Struct, frozen=True):
    """An endpoint with the prices in force at admission: for this request they hold, whatever changes."""

    route: Route
    price: Price
    own_price: Price
    prompt: int  # tokens of the prompt at the most
    limit: int  # tokens of the largest answer allowed
    is_told: bool = False  # the vendor is told the limit by us: the customer's own does not do
    is_lowered: bool = False  # money buys less than was asked for

    @property
    def ceiling(self) -> Micro:
        """What the request costs at the most."""
        return ceiling(self.price, self.prompt, self.limit)

    @property
    def floor(self) -> Micro:
        """What it costs with an answer of one token: for less it is not worth asking."""
        return ceiling(self.price, self.prompt, 1)

    def within(self, amount: Micro) -> "Quote | None":
        """The same for no more than ``amount``, with a shorter answer if need be; None if it buys none."""
        if amount >= self.ceiling:
            return self
        limit = completion_within(self.price, self.prompt, amount, self.limit)
        return replace(self, limit=limit, is_told=True, is_lowered=True) if limit else None

    def told(self, chat: Chat) -> Chat:
        """``chat`` as this endpoint is asked it. Of two limits adapters take the smaller one."""
        return {**chat, "max_tokens": self.limit} if self.is_told else chat


class Quoting:
    """Makes the quotes of one request: what many endpoints have in common is worked out once."""

    def __init__(self, needs: Needs, moment: datetime, *, is_free: bool) -> None:
        """``moment``: prices in force then are meant. ``is_free``: nothing is charged."""
        self._size = needs.size
        self._asked = needs.limit
        self._is_of_texts = bool(needs.size.texts)
        self._moment = moment
        self._is_free = is_free
        self._prompts: dict[float, int] = {}  # tokens of the prompt at the most, by characters in a token

    def quote(self, route: Route) -> Quote | None:
        """What ``route`` may cost; None if it has no price."""
        price = FREE if self._is_free else route.prices.at(self._moment)
        if price is None:
            return None
        own_price = route.own_prices.at(self._moment) or FREE
        if self._is_of_texts:
            price, own_price = price.of_embeddings(), own_price.of_embeddings()
        prompt = self._prompts.get(route.characters_per_token) or self._prompt(route.characters_per_token)
        asked, most = self._asked, route.max_output
        if asked is None:
            # A vendor may say as much as it likes then, so it is told ours. Some count it into the context
            # and refuse one that does not fit: there they are left to themselves.
            return Quote(route, price, own_price, prompt, most, prompt + most <= route.context_length)
        return Quote(route, price, own_price, prompt, min(asked, most), asked > most)

    def _prompt(self, characters_per_token: float) -> int:
        bound = self._prompts[characters_per_token] = self._size.bound(characters_per_token)
        return bound
