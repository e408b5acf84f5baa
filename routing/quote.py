"""What a request may cost at an endpoint, and how long an answer that buys. Pure."""

from datetime import datetime
from typing import NamedTuple

from billing.money import Micro
from billing.pricing import FREE, Price, ceiling, completion_within
from providers.wire import Chat
from routing.needs import Needs
from routing.route import Route


class Quote(NamedTuple):
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

    def expected(self, prompt: int, answer: int) -> Micro:
        """What the customer pays for so many tokens."""
        return ceiling(self.price, prompt, answer)

    def own_cost(self, prompt: int, answer: int) -> Micro:
        """What the provider takes from us for them; 0 where nobody has said."""
        return 0 if self.own_price is FREE else ceiling(self.own_price, prompt, answer)

    def within(self, amount: Micro) -> "Quote | None":
        """The same for no more than ``amount``, with a shorter answer if need be; None if it buys none."""
        if amount >= self.ceiling:
            return self
        limit = completion_within(self.price, self.prompt, amount, self.limit)
        return self._replace(limit=limit, is_told=True, is_lowered=True) if limit else None

    def told(self, chat: Chat) -> Chat:
        """``chat`` as this endpoint is asked it. Of two limits adapters take the smaller one."""
        return {**chat, "max_tokens": self.limit} if self.is_told else chat


def quote(route: Route, needs: Needs, moment: datetime, *, is_free: bool) -> Quote | None:
    """The quote of ``route``; None if it has no price at ``moment``. ``is_free``: nothing is charged."""
    price = FREE if is_free else route.prices.at(moment)
    if price is None:
        return None
    own_price = route.own_prices.at(moment) or FREE
    if needs.size.texts:
        price, own_price = price.of_embeddings(), own_price.of_embeddings()
    asked = needs.limit
    prompt = needs.size.bound(route.characters_per_token)
    # Where the customer names no limit a vendor may say as much as it likes, so it is told ours. Some count
    # it into the context and refuse one that does not fit: there they are left to themselves.
    fits = prompt + route.max_output <= route.context_length
    limit = route.max_output if asked is None else min(asked, route.max_output)
    is_told = fits if asked is None else asked > limit
    return Quote(route, price, own_price, prompt, limit, is_told)
