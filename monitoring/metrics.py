"""Every figure of ours that Prometheus may read, and what counts them. docs/metrics.md has the same table.

Labels have few values: kinds of outcome, slugs of models and providers in the catalogue. Never a key, a
client, the number of a request or an address: whoever asks must not be able to make series.
"""

from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Protocol

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from monitoring.vitals import Circuit

# Series of one metric in one process. What comes later is counted under OTHER in its last label, which is
# therefore the one with the most values. A catalogue of a hundred models needs some 500.
MOST = 1000
OTHER = "other"
# The same for providers where each is a series for every bucket.
PROVIDERS = 100

MICRO = 1_000_000

# Seconds. The vendors' first tokens come after 0.2 to 3 s; from 30 s on we give up.
FIRST_TOKEN_BUCKETS = (0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30)
# Seconds. A short answer takes one, a long one a minute; after 600 it is cut off.
REQUEST_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600)
# Seconds. CPU is below one millisecond; the rest is the wait for the commit of the hold, 2 s at the most.
OVERHEAD_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1, 2.5)
# Records and holds in one call: one at rest; the teller takes 500 of each at the most.
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)

STATUSES = ("5xx", "1xx", "2xx", "3xx", "4xx", "5xx")  # by the hundreds; a request without any has failed
CIRCUITS = {Circuit.CLOSED: 0, Circuit.HALF_OPEN: 1, Circuit.OPEN: 2}


class Series(dict[Any, Any]):
    """A metric's children by their label values, made at first use; see MOST.

    One label: ``SERIES["a"]``; several: ``SERIES["a", "b"]``, in the order in which they were declared.
    """

    def __init__(self, metric: MetricWrapperBase, most: int = MOST) -> None:
        super().__init__()
        self.metric = metric
        self._most = most

    def __missing__(self, key: str | tuple[str, ...]) -> Any:
        labels = key if isinstance(key, tuple) else (key,)
        if len(self) >= self._most and labels[-1] != OTHER:
            return self[(*labels[:-1], OTHER)]
        child = self[key] = self.metric.labels(*labels)
        return child


# --- Requests ----------------------------------------------------------------------------------------

REQUESTS = Series(
    Counter(
        "xrouter_requests",
        "Chats that have ended, and those that were refused: they have no streamed and no model. "
        "cancelled: the customer left. error: as in docs/errors.md. model: which answered.",
        ["status", "error", "streamed", "model"],
    )
)
FIRST_TOKEN = Series(
    Histogram(
        "xrouter_first_token_seconds",
        "From a request's beginning to the first output of its stream.",
        ["provider"],
        buckets=FIRST_TOKEN_BUCKETS,
    ),
    most=PROVIDERS,
)
DURATION = Series(
    Histogram(
        "xrouter_request_seconds",
        "From the beginning of a request that was let in to its settlement. provider: which answered.",
        ["streamed", "provider"],
        buckets=REQUEST_BUCKETS,
    ),
    most=2 * PROVIDERS,
)
OVERHEAD = Histogram(
    "xrouter_overhead_seconds",
    "Our own share of the time of an answer that is not streamed: all but the attempts.",
    buckets=OVERHEAD_BUCKETS,
)
ATTEMPTS = Series(
    Counter(
        "xrouter_attempts",
        "Attempts at providers. outcome: ok, or the kind of error as in providers/errors.py.",
        ["outcome", "provider"],
    )
)
FAILOVERS = Series(
    Counter(
        "xrouter_failovers",
        "Requests that went on to another endpoint. provider: which had failed.",
        ["provider"],
    )
)
REPAIRS = Series(
    Counter(
        "xrouter_repairs",
        "Times a model was asked again, since its answer was not in the form that was promised.",
        ["provider"],
    )
)
TOKENS = Series(
    Counter(
        "xrouter_tokens",
        "Tokens of answers. kind: prompt, completion; cached is a part of prompt, reasoning of completion.",
        ["kind", "model"],
    )
)
COST = Series(
    Counter(
        "xrouter_cost_roubles",
        "What answers cost by their tokens. The ledger charges no more of it than was on hold.",
        ["model"],
    )
)
OWN_COST = Series(Counter("xrouter_own_cost_roubles", "What providers take from us for it.", ["provider"]))

CONTENTS = Series(
    Counter(
        "xrouter_contents",
        "Requests whose clients asked for what they say to be kept. outcome: kept; unwanted: the client has "
        "stopped it meanwhile; full: the worker had no room; lost: the database did not take it.",
        ["outcome"],
    )
)

# --- Providers: as the planner sees them ---------------------------------------------------------------

BREAKER = Series(
    Gauge(
        "xrouter_breaker_state",
        "An endpoint's breaker: 0 closed, 1 half-open, 2 open; the worst that a worker sees.",
        ["provider", "model"],
        multiprocess_mode="livemax",
    )
)
SLOTS_IN_USE = Series(
    Gauge(
        "xrouter_slots_in_use",
        "Requests that a provider has of us at once, by the label of our credential.",
        ["provider", "credential"],
        multiprocess_mode="livesum",
    )
)
SLOTS_LIMIT = Series(
    Gauge(
        "xrouter_slots_limit",
        "How many it allows for that credential.",
        ["provider", "credential"],
        multiprocess_mode="livemostrecent",
    )
)

# --- Workers: told once a second -----------------------------------------------------------------------

WORKERS = Gauge("xrouter_workers", "Web processes that are alive.", multiprocess_mode="livesum")
HOLDS = Counter("xrouter_teller_holds", "Holds asked of the database.")
SETTLEMENTS = Counter("xrouter_teller_settlements", "Records written by the tellers.")
BATCHES = Histogram(
    "xrouter_teller_batch_size",
    "Holds and records in one call of a teller; its count is the number of calls.",
    buckets=BATCH_BUCKETS,
)
WAITING = Gauge(
    "xrouter_settlements_waiting",
    "Records that are not yet in the database.",
    multiprocess_mode="livesum",
)
OLDEST_HOLD = Gauge(
    "xrouter_oldest_hold_seconds",
    "Age of the oldest hold; 0 where nothing is on hold. Looked up every 15 seconds.",
    multiprocess_mode="livemostrecent",
)
REDIS_FALLS = Counter("xrouter_redis_falls", "How often a worker found Redis to be away.")
REDIS_AWAY = Gauge(
    "xrouter_redis_away",
    "Workers that count limits by themselves because Redis is away.",
    multiprocess_mode="livesum",
)
SNAPSHOT = Gauge(
    "xrouter_snapshot_timestamp_seconds",
    "When the catalogue in memory was last known to be the database's; the oldest of the workers'.",
    multiprocess_mode="livemin",
)


class Record(Protocol):
    """What a finished request is known by: a row of ``billing_generation``."""

    model: str
    provider: str
    streamed: bool
    cancelled: bool
    http_status: int
    error_type: str
    first_token_ms: int | None
    duration_ms: int
    overhead_ms: float | None
    tokens_prompt: int
    tokens_completion: int
    tokens_cached: int
    tokens_reasoning: int
    cost: int  # micro-roubles, as the next
    own_cost: int
    attempts: list[dict[str, Any]]


class Tally(Protocol):
    """What a teller has carried, and the sizes of those batches that nobody has taken yet."""

    settlements: int
    holds: int
    sizes: deque[int]


def observe(record: Record) -> None:
    """Count a request that was let in and has ended."""
    provider, model = record.provider, record.model
    streamed = "true" if record.streamed else "false"
    status = "cancelled" if record.cancelled else _status(record.http_status)
    REQUESTS[status, record.error_type, streamed, model].inc()
    DURATION[streamed, provider].observe(record.duration_ms / 1000)
    if record.first_token_ms is not None:
        FIRST_TOKEN[provider].observe(record.first_token_ms / 1000)
    if record.overhead_ms is not None:
        OVERHEAD.observe(record.overhead_ms / 1000)
    _observe_attempts(record.attempts)
    if record.tokens_prompt or record.tokens_completion:
        _observe_usage(record)


def refused(http_status: int, error: str) -> None:
    """Count a request that was not let in: nobody was asked, and there is no record of it."""
    REQUESTS[_status(http_status), error, "", ""].inc()


def show_circuits(states: Mapping[tuple[str, str], Circuit]) -> None:
    """Show the breakers of all endpoints, by provider and model; those that are gone as closed."""
    for gone in BREAKER.keys() - states.keys():
        BREAKER[gone].set(0)
    for endpoint, state in states.items():
        BREAKER[endpoint].set(CIRCUITS[state])


def show_slots(used: Mapping[tuple[str, str], tuple[int, int]]) -> None:
    """Show how many of how many places are taken, by provider and the credential's label."""
    for gone in SLOTS_IN_USE.keys() - used.keys():
        SLOTS_IN_USE[gone].set(0)
    for credential, (in_use, limit) in used.items():
        SLOTS_IN_USE[credential].set(in_use)
        SLOTS_LIMIT[credential].set(limit)


class Worker:
    """What one web process tells of itself, again and again."""

    def __init__(self) -> None:
        self._told: dict[Counter, int] = {}
        WORKERS.set(1)

    def tell(
        self, tally: Tally, *, waiting: int, redis_falls: int, redis_is_away: bool, snapshot_seen_at: float
    ) -> None:
        """``waiting``: settlements; ``snapshot_seen_at``: in Unix seconds."""
        self._raise(SETTLEMENTS, tally.settlements)
        self._raise(HOLDS, tally.holds)
        self._raise(REDIS_FALLS, redis_falls)
        while tally.sizes:
            BATCHES.observe(tally.sizes.popleft())
        WAITING.set(waiting)
        REDIS_AWAY.set(redis_is_away)
        SNAPSHOT.set(snapshot_seen_at)

    def _raise(self, counter: Counter, total: int) -> None:
        counter.inc(total - self._told.get(counter, 0))
        self._told[counter] = total


def _status(http_status: int) -> str:
    hundreds = http_status // 100
    return STATUSES[hundreds] if hundreds < len(STATUSES) else STATUSES[0]


def _observe_attempts(attempts: list[dict[str, Any]]) -> None:
    for attempt in attempts:
        # There is no outcome where the customer left twice: before an answer, and again while we cleaned up.
        ATTEMPTS[attempt.get("outcome", OTHER), attempt["provider"]].inc()
        if repairs := attempt.get("repairs"):
            REPAIRS[attempt["provider"]].inc(repairs)
    if len(attempts) > 1:
        for one, another in pairwise(attempts):
            if (one["provider"], one["model"]) != (another["provider"], another["model"]):
                FAILOVERS[one["provider"]].inc()


def _observe_usage(record: Record) -> None:
    model = record.model
    TOKENS["prompt", model].inc(record.tokens_prompt)
    TOKENS["completion", model].inc(record.tokens_completion)
    # Vendors may leave these out, or say null.
    if record.tokens_cached:
        TOKENS["cached", model].inc(record.tokens_cached)
    if record.tokens_reasoning:
        TOKENS["reasoning", model].inc(record.tokens_reasoning)
    if record.cost:
        COST[model].inc(record.cost / MICRO)
    if record.own_cost:
        OWN_COST[record.provider].inc(record.own_cost / MICRO)
