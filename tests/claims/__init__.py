"""What the pages claim, a file for each page or chapter, which lists its `CLAIMS`."""

import importlib
import pkgutil

from tests.claims.claim import SEEDS, Claim, Measured

_FILES = [file.name for file in pkgutil.iter_modules(__path__) if file.name != "claim"]
ALL_CLAIMS = [
    claim for name in _FILES for claim in importlib.import_module(f"{__name__}.{name}").CLAIMS
]

__all__ = ["ALL_CLAIMS", "SEEDS", "Claim", "Measured"]
