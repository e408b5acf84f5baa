"""What a browser would make of a page: elements and their attributes, whatever stands in texts."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def inline(html: str) -> list[str]:
    """Everything that would run or style by itself: none of it is to be on a page."""
    return [
        f"<{tag} {attributes}>"
        for tag, attributes in Elements(html).found
        if tag == "style"
        or (tag == "script" and not attributes.get("src"))
        or any(name.startswith("on") or name == "style" for name in attributes)
        or any((attributes.get(name) or "").strip().startswith("javascript:") for name in ("href", "action"))
    ]
