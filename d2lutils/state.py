"""PyTorch's global settings, which a user may have changed: put aside, and left as they were."""

import contextlib
import os
from collections.abc import Iterator

import torch

from d2lutils.device import default_device

if hasattr(os, "register_at_fork"):
    # A forked process has none of the threads that torch would wait for, for good; one is enough
    # where several processes work, and torch's own DataLoader does the same.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """Make new tensors on the CPU, whatever the default device is."""
    with torch.device("cpu"):
        yield


@contextlib.contextmanager
def usual_state() -> Iterator[None]:
    """Compute with gradients, without autocast, on the CPU, whatever the caller has chosen.

    Each of these is a thread's own; the default dtype, which is not, is left alone.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", default_device().type):
            with contextlib.suppress(RuntimeError):  # an older torch knows no autocast on MPS
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.empty(0).device.type != "cpu":  # a mode costs time at each call of torch
            stack.enter_context(torch.device("cpu"))
        yield
