"""What the pages claim, chapter by chapter: one `Claim` for one sentence."""

from tests.claims import (
    beat_dropout,
    choosing_lambda,
    choosing_p,
    combining,
    dropout,
    dropout_exercises,
    index,
    overfitting,
    spot_the_bug,
    train_well,
    weight_decay,
    weight_decay_exercises,
)
from tests.claims.claim import SEEDS, Claim, Measured

ALL_CLAIMS = [
    *index.CLAIMS,
    *overfitting.CLAIMS,
    *train_well.CLAIMS,
    *weight_decay.CLAIMS,
    *choosing_lambda.CLAIMS,
    *dropout.CLAIMS,
    *choosing_p.CLAIMS,
    *combining.CLAIMS,
    *weight_decay_exercises.CLAIMS,
    *dropout_exercises.CLAIMS,
    *spot_the_bug.CLAIMS,
    *beat_dropout.CLAIMS,
]

__all__ = ["ALL_CLAIMS", "SEEDS", "Claim", "Measured"]
