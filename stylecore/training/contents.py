"""What a network learns to paint: crops of pictures, with the hard cases of film mixed in."""

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def in_bytes(picture: Tensor) -> Tensor:
    """A picture of 8 bits (3,H,W) in 0..1 in a quarter of the memory; thousands are learned on at once."""
    return picture.mul(255).round().byte()


def in_light(picture: Tensor) -> Tensor:
    """A picture (3,H,W) in 0..1, however it is held."""
    return picture.float().div(255) if picture.dtype == torch.uint8 else picture


class ContentCrops:
    """Endless random crops (3,P,P) in 0..1; dark, flat, fading, boxed and spotlit ones among them.

    Pictures may be held in bytes; the crops are the same.
    """

    def __init__(self, pictures: Sequence[Tensor], crop_px: int, seed: int) -> None:
        self.pictures = pictures
        self.crop_px = crop_px
        self.random = random.Random(seed)

    def draw(self) -> Tensor:
        kind = self.random.random()
        if kind < 0.04:
            return self._flat()
        crop = self._crop(self.random.choice(self.pictures))
        if kind < 0.16:
            return crop * self.random.uniform(0.02, 0.5)
        if kind < 0.20:
            return crop * self.random.uniform(0.1, 0.6) + self.random.uniform(0.3, 0.4)
        if kind < 0.26:
            return self._letterbox(crop)
        if kind < 0.36:
            return self._spotlight(crop)
        return crop.clamp(0, 1).pow(self.random.uniform(0.75, 1.4))

    def _crop(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        smallest = self.crop_px / min(height, width)
        scale = self.random.uniform(min(1.0, smallest), max(1.0, smallest))
        side = min(round(self.crop_px / scale), height, width)
        top, left = self.random.randint(0, height - side), self.random.randint(0, width - side)
        crop = in_light(picture[:, top : top + side, left : left + side])
        if self.random.random() < 0.5:
            crop = crop.flip(-1)
        size = (self.crop_px, self.crop_px)
        return F.interpolate(crop[None], size, mode="bilinear", antialias=True)[0]

    def _flat(self) -> Tensor:
        level = self.random.choice([0.0, 0.02, self.random.random(), 1.0])
        noise = torch.randn(3, self.crop_px, self.crop_px) * self.random.choice([0.0, 0.01])
        return (noise + level).clamp(0, 1)

    def _spotlight(self, crop: Tensor) -> Tensor:
        """A small lit subject in the dark, as on a stage or in space."""
        side = self.crop_px
        row, column = (self.random.uniform(0, side) for _ in range(2))
        radius = self.random.uniform(0.15, 0.5) * side
        steps = torch.arange(side, dtype=torch.float32)
        distance = (steps[:, None] - row).square() + (steps[None] - column).square()
        return crop * torch.exp(-distance / (2 * radius**2)) * self.random.uniform(0.4, 1.2)

    def _letterbox(self, crop: Tensor) -> Tensor:
        bar = self.random.randint(self.crop_px // 10, self.crop_px // 3)
        boxed = crop.clone()
        boxed[:, :bar] = 0
        return boxed if self.random.random() < 0.5 else boxed.flip(1)
