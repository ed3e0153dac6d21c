"""Images as arrays: checked, and resized."""

import numpy as np
import torch

from d2lutils.arguments import shown


def check_image(name: str, image: object) -> np.ndarray:
    """Return an image as an array (height, width) of grey values, or raise."""
    try:
        if isinstance(image, torch.Tensor):  # of any device and precision
            image = image.detach().cpu()
            image = image.float() if image.element_size() == 2 else image
        pixels = np.asarray(image)
        if pixels.ndim == 3:
            pixels = pixels.squeeze(0 if len(pixels) == 1 else -1)
        if pixels.ndim != 2 or 0 in pixels.shape or pixels.dtype.kind not in "buif":
            raise ValueError
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"{name}={shown(image)} is no grey image: give each in the shape (H, W), (1, H, W) or"
            " (H, W, 1)"
        ) from None
    return pixels


def resize(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize uint8 images (N, 1, H, W) as torchvision resizes PIL images."""
    from PIL import Image  # here, since torchvision takes a second and most pages do without
    from torchvision.transforms import Resize

    # One by one through PIL: torch's own interpolation does not round as PIL does.
    transform, resized = Resize(size), torch.empty(len(images), 1, *size, dtype=torch.uint8)
    for target, image in zip(resized.numpy(), images.numpy(), strict=True):
        target[0] = transform(Image.fromarray(image[0]))
    return resized
