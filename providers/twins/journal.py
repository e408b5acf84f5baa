"""What a twin saw and sent: one entry for each request, the last hundred thousand of them."""

import hashlib
import secrets
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

KEPT = 100_000  # entries
# The canary looks through this much of what came in, in bytes.
KEPT_BYTES = 16 * 1024 * 1024

# Headers shown with their values; of all others only the names are kept.
SHOWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "user-agent",
        "rquid",
        "x-session-id",
        "x-client-id",
        "x-request-id",
        "x-folder-id",
        "x-data-logging-enabled",
        "x-client-request-id",
        "openai-organization",
        "openai-project",
    }
)


@dataclass(slots=True)
class Entry:
    """One request. Times are Unix seconds."""

    id: int
    family: str
    op: str
    t_start: float
    headers: dict[str, str]
    header_names: tuple[str, ...]
    model: str = ""
    tag: str = ""
    nonce: str = field(default_factory=lambda: secrets.token_hex(4))
    fault: str = ""
    fields: list[str] = field(default_factory=list)
    text_hash: str = ""
    status: int = 0
    streamed: bool = False
    prompt_tokens: int = 0
    completion_tokens_sent: int = 0
    t_first: float | None = None  # the first byte of the answer
    t_end: float | None = None
    t_closed: float | None = None  # the peer was seen to be gone
    outcome: str = ""  # served, cut (by a fault), closed_by_client; empty while under way


class Journal:
    def __init__(self) -> None:
        self._last_id = 0
        self.in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Forget all entries; what is under way keeps counting."""
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._seen: deque[tuple[int, bytes]] = deque()
        self._seen_bytes = 0
        self._needles: set[str] = set()
        self.max_in_flight = self.in_flight
        self.bait_hits = 0

    def opened(self, family: str, op: str, headers: Mapping[str, str], now: float) -> Entry:
        """The entry of a request that has just come."""
        self._last_id += 1
        shown = {name.lower(): value for name, value in headers.items() if name.lower() in SHOWN_HEADERS}
        entry = Entry(self._last_id, family, op, now, shown, _lowered(tuple(headers)))
        self._entries.append(entry)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        return entry

    def closed(self, entry: Entry, outcome: str, now: float) -> None:
        entry.outcome = outcome
        entry.t_end = now
        if outcome == "closed_by_client":
            entry.t_closed = now
        self.in_flight -= 1

    def entries(self, *, tag: str = "", family: str = "", since: float = 0) -> Iterator[dict[str, Any]]:
        """What ``GET /__journal`` shows, oldest first."""
        for entry in self._entries:
            if entry.t_start >= since and tag in {"", entry.tag} and family in {"", entry.family}:
                yield asdict(entry)

    def summary(self) -> dict[str, Any]:
        """Counts of what is in the journal."""
        chats = [entry for entry in self._entries if entry.op == "chat"]
        return {
            "requests": len(self._entries),
            "chats": len(chats),
            "oauth_calls": sum(entry.op == "oauth" for entry in self._entries),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "by_family": Counter(entry.family for entry in self._entries),
            "by_op": Counter(entry.op for entry in self._entries),
            "by_status": Counter(str(entry.status) for entry in self._entries if entry.status),
            "by_outcome": Counter(entry.outcome or "under_way" for entry in self._entries),
            "prompt_tokens": sum(entry.prompt_tokens for entry in chats),
            "completion_tokens_sent": sum(entry.completion_tokens_sent for entry in chats),
            "bait_hits": self.bait_hits,
        }

    # --- The canary: did anything come here that must not? ----------------------------------------

    def saw(self, entry: Entry, raw: bytes) -> None:
        """Keep the bytes of a request for the canary."""
        self._seen.append((entry.id, raw))
        self._seen_bytes += len(raw)
        while self._seen_bytes > KEPT_BYTES:
            self._seen_bytes -= len(self._seen.popleft()[1])

    def look_for(self, needles: list[str]) -> None:
        self._needles.update(needle for needle in needles if needle)

    def leaks(self) -> list[dict[str, Any]]:
        """Requests in which one of the needles was found. Looks into the bytes as they came."""
        return [
            {"request": number, "needle": needle}
            for number, raw in self._seen
            for needle in sorted(self._needles)
            if needle.encode() in raw
        ]


@lru_cache(maxsize=1000)
def _lowered(names: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted and without doubles. Cached, so that a hundred thousand entries share a few of them."""
    return tuple(sorted({name.lower() for name in names}))


def text_hash(text: str) -> str:
    """By which two prompts in the journal can be told apart without showing them."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
