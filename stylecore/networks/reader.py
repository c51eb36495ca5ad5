"""The reader: describes style pictures, so that they can be compared, and predicts style vectors for them.

The idea of Ghiasi 2017 (a network predicts the scales and shifts of conditional instance normalization).
Deviations: no pretrained trunk; the picture is seen as the means and deviations of four small stages, as
AdaIN (Huang 2017) describes a style, plus its colours; the answer is an offset from an average style.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STAGES = (32, 64, 96, 128)
HIDDEN = 192
_GENTLE = 0.1
"""Scale of the last layer's answer: a style vector moves far for a small change of weights."""


class StyleReader(nn.Module):
    """Style pictures RGB (N,3,H,W) in 0..1, short side 512 px as trained -> vectors (N, 2, `channels`)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        widths = (12, *STAGES)
        self.stages = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=1 if index == 0 else 2, padding=1)
            for index, (before, after) in enumerate(zip(widths, STAGES, strict=False))
        )
        self.norm = nn.LayerNorm(2 * sum(STAGES) + 9)
        self.hidden = nn.Linear(2 * sum(STAGES) + 9, HIDDEN)
        self.answer = nn.Linear(HIDDEN, 2 * channels)
        nn.init.zeros_(self.answer.weight)
        self.register_buffer("average", torch.zeros(2, channels))

    def forward(self, rgb: Tensor) -> Tensor:
        facts = [_colors(_even(rgb))]
        for mean, deviation in self._seen(rgb):
            facts += [mean, deviation]
        found = F.relu(self.hidden(self.norm(torch.cat(facts, 1))))
        return self.get_buffer("average") + _GENTLE * self.answer(found).view(-1, 2, self.channels)

    def describe(self, rgb: Tensor) -> Tensor:
        """The texture of style pictures, (N, sum of STAGES): how uneven each feature is."""
        return torch.cat([(deviation / (mean + 1e-3)).log() for mean, deviation in self._seen(rgb)], 1)

    def _seen(self, rgb: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Mean and deviation of every stage's features."""
        x = F.pixel_unshuffle(_even(rgb), 2)
        for stage in self.stages:
            x = F.relu(stage(x))
            var, mean = torch.var_mean(x, dim=(2, 3), correction=0)
            yield mean, (var + 1e-5).sqrt()


def _even(rgb: Tensor) -> Tensor:
    height, width = rgb.shape[-2:]
    return rgb[..., : height - height % 2, : width - width % 2] - 0.5


def _colors(x: Tensor) -> Tensor:
    """Mean and the covariance's upper triangle of the colours, (N,9)."""
    flat = x.flatten(2)
    mean = flat.mean(2)
    centered = flat - mean[..., None]
    covariance = centered @ centered.transpose(1, 2) / flat.shape[-1]
    rows, columns = torch.triu_indices(3, 3)
    return torch.cat([4 * mean, 16 * covariance[:, rows, columns]], 1)
