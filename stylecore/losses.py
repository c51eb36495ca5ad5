"""What training asks of a painted picture: one small function per wish, every value per sample (N,)."""

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (0.2126, 0.7152, 0.0722)


def gram(features: Tensor) -> Tensor:
    """Second moments between channels, (N,C,C), divided by the number of positions (Gatys 2015, eq. 3)."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[-1]


def style_loss(grams: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """Relative Gram error, mean over layers. Relative, so that layers weigh alike (deviation from Gatys)."""
    errors = [
        (grams[name] - target).square().sum((1, 2)) / target.square().sum((1, 2))
        for name, target in targets.items()
    ]
    return torch.stack(errors).mean(0)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Squared feature distance relative to the target's own spread about its mean."""
    spread = (target - target.mean((2, 3), keepdim=True)).square().mean((1, 2, 3))
    return (features - target).square().mean((1, 2, 3)) / (spread + 0.1 * spread.mean() + 1e-6)


def palette_loss(rgb: Tensor, quantiles: Tensor, directions: Tensor) -> Tensor:
    """Sliced Wasserstein-2 distance between a picture's colours and the painting's.

    `directions` is (D,3); `quantiles` (N,D,K) are the painting's projections, sorted.
    """
    pixels = F.interpolate(rgb, (32, 32), mode="area").flatten(2)
    projected = (directions @ pixels).sort(dim=-1).values
    return (projected - quantiles).square().mean((1, 2))


def palette_quantiles(rgb: Tensor, directions: Tensor, count: int = 1024) -> Tensor:
    """Sorted projections (D,count) of one painting (3,H,W)."""
    pixels = F.interpolate(rgb[None], (192, 192), mode="area")[0].flatten(1)
    positions = (torch.arange(count, device=rgb.device) + 0.5) / count
    return torch.quantile(directions @ pixels, positions, dim=-1).T


def tone_loss(rgb: Tensor, source: Tensor) -> Tensor:
    """How far broad light and shade left the source; black must stay black, so dark weighs most."""
    weights = torch.tensor(_LUMA, device=rgb.device).view(1, 3, 1, 1)
    made, wanted = (F.avg_pool2d((x * weights).sum(1, keepdim=True), 16) for x in (rgb, source))
    return ((made - wanted).square() * (0.15 + (1 - wanted).pow(8))).mean((1, 2, 3))


def total_variation(rgb: Tensor) -> Tensor:
    """Mean absolute difference between neighbours."""
    across = (rgb[..., 1:] - rgb[..., :-1]).abs().mean((1, 2, 3))
    down = (rgb[..., 1:, :] - rgb[..., :-1, :]).abs().mean((1, 2, 3))
    return across + down


def contrast(rgb: Tensor) -> Tensor:
    """Standard deviation of a picture's luminance, (N,)."""
    weights = torch.tensor(_LUMA, device=rgb.device).view(1, 3, 1, 1)
    return (rgb * weights).sum(1).std((1, 2))
