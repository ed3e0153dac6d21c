"""What an edition costs once the first one's notebooks have run: seconds, and runs of its own.

`make book` first: the cache of its runs is what is measured here.
"""

import shutil
import subprocess
import sys
import time

from book.build import BUILD, CACHE, EDITIONS, ROOT

BUILD_ONE = """
import pathlib, sys
from book.build import build
build(sys.argv[1], pathlib.Path(sys.argv[2]))
"""


def cost(edition: str) -> tuple[float, int]:
    """Build one edition anew; return the seconds, and how many notebooks it executed."""
    shutil.rmtree(BUILD / edition, ignore_errors=True)
    (wheel,) = (BUILD / "wheel").glob("*.whl")
    start = time.perf_counter()
    log = subprocess.run(
        [sys.executable, "-c", BUILD_ONE, edition, wheel],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - start
    return seconds, (log.stdout + log.stderr).count("Executing notebook")


def main() -> None:
    if not CACHE.exists():
        sys.exit("no notebook has run yet: `make book` first")
    seconds, runs = zip(*map(cost, EDITIONS), strict=True)
    for i, edition in enumerate(EDITIONS[1:], start=1):
        print(
            f"edition {edition} / edition {EDITIONS[0]}, both from the cache: "
            f"{seconds[i] / seconds[0]:.2f} ({seconds[i]:.0f} s), notebooks executed: {runs[i]}"
        )


if __name__ == "__main__":
    main()
