"""Every claim of the prose, as an inequality over seeds. The claims stand in `tests/claims/`."""

import functools

import pytest

from book.pages import prose
from tests.claims import ALL_CLAIMS, SEEDS, Claim


@functools.cache
def _measured(claim: Claim) -> list[tuple[float, float]]:
    return [(claim.larger(seed), claim.smaller(seed)) for seed in SEEDS]


def _holds(pairs: list[tuple[float, float]], margin: float) -> bool:
    return all(larger - smaller > margin for larger, smaller in pairs)


@pytest.mark.parametrize("claim", ALL_CLAIMS, ids=lambda c: f"{c.page}: {c.sentence[:50]}")
class TestClaim:
    def test_page_says_so(self, claim):
        assert " ".join(claim.sentence.split()) in " ".join(prose(claim.page).split())

    def test_holds_for_every_seed(self, claim):
        pairs = _measured(claim)
        assert _holds(pairs, claim.margin), pairs

    def test_would_fail_with_the_settings_swapped(self, claim):
        # larger - smaller > margin >= 0 for every seed leaves the other way round no room.
        assert claim.margin >= 0
