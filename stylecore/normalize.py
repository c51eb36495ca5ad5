"""Conditional instance normalization (Dumoulin 2017), live in training, frozen for a shot.

A network asks `norm(layer, features)` after each convolution, or `norm.activated(layer, conv, x)` for both
and a ReLU, may ask `norm.ground(rgb)` for the picture in the style's palette, and never learns which kind it
got:

* `LiveNorm`    statistics of each sample by itself: training, and the flickering baseline;
* `SurveyNorm`  joint statistics of the whole batch, layer by layer, remembered as constants;
* `FrozenNorm`  those constants: strictly local, so any tile, batch or shard gives the same pixels;
* `FoldedNorm`  the same, for a network that has them inside its convolutions (see `folding`);
* `WatchingNorm` the same, and remembers every channel's mean;
* `TruingNorm`  the same, and brings the channels of a rounded network back to such means.

Deviation from the paper: statistics are shrunk toward the population's (`NormPrior`) as a channel's
variance vanishes. A flat or black picture would otherwise be divided by almost nothing, and every grey
would come out as the same glowing colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.palette import Tint, as_one

PRIOR_STRENGTH = 0.1
"""Fraction of the population variance at which the sample and the population weigh the same."""
EPSILON = 1e-5


class Convolution(Protocol):
    """(N,C,H,W) -> (N,outputs,h,w), with its ReLU if asked."""

    def __call__(self, x: Tensor, /, relu: bool = False) -> Tensor: ...


class Norm(Protocol):
    """What a network calls after its convolution number `layer`; features are (N,C,H,W)."""

    def __call__(self, layer: int, features: Tensor) -> Tensor: ...

    def activated(self, layer: int, conv: Convolution, x: Tensor) -> Tensor:
        """The convolution, then this normalization, then a ReLU."""
        return F.relu(self(layer, conv(x)))

    def ground(self, rgb: Tensor) -> Tensor:
        """The underpainting: (N,3,H,W) in the colours that are the last columns of the style vector."""
        ...


@dataclass(frozen=True)
class NormPrior:
    """Population mean and variance of every normalized channel: two (sum of channels,) vectors."""

    channels: tuple[int, ...]
    mean: Tensor
    var: Tensor

    @classmethod
    def neutral(cls, channels: Sequence[int]) -> "NormPrior":
        """Mean 0, variance 1: where training starts."""
        total = sum(channels)
        return cls(tuple(channels), torch.zeros(total), torch.ones(total))

    def to(self, device: str) -> "NormPrior":
        """The same on another device."""
        return NormPrior(self.channels, self.mean.to(device), self.var.to(device))

    def palette(self, vectors: Tensor) -> Tensor:
        """The columns of style vectors (...,2,columns) behind those of the layers."""
        return vectors[..., sum(self.channels) :]

    def layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Mean and variance of one layer, (C,) each."""
        return layer_slice(self.mean, self.channels, index), layer_slice(self.var, self.channels, index)


def layer_slice(vector: Tensor, channels: Sequence[int], layer: int) -> Tensor:
    """The last-axis slice of `vector` that belongs to one layer."""
    start = sum(channels[:layer])
    return vector[..., start : start + channels[layer]]


def shrink(mean: Tensor, var: Tensor, prior_mean: Tensor, prior_var: Tensor) -> tuple[Tensor, Tensor]:
    """Moments of the mixture of a sample and the population; all the population where the sample is flat."""
    weight = PRIOR_STRENGTH * prior_var / (var + PRIOR_STRENGTH * prior_var + EPSILON)
    mixed_mean = torch.lerp(mean, prior_mean.expand_as(mean), weight)
    spread = weight * (1 - weight) * (mean - prior_mean).square()
    return mixed_mean, torch.lerp(var, prior_var.expand_as(var), weight) + spread


def gain_and_bias(mean: Tensor, var: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """The one multiply and add that normalize and restyle: y = x * gain + bias."""
    gain = scale * torch.rsqrt(var + EPSILON)
    return gain, shift - mean * gain


class LiveNorm(Norm):
    """Every sample by its own statistics; `vectors` is (N, 2, columns): scale, then shift; then palette."""

    def __init__(self, vectors: Tensor, prior: NormPrior) -> None:
        self.vectors = vectors
        self.prior = prior
        self.moments: list[tuple[Tensor, Tensor]] = []
        """Raw (N,C) mean and variance of each layer, in order: training folds them into the prior."""

    def __call__(self, layer: int, features: Tensor) -> Tensor:
        var, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0)
        self.moments.append((mean.detach(), var.detach()))
        style = layer_slice(self.vectors, self.prior.channels, layer)
        gain, bias = gain_and_bias(*shrink(mean, var, *self.prior.layer(layer)), style[:, 0], style[:, 1])
        gain, bias = gain.to(features.dtype), bias.to(features.dtype)
        return torch.addcmul(bias[:, :, None, None], features, gain[:, :, None, None])

    def ground(self, rgb: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(rgb.device.type, enabled=False):
            return Tint.ground(rgb, self.prior.palette(self.vectors))(rgb)


class SurveyNorm(Norm):
    """The whole batch by joint statistics, remembered: `constants` afterwards holds one pair per layer.

    Layer k sees layer k-1 already jointly normalized; averaging the frames' own statistics would not.
    """

    def __init__(self, vector: Tensor, prior: NormPrior) -> None:
        self.vector = vector
        self.prior = prior
        self.constants: list[tuple[Tensor, Tensor]] = []
        self.tint: Tint | None = None

    def __call__(self, layer: int, features: Tensor) -> Tensor:
        var, mean = torch.var_mean(features, dim=(0, 2, 3), correction=0)
        style = layer_slice(self.vector, self.prior.channels, layer)
        gain, bias = gain_and_bias(*shrink(mean, var, *self.prior.layer(layer)), style[0], style[1])
        self.constants.append((gain, bias))
        return torch.addcmul(bias[:, None, None], features, gain[:, None, None])

    def ground(self, rgb: Tensor) -> Tensor:
        self.tint = Tint.ground(as_one(rgb), self.prior.palette(self.vector))
        return self.tint(rgb)


class _Grounded(Norm):
    """What is laid on a ground whose colours are settled."""

    def __init__(self, tint: Tint | None = None) -> None:
        self.tint = tint

    def ground(self, rgb: Tensor) -> Tensor:
        return self.tint(rgb) if self.tint else rgb


class FrozenNorm(_Grounded):
    """Constants of a survey: one (gain, bias) pair of (C,) vectors per layer, and the ground's colours."""

    def __init__(self, constants: Sequence[tuple[Tensor, Tensor]], tint: Tint | None = None) -> None:
        super().__init__(tint)
        self.constants = constants

    def __call__(self, layer: int, features: Tensor) -> Tensor:
        gain, bias = self.constants[layer]
        return torch.addcmul(bias[:, None, None], features, gain[:, None, None])


class FoldedNorm(_Grounded):
    """For a network with its statistics folded in: normalizes nothing, gives only the ground."""

    def __call__(self, layer: int, features: Tensor) -> Tensor:
        return features

    def activated(self, layer: int, conv: Convolution, x: Tensor) -> Tensor:
        return conv(x, relu=True)


class WatchingNorm(_Grounded):
    """As `FoldedNorm`, and records each layer's channel means in `means`: (C,), or (4C,) of cells."""

    def __init__(self, tint: Tint | None = None) -> None:
        super().__init__(tint)
        self.means: list[Tensor] = []

    def __call__(self, layer: int, features: Tensor) -> Tensor:
        self.means.append(features.float().mean((0, 2, 3)))
        return features


class TruingNorm(_Grounded):
    """As `FoldedNorm`, and moves channels back to given means; `shifts` (C,) is by how much, per layer."""

    def __init__(self, means: Sequence[Tensor], channels: Sequence[int], tint: Tint | None = None) -> None:
        super().__init__(tint)
        self.means, self.channels = means, channels
        self.shifts: list[Tensor] = []

    def __call__(self, layer: int, features: Tensor) -> Tensor:
        lacking = self.means[layer] - features.float().mean((0, 2, 3))
        # A bias is one for all pixels of a cell.
        shift = lacking.view(self.channels[layer], -1).mean(1)
        self.shifts.append(shift)
        moved = shift.repeat_interleave(len(lacking) // len(shift))[:, None, None]
        return (features.float() + moved).to(features.dtype)
