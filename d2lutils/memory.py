"""How much memory is left, so that what cannot fit is refused before it is made."""

import math
from collections.abc import Iterator
from pathlib import Path

import torch


def check_memory(need: float, what: str, reduce: str, device: torch.device | None = None) -> None:
    """Raise MemoryError, which names what to make smaller, if `need` bytes are not there."""
    device = device or torch.device("cpu")
    free = min(_on_cuda(device) if device.type == "cuda" else _on_cpu(), default=math.inf)
    if need > free:
        raise MemoryError(
            f"{what} need about {need / 2**30:,.1f} GiB, and {device} has"
            f" {max(free, 0) / 2**30:,.1f} GiB free; give a smaller {reduce}"
        )


def _on_cuda(device: torch.device) -> Iterator[float]:
    # An older torch does not take a device without a number.
    index = torch.cuda.current_device() if device.index is None else device.index
    yield torch.cuda.mem_get_info(index)[0] + (
        torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index)
    )


def _on_cpu() -> Iterator[float]:
    """Yield what is left of each limit that Linux sets: the machine, the process, its groups."""
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable"):
            yield int(line.split()[1]) * 1024
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield from left_in_group(Path("/sys/fs/cgroup"), group, "memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
            yield from left_in_group(Path("/sys/fs/cgroup/memory"), group, *names)
    try:
        import resource  # not on Windows
    except ImportError:
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    for line in _lines(Path("/proc/self/statm")) if limit != resource.RLIM_INFINITY else ():
        yield limit - int(line.split()[0]) * resource.getpagesize()


def left_in_group(root: Path, group: str, limit: str, used: str) -> Iterator[float]:
    """Yield what a control group, such as a container, and those around it have left."""
    folder = root / group.strip("/")
    for place in (folder, *folder.parents):
        for most, taken in zip(_lines(place / limit), _lines(place / used), strict=False):
            if most.isdecimal():  # else "max": no limit
                cached = [int(x.split()[1]) for x in _lines(place / "memory.stat")
                          if x.startswith(("inactive_file ", "active_file "))]  # fmt: skip
                yield int(most) - int(taken) + sum(cached)
        if place == root:
            break


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError:
        return []
