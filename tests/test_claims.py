"""Every claim of the prose, as an inequality over seeds. The claims stand in `tests/claims/`."""

import pytest

from book.pages import prose
from tests.claims import ALL_CLAIMS, SEEDS, Claim


@pytest.mark.parametrize("claim", ALL_CLAIMS, ids=lambda c: f"{c.page}: {c.sentence[:50]}")
class TestClaim:
    def test_page_says_so(self, claim):
        assert " ".join(claim.sentence.split()) in " ".join(prose(claim.page).split())

    def test_holds_for_every_seed(self, claim):
        pairs = [(claim.larger(seed), claim.smaller(seed)) for seed in SEEDS]
        assert all(larger - smaller > claim.margin for larger, smaller in pairs), pairs


def test_a_claim_that_would_hold_with_its_settings_swapped_is_refused():
    with pytest.raises(ValueError, match="margin is -0.1"):
        Claim("index", "This is above that.", lambda seed: 0, lambda seed: 0.05, margin=-0.1)
