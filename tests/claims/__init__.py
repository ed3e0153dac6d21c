"""What the pages claim, chapter by chapter: one `Claim` for one sentence."""

from tests.claims import (
    adamw,
    beat_dropout,
    choosing_lambda,
    choosing_p,
    combining,
    dropout,
    dropout_exercises,
    old_notebook,
    overfitting,
    prior,
    sparsity,
    spot_the_bug,
    weight_decay,
    weight_decay_exercises,
)
from tests.claims.claim import SEEDS, Claim, Measured

ALL_CLAIMS = [
    *overfitting.CLAIMS,
    *weight_decay.CLAIMS,
    *old_notebook.CLAIMS,
    *choosing_lambda.CLAIMS,
    *sparsity.CLAIMS,
    *adamw.CLAIMS,
    *prior.CLAIMS,
    *dropout.CLAIMS,
    *choosing_p.CLAIMS,
    *combining.CLAIMS,
    *weight_decay_exercises.CLAIMS,
    *dropout_exercises.CLAIMS,
    *spot_the_bug.CLAIMS,
    *beat_dropout.CLAIMS,
]

__all__ = ["ALL_CLAIMS", "SEEDS", "Claim", "Measured"]
