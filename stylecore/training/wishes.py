"""What training asks of painted pictures, given what a loss network sees in them; values per picture (N,)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from stylecore import losses
from stylecore.color import luma
from stylecore.training.spec import TrainSpec
from stylecore.training.targets import Targets

LOCAL_MIN_PX = 48
"""Width of a layer from which quarters hold enough for statistics of their own."""
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


def style_wish(made: Mapping[str, Tensor], targets: Targets, spec: TrainSpec, source: Tensor) -> Tensor:
    """Style error of paintings of (N,3,H,W), less where there is little to paint.

    Fine layers are asked of each quarter by itself: paint belongs everywhere. Asked of the whole, a network
    leaves the sky bare and doubles the strokes on the grass.
    """
    error, weights = losses.STYLE_LOSSES[spec.style_loss], spec.style_layers
    local, whole = appetite(quarters(source)), appetite(source)
    parts = []
    for name, weight in weights.items():
        features, mean, gram = made[name], targets.means[name], targets.grams[name]
        if features.shape[-1] < LOCAL_MIN_PX:
            parts.append(weight * whole * error(features, mean, gram))
            continue
        apart = error(quarters(features), mean.repeat(4, 1), gram.repeat(4, 1, 1))
        parts.append(weight * (local * apart).view(4, -1).mean(0))
    return torch.stack(parts).sum(0) / sum(weights.values())


def quarters(x: Tensor) -> Tensor:
    """The four quarters of (N,C,H,W), one after the other: (4N,C,H/2,W/2)."""
    rows, columns = x.shape[-2] // 2, x.shape[-1] // 2
    return torch.cat(
        [x[..., top : top + rows, left : left + columns] for top in (0, rows) for left in (0, columns)]
    )


def appetite(source: Tensor) -> Tensor:
    """How much style pictures (N,3,H,W) may ask for, (N,): little where there is nothing or no light."""
    seen = (losses.contrast(source) / 0.06).clamp(0.05, 1)
    return seen * (luma(source).mean((1, 2, 3)) / 0.08).clamp(0.05, 1)
