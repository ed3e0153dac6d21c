"""What an edition costs once the first one's notebooks have run: seconds, and runs of its own.

`make book` first: the cache of its runs is what is measured here.
"""

import shutil
import sys
import time

from book.build import build, publish
from book.pages import EDITIONS
from book.runs import BUILD, CACHE
from book.standalone import build_wheel


def cost(edition: str) -> tuple[float, int]:
    """Build one edition anew; return the seconds, and how many notebooks it executed."""
    shutil.rmtree(BUILD / edition, ignore_errors=True)
    start = time.perf_counter()
    log = build(edition)
    log.check_returncode()
    publish(edition, build_wheel(BUILD / "wheel"))
    return time.perf_counter() - start, log.stdout.count("Executing notebook")


def main() -> None:
    if not CACHE.exists():
        sys.exit("no notebook has run yet: `make book` first")
    seconds, runs = zip(*map(cost, EDITIONS), strict=True)
    first, *others = EDITIONS
    for i, edition in enumerate(others, start=1):
        print(
            f"edition {edition} / edition {first}, both from the cache: "
            f"{seconds[i] / seconds[0]:.2f} ({seconds[i]:.0f} s), notebooks executed: {runs[i]}"
        )


if __name__ == "__main__":
    main()
