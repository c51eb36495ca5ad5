"""What training asks of painted pictures, given what a loss network sees in them; values per picture (N,)."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from stylecore import losses
from stylecore.color import luma
from stylecore.training.spec import TrainSpec
from stylecore.training.targets import Targets

STILL = 0.02
"""Share of a feature's power that counts as its spread: flat crops ask for content, and not for more."""


def content_wish(
    made: Mapping[str, Tensor], wanted: Mapping[str, Tensor], weights: Mapping[str, float]
) -> Tensor:
    """How far the drawing is from the wanted one, over layers by weight."""
    parts = [
        weight * losses.content_loss(made[name], wanted[name], STILL) for name, weight in weights.items()
    ]
    return torch.stack(parts).sum(0) / sum(weights.values())


def style_wish(
    made: Mapping[str, Tensor], targets: Targets, spec: TrainSpec, source: Tensor, groups: Sequence[int]
) -> Tensor:
    """Style error of paintings of (N,3,H,W), less where there is little to paint.

    Statistics are those of all crops of one style together; `groups` says how many in a row are. A small crop
    of the painting itself is as far from the whole as a fair imitation is: asked of each crop alone, a
    network learns the average stroke and lays it everywhere alike.
    """
    error, weights = losses.STYLE_LOSSES[spec.style_loss], spec.style_layers
    hunger, ends = appetite(source), list(accumulate(groups))
    values = torch.zeros_like(hunger)
    for name, weight in weights.items():
        moments = losses.moments(made[name])
        apart = [
            hunger[start:end] * error(_together(moments, hunger, start, end), *targets.of(name, start))
            for start, end in pairwise([0, *ends])
        ]
        values = values + weight / sum(weights.values()) * torch.cat(apart)
    return values


def _together(moments: losses.Moments, hunger: Tensor, start: int, end: int) -> losses.Moments:
    """Moments of some pictures as if they were one, each counted as it may ask for style."""
    share = hunger[start:end] / hunger[start:end].sum()
    mean, second = (torch.tensordot(share, each[start:end], 1)[None] for each in moments)
    return mean, second


def appetite(source: Tensor) -> Tensor:
    """How much style pictures (N,3,H,W) may ask for, (N,): little where there is nothing or no light."""
    seen = (losses.contrast(source) / 0.06).clamp(0.05, 1)
    return seen * (luma(source).mean((1, 2, 3)) / 0.08).clamp(0.05, 1)
