"""The exercises on weight decay."""

import torch

from d2lutils.checks.exercise import like, value_exercise
from d2lutils.checks.expect import Mistake, expect_close


def _between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


# The update ---------------------------------------------------------------------------------------


def _steps():
    """Yield w, grad, lr, λ: several shapes and dtypes, weights of both signs and one at zero."""
    for shape in ((20,), (3, 5), (2, 3, 4)):
        for dtype in (torch.float32, torch.float64):
            w = torch.randn(shape, dtype=dtype) * 2
            w.view(-1)[:3] = torch.tensor([0.0, 1.7, -0.6])
            grad = torch.randn(shape, dtype=dtype)
            yield {"w": w, "grad": grad, "lr": _between(0.1, 0.6), "lam": _between(0.1, 0.8)}


def _torch_sgd(w, grad, lr, lam):
    new = w.clone()
    new.grad = grad
    torch.optim.SGD([new], lr=lr, weight_decay=lam).step()
    return new


def _plain_without_decay(answer, arguments, value):
    w, grad, lr, _ = arguments.values()
    expect_close(answer(w, grad, lr, 0.0), w - lr * grad, "sgd_step(w, grad, lr, 0)")


value_exercise(
    "weight_decay.update", "sgd_step(w, grad, lr, lam)",
    inputs=_steps, right=_torch_sgd, returns=like("w"), also=_plain_without_decay,
    mistakes=[
        Mistake(lambda w, grad, lr, lam: w - lr * grad, "no decay", "没有衰减",
                "That is SGD without weight decay: λ plays no part. Add the gradient of λ/2 ‖w‖² to the gradient.",
                "这是没有权重衰减的 SGD：λ 完全没有起作用。请把 λ/2 ‖w‖² 的梯度加到梯度上。"),
        Mistake(lambda w, grad, lr, lam: w - lr * grad - lam * w, "decay not scaled by lr", "衰减没有乘学习率",
                "You take λw off the weights in each step. The penalty's gradient is part of the gradient, so the "
                "learning rate scales it too.",
                "你在每一步直接减去 λw。惩罚项的梯度是总梯度的一部分，也要乘上学习率。"),
    ],
)
