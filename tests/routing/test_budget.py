from routing.budget import MOST, RATE, Budget


def spent(budget: Budget, now: float, tries: int = 1_000) -> int:
    return sum(budget.spend(now) for _ in range(tries))


def test_repeats_are_a_share_of_requests_and_a_few_a_second():
    budget = Budget(0.0)
    spent(budget, 0.0)

    for _ in range(50):
        budget.earn()

    assert spent(budget, 0.0) in {9, 10}  # sums of fifths are not exact
    assert spent(budget, 2.0) == 2 * RATE
    assert spent(budget, 1_000_000.0) == MOST
