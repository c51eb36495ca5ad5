"""MicroAST for comparison (Wang 2023, *Towards Super-Fast Ultra-Resolution Arbitrary Style Transfer*).

Our own writing of the paper's network from its text and the shapes of its published weights, with the order
of operations checked against the authors' code. RGB 0..1 in and out; any style picture in one pass: AdaIN
at two levels, and two residual blocks whose filters the style scales and offsets.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

PARTS = ("content_encoder", "style_encoder", "modulator", "decoder")
EPSILON = 1e-5


@dataclass(frozen=True)
class LevelSignals:
    """What a style asks of one level: moments of the features, scale and offset of the filters, (1,C,1,1)."""

    mean: Tensor
    std: Tensor
    scale: Tensor
    offset: Tensor


class MicroAst:
    """The four published state dicts of one folder."""

    def __init__(self, folder: Path) -> None:
        self.weights: dict[str, Tensor] = {}
        for part in PARTS:
            file = folder / f"{part}_iter_160000.pth.tar"
            state = torch.load(file, map_location="cpu", weights_only=True)
            self.weights |= {f"{part}.{name}": _channels_last(value) for name, value in state.items()}

    @torch.inference_mode()
    def read_style(self, painting: Tensor) -> list[LevelSignals]:
        """Low and high level signals of a painting (3,H,W): once for any number of pictures."""
        levels = self._encode("style_encoder", painting[None])
        return [
            LevelSignals(
                *moments(features),
                self._modulator("weight", level, features),
                self._modulator("bias", level, features),
            )
            for level, features in enumerate(levels, start=1)
        ]

    @torch.inference_mode()
    def paint(self, picture: Tensor, style: list[LevelSignals]) -> Tensor:
        """A painted picture (3,H,W), clamped to 0..1."""
        x = self._encode("content_encoder", picture[None])[-1]
        for block, signals in (("decoder.dec1", style[1]), ("decoder.dec2", style[0])):
            x = self._styled_block(block, restyle(x, signals), signals)
        for depthwise, pointwise in (("dec3.1", "dec3.3"), ("dec3.6", "dec3.8")):
            x = F.interpolate(x, scale_factor=2, mode="bilinear")
            x = F.relu(self._conv(f"decoder.{depthwise}", x))
            x = F.relu(self._conv(f"decoder.{pointwise}", x))
        made = self._conv("decoder.dec3.10", x)[0]
        return made[:, : picture.shape[1], : picture.shape[2]].clamp(0, 1)

    def _encode(self, encoder: str, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer, stride in ((0, 1), (2, 2), (4, 1), (6, 2), (8, 1)):
            x = F.relu(self._conv(f"{encoder}.enc1.{layer}", x, stride))
        low = self._block(f"{encoder}.enc1.10", x)
        return low, self._block(f"{encoder}.enc2.0", low)

    def _modulator(self, kind: str, level: int, features: Tensor) -> Tensor:
        return self._conv(f"modulator.{kind}{level}.0", features).mean((2, 3), keepdim=True)

    def _block(self, name: str, x: Tensor) -> Tensor:
        return x + self._conv(f"{name}.conv2", F.relu(self._conv(f"{name}.conv1", x)))

    def _styled_block(self, name: str, x: Tensor, style: LevelSignals) -> Tensor:
        """Scaling a filter and adding to its centre is scaling its output and adding its input."""
        inner = F.relu(style.scale * self._conv(f"{name}.conv1", x) + style.offset * x)
        return x + style.scale * self._conv(f"{name}.conv2", inner) + style.offset * inner

    def _conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        """A convolution on reflected borders; grouped wherever the kernel's depth says so."""
        kernel, bias = (self.weights[f"{name}.conv_layer.{part}"] for part in ("weight", "bias"))
        margin = kernel.shape[-1] // 2
        padded = F.pad(x, (margin,) * 4, mode="reflect")
        return F.conv2d(padded, kernel, bias, stride, groups=x.shape[1] // kernel.shape[1])


def _channels_last(tensor: Tensor) -> Tensor:
    """The layout in memory that CPUs convolve a third faster."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, (1,C,1,1)."""
    var, mean = torch.var_mean(features, dim=(2, 3), keepdim=True)
    return mean, (var + EPSILON).sqrt()


def restyle(features: Tensor, style: LevelSignals) -> Tensor:
    """AdaIN (Huang 2017): the features with the style's moments."""
    mean, std = moments(features)
    return (features - mean) / std * style.std + style.mean
