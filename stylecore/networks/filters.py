"""Small local filters that the drawn looks are made of; every one is a continuous function of its input.

Pictures are (N,C,H,W) in 0..1. Radii are in pixels of a frame about 720 high. Nothing here looks at a
statistic of the whole picture or at a pixel's place in it, so tiles and neighbouring frames agree.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecore.color import LUMA


def luma(rgb: Tensor, weights: tuple[float, float, float] = LUMA) -> Tensor:
    """(N,3,H,W) -> (N,1,H,W), in the encoded scale of the picture itself, which is near perceptual."""
    red, green, blue = rgb.split(1, dim=1)
    return weights[0] * red + weights[1] * green + weights[2] * blue


def keep_color(look: nn.Module, name: str, rgb: tuple[float, float, float]) -> None:
    """Give a look a colour (1,3,1,1) to mix with pictures: a buffer, or a GPU would wait for each."""
    look.register_buffer(name, torch.tensor(rgb).view(1, 3, 1, 1), persistent=False)


def halve(x: Tensor) -> Tensor:
    """Mean of 2x2 squares; an odd side is completed by repeating its last line."""
    height, width = x.shape[-2:]
    return F.avg_pool2d(F.pad(x, (0, width % 2, 0, height % 2), mode="replicate"), 2)


def double(x: Tensor, like: Tensor) -> Tensor:
    """Back from `halve` to the size of `like`, bilinear."""
    height, width = like.shape[-2:]
    return F.interpolate(x, scale_factor=2, mode="bilinear")[..., :height, :width]


def gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """Change per pixel to the right and downwards, by central differences."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return across / 2, down / 2


def compress(x: Tensor, knee: float) -> Tensor:
    """A logarithmic scale from 0 to 1, of finite slope at black: equal steps look equal in the dark too."""
    return torch.log1p(x * knee) / math.log1p(knee)


def expand(x: Tensor, knee: float) -> Tensor:
    """The way back from `compress`."""
    return torch.expm1(x * math.log1p(knee)) / knee


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high`, an S between."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def soft_steps(x: Tensor, step: float, sharpness: Tensor) -> Tensor:
    """Quantize to multiples of `step`; `sharpness` (N,1,H,W) above 0 says how steep a stair is.

    Winnemöller 2006, with each half stair scaled to meet the next: the paper's jump a little between
    levels, and a jump is what flickers. Sharpness near 0 gives x back, and 0 stays 0.
    """
    edge = torch.floor(x / step) + 0.5
    rise = (sharpness * (x / step - edge)).tanh() / (2 * (0.5 * sharpness).tanh())
    return (edge + rise) * step


class Blur(nn.Module):
    """Separable Gaussian, followed for two and a half `sigma_px`."""

    kernel: Tensor

    def __init__(self, sigma_px: float) -> None:
        super().__init__()
        self.reach_px = math.ceil(2.5 * sigma_px)
        side = torch.arange(-self.reach_px, self.reach_px + 1, dtype=torch.float64)
        weights = torch.exp(-0.5 * (side / sigma_px) ** 2)
        self.register_buffer("kernel", (weights / weights.sum()).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        taps = self.kernel.expand(channels, 1, 1, -1)
        padded = F.pad(x, (self.reach_px,) * 4, mode="replicate")
        return F.conv2d(F.conv2d(padded, taps, groups=channels), taps.transpose(2, 3), groups=channels)


def local_moments(blur: Blur, rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (N,3,H,W) and variance, summed over red, green and blue (N,1,H,W), under a window."""
    moments = blur(torch.cat([rgb, rgb.square().sum(1, keepdim=True)], dim=1))
    mean = moments[:, :3]
    return mean, (moments[:, 3:] - mean.square().sum(1, keepdim=True)).clamp(min=0)


class Guided(nn.Module):
    """Smooth what varies less than `contrast` within `sigma_px`; keep what varies more, eyes and all.

    He 2013, the picture its own guide, fitted at half resolution and applied at full (He 2015).
    Deviations: Gaussian windows; one gain for red, green and blue, from their variation together, so that
    colours do not part; contrast relative to brightness, as the eye counts it; and a steeper way from
    smooth to kept, without which borders glow and picture leaks into black bars.
    """

    def __init__(self, sigma_px: float, contrast: float) -> None:
        super().__init__()
        self.blur = Blur(sigma_px / 2)
        self.contrast = contrast

    def forward(self, rgb: Tensor) -> Tensor:
        mean, variance = local_moments(self.blur, halve(rgb))
        excess = variance / (3 * (self.contrast * (luma(mean) + 0.1)) ** 2)
        smooth = 1 / (1 + excess.clamp(max=1e4) ** 4)
        line = double(self.blur(torch.cat([smooth * mean, 1 - smooth], dim=1)), like=rgb)
        return line[:, :3] + line[:, 3:] * rgb


class Kuwahara(nn.Module):
    """Paint each pixel with the mean of its calmest surroundings: flat regions, crisp borders.

    Papari 2007: eight overlapping sectors, blended by how little each varies. Deviations: a sector is a
    Gaussian window set off from the pixel (one blur then serves all eight), variation is counted over
    red, green and blue together, and below `calm` all sectors count nearly the same, so that grain cannot
    choose between them.
    """

    def __init__(self, radius_px: float, sigma_px: float, calm: float, power: int) -> None:
        super().__init__()
        self.blur = Blur(sigma_px)
        self.calm, self.power = calm, power
        turns = [2 * math.pi * number / 8 for number in range(8)]
        self.offsets = [(round(radius_px * math.sin(t)), round(radius_px * math.cos(t))) for t in turns]
        self.margin_px = math.ceil(radius_px)

    def forward(self, rgb: Tensor) -> Tensor:
        height, width = rgb.shape[-2:]
        mean, variance = local_moments(self.blur, rgb)
        weight = (1 + variance / self.calm**2) ** -self.power
        weighted = F.pad(torch.cat([mean * weight, weight], dim=1), (self.margin_px,) * 4, mode="replicate")
        total = torch.zeros_like(weighted[..., :height, :width])
        for down, right in self.offsets:
            top, left = self.margin_px + down, self.margin_px + right
            total += weighted[..., top : top + height, left : left + width]
        return total[:, :3] / total[:, 3:]


class Flow(nn.Module):
    """Direction of lines as (N,2,H,W): cosine and sine of twice the angle, times how sure it is (0..1).

    The smoothed structure tensor (Brox 2006; Kyprianidis 2009) at half resolution. Unlike an angle, the
    doubled vector may be averaged and enlarged, and it fades to 0 where the picture has no direction.
    """

    noise = 5e-6
    """Squared gradient that counts as no direction at all."""

    def __init__(self, sigma_px: float) -> None:
        super().__init__()
        self.blur = Blur(sigma_px / 2)

    def forward(self, grey: Tensor) -> Tensor:
        across, down = gradient(halve(grey))
        xx, yy, xy = across.square(), down.square(), across * down
        cosine, sine, power = self.blur(torch.cat([yy - xx, -2 * xy, xx + yy], dim=1)).split(1, dim=1)
        return double(torch.cat([cosine, sine], dim=1) / (power + self.noise), like=grey)


class Contours(nn.Module):
    """How much darker a pixel is than its surroundings across the flow, relative to their brightness.

    Difference of Gaussians across the flow, averaged along it (Kang 2009). Kang walks along the flow
    pixel by pixel; here eight straight kernels, one per direction, are one convolution, blended by how
    well each fits. They are short enough for curves, and round the same in every tile.
    """

    kernels: Tensor
    doubled: Tensor
    directions = 8
    fit = 6.0
    """How much a fitting direction is preferred, as the factor in a softmax."""

    def __init__(self, sigma_px: float, length_px: float) -> None:
        super().__init__()
        self.flow = Flow(sigma_px=5)
        self.reach_px = math.ceil(2.5 * length_px)
        angles = torch.arange(self.directions, dtype=torch.float64) * (math.pi / self.directions)
        kernels = torch.stack([self._kernel(float(angle), sigma_px, length_px) for angle in angles])
        doubled = torch.stack([torch.cos(2 * angles), torch.sin(2 * angles)], dim=1)
        self.register_buffer("kernels", kernels[:, None].float(), persistent=False)
        self.register_buffer("doubled", doubled[:, :, None, None].float(), persistent=False)

    def _kernel(self, angle: float, sigma_px: float, length_px: float) -> Tensor:
        side = torch.arange(-self.reach_px, self.reach_px + 1, dtype=torch.float64)
        y, x = torch.meshgrid(side, side, indexing="ij")
        along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        centre, surround = (
            torch.exp(-0.5 * ((across / width) ** 2 + (along / length_px) ** 2))
            for width in (sigma_px, 1.6 * sigma_px)
        )
        return surround / surround.sum() - centre / centre.sum()

    def forward(self, grey: Tensor, brightness: Tensor) -> Tensor:
        response = F.conv2d(F.pad(grey, (self.reach_px,) * 4, mode="replicate"), self.kernels)
        weights = (self.fit * F.conv2d(self.flow(grey), self.doubled)).softmax(dim=1)
        return (response * weights).sum(1, keepdim=True) / (0.2 + 0.8 * brightness)
