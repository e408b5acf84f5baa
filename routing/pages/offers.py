"""Models as those who choose one look at them: found by words and filters, and in which order. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.money import Micro
from routing.listing import Listing
from routing.meter import CHARACTERS_PER_TOKEN
from routing.models import AUTO
from routing.pages.models import Density

# The vocabulary of ``supported_features``, in words.
FEATURES = {
    "streaming": _("поток"),
    "function-calling": _("вызов функций"),
    "json-mode": _("ответ в JSON"),
    "json-schema": _("ответ по схеме JSON"),
    "reasoning": _("рассуждения"),
    "vision": _("изображения"),
}
# Russian words change at their ends: one of so many letters is looked for without its last ones.
LONG, ENDING = 5, 2


@dataclass(frozen=True)
class Price:
    """One part of a price, in micro-roubles for a million tokens."""

    title: Any
    tokens: Micro
    density: float = CHARACTERS_PER_TOKEN

    @property
    def characters(self) -> Micro:
        """For a million characters of Russian text."""
        return round(self.tokens / self.density)


@dataclass(frozen=True)
class Offer:
    """A listing with what is shown of it; ``aliases`` are its other names."""

    listing: Listing
    aliases: tuple[str, ...] = field(default=())

    @property
    def slug(self) -> str:
        return self.listing.model.slug

    @property
    def is_auto(self) -> bool:
        return self.slug == AUTO

    @cached_property
    def name(self) -> str:
        """As the operators wrote it; the one that is ours is in the reader's language."""
        name = self.listing.model.name
        return gettext(name) if self.is_auto else name

    @cached_property
    def description(self) -> str:
        description = self.listing.model.description
        return gettext(description) if self.is_auto else description

    @cached_property
    def providers(self) -> list[str]:
        return list(dict.fromkeys(endpoint.provider.name for endpoint in self.listing.endpoints))

    @cached_property
    def family(self) -> str:
        """Its provider as people call it, where one of the name serves it."""
        slug = self.listing.model.provider_name
        names = {each.provider.slug: each.provider.name for each in self.listing.endpoints}
        return "XRouter" if self.is_auto else names.get(slug, slug)

    @cached_property
    def feature_names(self) -> frozenset[str]:
        return frozenset(self.listing.supported_features)

    @property
    def features(self) -> list[Any]:
        return [title for name, title in FEATURES.items() if name in self.feature_names]

    @cached_property
    def prices(self) -> list[Price]:
        """What a token costs; empty where no price is in force, or it is another model's."""
        if self.listing.rate is None:
            return []
        price = self.listing.rate.price()
        if self.listing.embeds:
            return [Price(_("Тексты"), price.embedding)]
        found = [(_("Запрос"), price.prompt), (_("Ответ"), price.completion)]
        if price.cached_prompt != price.prompt:
            found.append((_("Запрос из кеша"), price.cached_prompt))
        if price.reasoning != price.completion:
            found.append((_("Рассуждения"), price.reasoning))
        density = self.density.characters_per_token if self.density else CHARACTERS_PER_TOKEN
        return [Price(title, tokens, density) for title, tokens in found]

    @property
    def density(self) -> Density | None:
        """How many characters a token is; None where nobody has measured, and an estimate stands for it."""
        return getattr(self.listing.model, "density", None)

    @property
    def dearest(self) -> Micro | None:
        """The dearer one of request and answer."""
        return max((each.tokens for each in self.prices[:2]), default=None)

    @cached_property
    def text(self) -> str:
        """All that words are looked for in."""
        model = self.listing.model
        said = [model.slug, model.name, self.name, self.description, model.provider_name]
        return plain(" ".join([*said, *self.providers, *self.aliases]))

    @cached_property
    def stems(self) -> tuple[str, ...]:
        return tuple(re.findall(r"\w+", self.text))


def plain(text: str) -> str:
    """In one spelling, whatever the writer's: case, ё, full-width letters."""
    return unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")


def found_by(offers: Iterable[Offer], query: str) -> list[Offer]:
    """Those in which all words of ``query`` are found."""
    words = re.findall(r"\w+", plain(query))
    return [offer for offer in offers if all(_has(offer, word) for word in words)]


def _has(offer: Offer, word: str) -> bool:
    if word in offer.text:
        return True
    is_russian = len(word) >= LONG and re.fullmatch("[а-я]+", word)
    return bool(is_russian) and any(each.startswith(word[:-ENDING]) for each in offer.stems)


def filtered(offers: Iterable[Offer], wanted: dict[str, Any]) -> list[Offer]:
    """Those that are as the filters say; what is not said filters nothing."""
    return [offer for offer in found_by(offers, wanted.get("q") or "") if _fits(offer, wanted)]


def _fits(offer: Offer, wanted: dict[str, Any]) -> bool:
    model, most = offer.listing.model, wanted.get("price")
    return (
        wanted.get("task") in {None, "", model.kind}
        and wanted.get("provider") in {None, "", model.provider_name}
        and model.context_length >= (wanted.get("context") or 0)
        and offer.feature_names.issuperset(wanted.get("feature") or ())
        and (most is None or (offer.dearest is not None and offer.dearest <= most))
    )


def sorted_by(offers: Sequence[Offer], order: str) -> list[Offer]:
    """The cheapest or the longest context first, by name where they are alike; without a price at the end."""
    by_name = sorted(offers, key=lambda each: (plain(each.name), each.slug))
    if order == "price":
        return sorted(by_name, key=lambda each: (each.dearest is None, each.dearest or 0))
    if order == "context":
        return sorted(by_name, key=lambda each: -each.listing.model.context_length)
    return by_name
