"""Orders to a twin inside a prompt: ``[[tokens=500]] [[delay_ms=20]] [[echo]]``. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_DIRECTIVE = re.compile(r"\[\[([a-z_]+)(?:=([^\[\]]*))?\]\]")
# Arguments are parted by dots, but a dot may also be part of a number: usage_over.x=1.5
_ARGUMENT = re.compile(r"\.(?=[a-z_]+=)")


@dataclass(frozen=True, slots=True)
class Directives:
    """The orders found in one text, and the text without them."""

    text: str
    orders: tuple[tuple[str, str], ...] = ()

    def has(self, name: str) -> bool:
        return any(order == name for order, _ in self.orders)

    def all(self, name: str) -> Iterator[str]:
        return (value for order, value in self.orders if order == name)

    def word(self, name: str, default: str = "") -> str:
        """The last value given for ``name``."""
        return ([default, *self.all(name)])[-1]

    def number(self, name: str) -> float | None:
        """The last value as a number; None if there is none or it is no number."""
        try:
            return float(self.word(name))
        except ValueError:
            return None

    def count(self, name: str) -> int:
        """The last value as a whole number, 0 if there is none."""
        return max(0, int(self.number(name) or 0))

    def seconds(self, name: str, default: float) -> float:
        """The last value, given in milliseconds, in seconds."""
        milliseconds = self.number(name)
        return default if milliseconds is None else milliseconds / 1000


def directives(text: str) -> Directives:
    orders = tuple((match[1], match[2] or "") for match in _DIRECTIVE.finditer(text))
    return Directives(_DIRECTIVE.sub("", text), orders) if orders else Directives(text)


def fault_order(spec: str) -> tuple[str, Mapping[str, str]]:
    """Kind and arguments of ``stall_resume.after=3.hold=20``."""
    kind, *arguments = _ARGUMENT.split(spec.strip())
    pairs = (argument.partition("=") for argument in arguments)
    return kind, {name: value for name, _, value in pairs}


def split_model(model: str) -> tuple[str, str]:
    """A model's name and the fault ordered in its suffix: ``GigaChat-2--cut.after=3``."""
    name, _, spec = model.partition("--")
    return name, spec
