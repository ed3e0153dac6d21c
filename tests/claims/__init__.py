"""What the pages claim, chapter by chapter: one `Claim` for one sentence."""

from tests.claims import (
    activations,
    beat_dropout,
    choosing_lambda,
    choosing_p,
    combining,
    dropout,
    dropout_exercises,
    other_noise,
    overfitting,
    spot_the_bug,
    uncertainty,
    weight_decay,
    weight_decay_exercises,
)
from tests.claims.claim import SEEDS, Claim, Measured

ALL_CLAIMS = [
    *overfitting.CLAIMS,
    *weight_decay.CLAIMS,
    *choosing_lambda.CLAIMS,
    *dropout.CLAIMS,
    *choosing_p.CLAIMS,
    *activations.CLAIMS,
    *other_noise.CLAIMS,
    *uncertainty.CLAIMS,
    *combining.CLAIMS,
    *weight_decay_exercises.CLAIMS,
    *dropout_exercises.CLAIMS,
    *spot_the_bug.CLAIMS,
    *beat_dropout.CLAIMS,
]

__all__ = ["ALL_CLAIMS", "SEEDS", "Claim", "Measured"]
