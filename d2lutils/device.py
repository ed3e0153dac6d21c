"""The device that everything runs on."""

import torch

from d2lutils.arguments import shown, wrong_type


def default_device() -> torch.device:
    """Return the device everything runs on by default: CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def check_device(device: object) -> torch.device:
    """Return a device on which numbers can be kept, the default one for None, or raise."""
    default = default_device()
    if device is None:
        return default
    there = " or ".join(repr(name) for name in dict.fromkeys((default.type, "cpu")))
    if isinstance(device, bool) or not isinstance(device, (str, int, torch.device)):
        raise wrong_type("device", device, there)
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()  # neither on the meta device nor on one that is absent
    except Exception:  # each kind of device has its own errors
        raise ValueError(f"device={shown(str(device))} is not here: give {there}") from None
    return found
