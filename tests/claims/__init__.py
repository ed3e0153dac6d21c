"""What the pages claim, chapter by chapter: one `Claim` for one sentence."""

from tests.claims import dropout, overfitting, weight_decay
from tests.claims.claim import SEEDS, Claim

ALL_CLAIMS = [*overfitting.CLAIMS, *weight_decay.CLAIMS, *dropout.CLAIMS]

__all__ = ["ALL_CLAIMS", "SEEDS", "Claim"]
