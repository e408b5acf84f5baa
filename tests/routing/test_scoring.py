import pytest
from msgspec.structs import replace

from routing.classifier import KINDS
from routing.scoring import WEIGHTS, Offer, Score, quality, scores


def offer(endpoint_id: int = 1, **fields) -> Offer:
    known = {"quality": 0.5, "cost": 1_000, "duration": 2.0, "attempts": 0, "failures": 0}
    return Offer(endpoint_id, **{**known, **fields})


def test_every_kind_has_weights_that_are_one_together():
    assert WEIGHTS.keys() == set(KINDS)
    assert all(sum(weights) == pytest.approx(1) for weights in WEIGHTS.values())


def test_nobody_scores_nothing():
    assert scores("chat", []) == []


def test_scores_come_in_the_order_of_the_offers():
    assert [score.endpoint_id for score in scores("chat", [offer(3), offer(1), offer(2)])] == [3, 1, 2]


def test_the_cheapest_and_the_fastest_have_one_and_others_their_share_of_it():
    cheap, dear = scores("chat", [offer(1, cost=100, duration=4.0), offer(2, cost=400, duration=1.0)])

    assert (cheap.price, dear.price) == (1, 0.25)
    assert (cheap.speed, dear.speed) == (0.25, 1)


def test_parts_add_up_to_the_total_by_their_weights():
    (score,) = scores("code", [offer(quality=0.8)])

    weights = WEIGHTS["code"]
    parts = (score.quality, score.price, score.speed, score.health)
    assert score.total == pytest.approx(sum(w * part for w, part in zip(weights, parts, strict=True)))


def test_who_was_not_measured_is_neither_fast_nor_slow():
    unknown, fast, slow = scores(
        "chat", [offer(1, duration=None), offer(2, duration=1), offer(3, duration=8)]
    )

    assert (fast.speed, unknown.speed, slow.speed) == (1, 0.5, 0.125)


def test_one_failure_of_one_attempt_is_less_than_fifty_of_fifty():
    new, unlucky, broken = scores(
        "chat", [offer(1), offer(2, attempts=1, failures=1), offer(3, attempts=50, failures=50)]
    )

    assert new.health == 1
    assert unlucky.health == pytest.approx(5 / 6)
    assert broken.health == pytest.approx(5 / 55)


def test_beside_what_is_free_everything_is_dear():
    free, dear = scores("chat", [offer(1, cost=0), offer(2, cost=1)])

    assert (free.price, dear.price) == (1, 0)


def test_quality_decides_about_code_and_price_about_talk():
    strong, cheap = offer(1, quality=0.8, cost=10_000), offer(2, quality=0.5, cost=1_000)

    assert best("code", [strong, cheap]) == 1
    assert best("chat", [strong, cheap]) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_unit_of_price_and_time_does_not_matter(kind):
    offers = [offer(1, cost=70, duration=0.7), offer(2, cost=130, duration=None), offer(3, cost=33)]
    scaled = [
        replace(o, cost=o.cost * 1_000, duration=None if o.duration is None else o.duration * 1_000)
        for o in offers
    ]

    assert [s.total for s in scores(kind, offers)] == [s.total for s in scores(kind, scaled)]


def test_a_kind_without_a_mark_of_its_own_has_the_general_one():
    assert quality({"general": 60, "math": 80}, "math") == 0.8
    assert quality({"general": 60, "math": 80}, "code") == 0.6


def test_a_score_names_its_parts():
    assert Score.__struct_fields__ == ("endpoint_id", "total", "quality", "price", "speed", "health")


def best(kind: str, offers: list[Offer]) -> int:
    """The endpoint that is asked first."""
    return max(scores(kind, offers), key=lambda score: score.total).endpoint_id
