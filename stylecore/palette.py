"""Palettes: the mean and spread of a picture's colours, and the change that gives one picture another's."""

from dataclasses import dataclass

import torch
from torch import Tensor

from stylecore.color import LUMA

PALETTE_COLUMNS = 6
"""A palette is (2, 6): mean colour (3), square root of the covariance (9); so palettes can be mixed."""
GREY = torch.cat([torch.full((3,), 0.5), 0.2 * torch.eye(3).flatten()]).view(2, PALETTE_COLUMNS)
"""The palette of a style that has none yet."""
_LIFT = 1.2e-3
"""Added to every colour variance: a grey picture must not be torn into colours, nor noise into paint."""
_TONE = 0.5
"""How far a ground keeps the source's own lightness and contrast: a night stays darker than a noon."""
_ROOT_STEPS = 20
"""What the root of black and white alone takes: no picture's colours lie farther apart."""


@dataclass(frozen=True)
class Tint:
    """A fixed change of palette: rgb -> matrix (...,3,3) @ rgb + offset (...,3), one for all or one each."""

    matrix: Tensor
    offset: Tensor

    @classmethod
    def between(cls, picture: Tensor, palette: Tensor) -> "Tint":
        """Gives all of (N,3,H,W) the mean and covariance of all of another's colours."""
        return _transport(*_moments(as_one(picture)), *_moments(as_one(palette)))

    @classmethod
    def ground(cls, pictures: Tensor, palettes: Tensor) -> "Tint":
        """The underpainting of each of (N,3,H,W): colours of its palette (N,2,6), half the source's tone."""
        mean, covariance = _moments(pictures)
        wanted_mean, root = _unpack(palettes)
        wanted = root @ root.transpose(-1, -2) + _LIFT * _eye(root)
        light, wanted_light = _light(mean), _light(wanted_mean)
        contrast = (_contrast(covariance) / _contrast(wanted)).pow(_TONE)
        wanted_mean = wanted_mean + _TONE * (light - wanted_light)[..., None]
        return _transport(mean, covariance, wanted_mean, wanted * contrast[..., None, None])

    def mix(self, other: "Tint", weight: float) -> "Tint":
        """One between two; `weight` 0 is this one."""
        matrix = torch.lerp(self.matrix, other.matrix, weight)
        return Tint(matrix, torch.lerp(self.offset, other.offset, weight))

    def __call__(self, rgb: Tensor) -> Tensor:
        # Pixel by pixel in plain arithmetic: a product of matrices would round differently in a tile.
        red, green, blue = (self.matrix[..., channel, None, None] for channel in range(3))
        moved = torch.addcmul(self.offset[..., None, None], red, rgb[:, :1])
        return moved.addcmul_(green, rgb[:, 1:2]).addcmul_(blue, rgb[:, 2:]).clamp_(0, 1)


def palette_of(pictures: Tensor) -> Tensor:
    """The palette of each of (N,3,H,W), (N,2,6)."""
    mean, covariance = _moments(pictures)
    root, _ = _roots(covariance)
    return torch.cat([mean, root.flatten(1)], 1).view(-1, 2, PALETTE_COLUMNS)


def _unpack(palettes: Tensor) -> tuple[Tensor, Tensor]:
    flat = palettes.flatten(-2)
    return flat[..., :3], flat[..., 3:].unflatten(-1, (3, 3))


def as_one(rgb: Tensor) -> Tensor:
    """(N,3,H,W) as one picture, (3,M,1)."""
    return rgb.transpose(0, 1).flatten(1)[..., None]


def _moments(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (...,3) and lifted covariance (...,3,3) of the colours of (...,3,H,W)."""
    flat = rgb.flatten(-2)
    mean = flat.mean(-1)
    centered = flat - mean[..., None]
    covariance = centered @ centered.transpose(-1, -2) / flat.shape[-1]
    return mean, covariance + _LIFT * _eye(covariance)


def _transport(mean: Tensor, covariance: Tensor, wanted_mean: Tensor, wanted: Tensor) -> Tint:
    """The linear Monge-Kantorovich solution (Pitie 2007): it moves colours as little as possible."""
    root, inverse = _roots(covariance)
    middle, _ = _roots(root @ wanted @ root)
    matrix = inverse @ middle @ inverse
    return Tint(matrix, wanted_mean - (matrix @ mean[..., None])[..., 0])


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Square root of symmetric positive matrices (...,3,3) and its inverse.

    Newton-Schulz iteration (Higham 2008, 6.7): products alone, which every machine and exporter has.
    """
    size = matrix.square().sum((-2, -1), keepdim=True).sqrt()
    eye = _eye(matrix)
    root, inverse = matrix / size, eye.expand_as(matrix)
    for _ in range(_ROOT_STEPS):
        step = 1.5 * eye - 0.5 * inverse @ root
        root, inverse = root @ step, step @ inverse
    return root * size.sqrt(), inverse / size.sqrt()


def _eye(like: Tensor) -> Tensor:
    return torch.eye(3, device=like.device, dtype=like.dtype)


def _light(mean: Tensor) -> Tensor:
    return (mean * mean.new_tensor(LUMA)).sum(-1)


def _contrast(covariance: Tensor) -> Tensor:
    """Standard deviation of luma."""
    weights = covariance.new_tensor(LUMA)
    return ((covariance @ weights) * weights).sum(-1).sqrt()
