"""The losses of a painted picture: one small function each, every value per sample (N,)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.color import luma

_FEATURE_QUANTILES, _PALETTE_QUANTILES = 256, 1024


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


Moments = tuple[Tensor, Tensor]
"""Mean (N,C) and second moments between channels (N,C,C)."""


def moments(features: Tensor, weight: Tensor | None = None) -> Moments:
    """Mean (N,C) and second moments (N,C,C) over positions, each counted by `weight` (N,1,H,W) if given."""
    flat = features.flatten(2)
    if weight is None:
        return flat.mean(2), flat @ flat.transpose(1, 2) / flat.shape[-1]
    share = weight.flatten(2) / weight.sum((1, 2, 3))[:, None, None].clamp(min=1e-6)
    return (flat * share).sum(2), (flat * share) @ flat.transpose(1, 2)


def gram_error(made_moments: Moments, mean: Tensor, second: Tensor) -> Tensor:
    """Relative squared error of the Gram matrix against `second` (N,C,C); `mean` (N,C) is not asked."""
    _, made = made_moments
    return (made - second).square().sum((1, 2)) / second.square().sum((1, 2))


_FLAT = 1e-5
"""A style without any texture divides nothing by zero; paintings have a hundred times that at least."""


def moments_error(made_moments: Moments, mean: Tensor, second: Tensor) -> Tensor:
    """Relative squared errors of the mean and of the covariance, added.

    A Gram matrix is mostly the outer product of the mean, and hardly sees texture beside it; apart, the
    covariance (strokes, and at relu1_1 the mixture of colours) weighs as much as the mean.
    """
    made_mean, made_second = made_moments
    made, wanted = made_second - _outer(made_mean), second - _outer(mean)
    first = (made_mean - mean).square().sum(1) / mean.square().sum(1)
    power = (wanted.square() + _FLAT * second.square()).sum((1, 2))
    return first + (made - wanted).square().sum((1, 2)) / power


def wasserstein_error(made_moments: Moments, mean: Tensor, second: Tensor) -> Tensor:
    """Squared W2 distance between Gaussians fitted to two feature clouds, relative to the target's power.

    |m - m*|^2 + tr(S + S* - 2 (S*^1/2 S S*^1/2)^1/2) (Mroueh 2019; used for pictures by Crowson 2020).
    """
    made_mean, made_second = made_moments
    made = made_second - _outer(made_mean)
    with torch.no_grad():
        wanted = second - _outer(mean)
        root = _matrix_root(wanted)
        power = second.diagonal(dim1=1, dim2=2).sum(1)
    # The trace of a root from eigenvalues alone: their gradient has no gaps between them to divide by.
    cross = torch.linalg.eigvalsh(_lifted(root @ made @ root)).clamp(min=1e-10).sqrt().sum(1)
    traces = (made + wanted).diagonal(dim1=1, dim2=2).sum(1)
    return ((made_mean - mean).square().sum(1) + (traces - 2 * cross).clamp(min=0)) / power


def _outer(mean: Tensor) -> Tensor:
    return mean[:, :, None] * mean[:, None]


def _matrix_root(matrix: Tensor) -> Tensor:
    """Square root of symmetric matrices (N,C,C)."""
    values, vectors = torch.linalg.eigh(_lifted(matrix))
    return vectors @ (values.clamp(min=1e-10).sqrt()[:, :, None] * vectors.transpose(1, 2))


def _lifted(matrix: Tensor) -> Tensor:
    """Made exactly symmetric, and lifted a little so that a root's gradient stays finite."""
    lift = 1e-4 * matrix.diagonal(dim1=1, dim2=2).mean(1).detach() + 1e-8
    eye = torch.eye(matrix.shape[-1], device=matrix.device)
    return (matrix + matrix.transpose(1, 2)) / 2 + lift[:, None, None] * eye


STYLE_LOSSES = {"gram": gram_error, "moments": moments_error, "wasserstein": wasserstein_error}


def histogram_error(features: Tensor, quantiles: Tensor, inside: Tensor | None = None) -> Tensor:
    """Squared distance between each channel's values and the target's, sorted; relative to its power.

    The histogram loss of Risser 2017, with quantile functions (C,K) in place of histograms of 256 bins:
    that is the Wasserstein-2 distance in one dimension. `inside` (H,W) picks positions.
    """
    flat = features.flatten(2) if inside is None else features[..., inside]
    made = flat.sort(dim=-1).values
    wanted = F.interpolate(quantiles[None], made.shape[-1], mode="linear", align_corners=True)
    return (made - wanted).square().mean((1, 2)) / quantiles.square().mean().clamp(min=1e-8)


def feature_quantiles(features: Tensor, inside: Tensor | None = None) -> Tensor:
    """Sorted values of each channel of one picture's features (1,C,H,W): (C,256)."""
    flat = features[0].flatten(1) if inside is None else features[0][:, inside]
    places = torch.linspace(0, flat.shape[-1] - 1, _FEATURE_QUANTILES, device=flat.device).round().long()
    return flat.sort(dim=-1).values[:, places]


def content_loss(features: Tensor, target: Tensor, still: float = 0.0) -> Tensor:
    """Squared feature distance relative to the target's own spread about its mean.

    `still`, a share of the target's power, keeps a flat target from asking for nearly everything.
    """
    spread = (target - target.mean((2, 3), keepdim=True)).square().mean((1, 2, 3))
    floor = 0.1 * spread.mean() + still * target.square().mean((1, 2, 3)) + 1e-6
    return (features - target).square().mean((1, 2, 3)) / (spread + floor)


def palette_loss(rgb: Tensor, quantiles: Tensor, directions: Tensor) -> Tensor:
    """Sliced Wasserstein-2 distance between a picture's colours and the painting's.

    `directions` is (D,3); `quantiles` (N,D,K) are the painting's projections, sorted.
    """
    pixels = F.interpolate(rgb, (32, 32), mode="area").flatten(2)
    projected = (directions @ pixels).sort(dim=-1).values
    return (projected - quantiles).square().mean((1, 2))


def palette_quantiles(rgb: Tensor, directions: Tensor) -> Tensor:
    """Sorted projections (D,1024) of one painting (3,H,W)."""
    pixels = F.interpolate(rgb[None], (192, 192), mode="area")[0].flatten(1)
    positions = (torch.arange(_PALETTE_QUANTILES, device=rgb.device) + 0.5) / _PALETTE_QUANTILES
    return torch.quantile(directions @ pixels, positions, dim=-1).T


def tone_loss(rgb: Tensor, source: Tensor) -> Tensor:
    """How far broad light and shade left the source; black must stay black, so dark weighs most."""
    made, wanted = (F.avg_pool2d(luma(x), 16) for x in (rgb, source))
    return ((made - wanted).square() * (0.15 + (1 - wanted).pow(8))).mean((1, 2, 3))


_FAINT = 0.02
"""Deviation of luma in a window that begins to ask for its drawing."""
_WINDOW_PX = 9


def drawing_loss(rgb: Tensor, source: Tensor) -> Tensor:
    """How far light and shade in small windows left the source's, where it has any: 1 - correlation, (N,).

    The structure term of SSIM (Wang 2004) on luma at half size. It asks for eyes and a mouth where feature
    distances, relative to a picture's strongest edges, hardly see them, and for nothing in plain skies.
    """
    made, wanted = (F.avg_pool2d(luma(x), 2) for x in (rgb, source))
    means = [F.avg_pool2d(x, _WINDOW_PX, stride=2) for x in (made, wanted, made**2, wanted**2, made * wanted)]
    power, asked = (means[2] - means[0] ** 2).clamp(min=0), (means[3] - means[1] ** 2).clamp(min=0)
    likeness = (means[4] - means[0] * means[1]) / ((power + 1e-4) * (asked + 1e-4)).sqrt()
    return ((1 - likeness) * asked / (asked + _FAINT**2)).mean((1, 2, 3))


def total_variation(rgb: Tensor) -> Tensor:
    """Mean absolute difference between neighbours."""
    across = (rgb[..., 1:] - rgb[..., :-1]).abs().mean((1, 2, 3))
    down = (rgb[..., 1:, :] - rgb[..., :-1, :]).abs().mean((1, 2, 3))
    return across + down


def roughness(rgb: Tensor) -> Tensor:
    """Mean squared difference between neighbours: total variation that L-BFGS can follow (Mahendran 2015)."""
    across = (rgb[..., 1:] - rgb[..., :-1]).square().mean((1, 2, 3))
    down = (rgb[..., 1:, :] - rgb[..., :-1, :]).square().mean((1, 2, 3))
    return across + down


def lattice(rgb: Tensor, period_px: int = 4) -> Tensor:
    """Variance inside the mean of all cells of `period_px`: only a pattern that repeats leaves any."""
    usual = F.pixel_unshuffle(rgb, period_px).mean((2, 3)).unflatten(1, (rgb.shape[1], -1))
    return usual.var(2, correction=0).mean(1)


def contrast(rgb: Tensor) -> Tensor:
    """Standard deviation of a picture's luminance, (N,)."""
    return luma(rgb).std((1, 2, 3))
