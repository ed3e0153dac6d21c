"""What the pages claim, chapter by chapter: one `Claim` for one sentence."""

from tests.claims import choosing_lambda, choosing_p, combining, dropout, overfitting, weight_decay
from tests.claims.claim import SEEDS, Claim

ALL_CLAIMS = [
    *overfitting.CLAIMS,
    *weight_decay.CLAIMS,
    *choosing_lambda.CLAIMS,
    *dropout.CLAIMS,
    *choosing_p.CLAIMS,
    *combining.CLAIMS,
]

__all__ = ["ALL_CLAIMS", "SEEDS", "Claim"]
