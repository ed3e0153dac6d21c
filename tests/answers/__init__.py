"""Answers to the exercises, right ones and wrong ones, for each check.

`@right("dropout.layer")` registers an answer that must pass;
`@wrong("dropout.layer", "mask not rescaled by 1/(1-p)")` one that must fail with that diagnosis.
"""

from collections import defaultdict
from collections.abc import Callable

RIGHT: dict[str, list[Callable]] = defaultdict(list)
WRONG: dict[str, list[tuple[str, Callable]]] = defaultdict(list)


def right(name: str) -> Callable:
    """Register an answer that the check must accept."""

    def register(answer):
        RIGHT[name].append(answer)
        return answer

    return register


def wrong(name: str, diagnosis: str, *answers: Callable) -> Callable:
    """Register answers that the check must refuse with this diagnosis, or one as a decorator."""

    def register(answer):
        WRONG[name].append((diagnosis, answer))
        return answer

    for answer in answers:
        register(answer)
    return register
