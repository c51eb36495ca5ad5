"""Style pictures for the reader to learn from, beside the styles that have names."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylecore.encoders import LossNetwork
from stylecore.training.targets import Targets

READ_PX = 320
"""Side of the crop of a style picture that the reader learns from."""


class Gallery:
    """Style pictures for the reader (K,3,320,320) as bytes, and what each asks for."""

    def __init__(self, pictures: Sequence[Tensor], encoder: LossNetwork, layers: Sequence[str]) -> None:
        self.pixels = torch.stack([picture.mul(255).round().byte() for picture in pictures])
        self.targets = Targets.measure(pictures, encoder, layers)

    def __len__(self) -> int:
        return len(self.pixels)

    def show(self, rows: Sequence[int]) -> Tensor:
        return self.pixels[list(rows)].float().div(255)
