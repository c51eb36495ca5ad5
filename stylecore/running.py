"""How a network is run: statistics inside its convolutions, in tiles, with as few bits as its look bears."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stylecore.folding import Constants, Folding
from stylecore.networks import StyleNetwork
from stylecore.normalize import FoldedNorm, TruingNorm, WatchingNorm
from stylecore.shot import Look
from stylecore.spec import EXACT
from stylecore.tiling import paint_tiled

FAITHFUL_DB = 45.0
"""PSNR against fp32 from which fewer bits are the same picture."""
DTYPES = {EXACT: torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Runner:
    """Paints with one look after another; the network for the latest is kept."""

    def __init__(self, network: StyleNetwork) -> None:
        self.network = network
        self._folding = Folding(network)
        self._last: tuple[Look, StyleNetwork] | None = None

    def paint(self, prepared: Tensor, look: Look, tile_px: int = 0) -> Tensor:
        """Prepared pictures (N,C,H,W), painted, (N,3,H,W); `tile_px` 0 in one go."""
        network, norm = self._folded(look), FoldedNorm(look.ground)

        def run(box: Tensor) -> Tensor:
            return network(laid_out(box), norm)

        if not tile_px or tile_px >= max(prepared.shape[-2:]):
            return run(prepared)
        return paint_tiled(run, prepared, tile_px, network.halo_px, network.stride_px)

    def means(self, rgb: Tensor, look: Look) -> list[Tensor]:
        """Means of every channel of every layer over pictures (N,3,H,W), in fp32, as `trued` takes them."""
        norm = WatchingNorm(look.ground)
        self._folding.folded(look.constants)(rgb.contiguous(memory_format=torch.channels_last), norm)
        return norm.means

    def trued(self, rgb: Tensor, look: Look, means: Sequence[Tensor]) -> Look:
        """The look, which has no shifts, with those that bring its channels on (N,3,H,W) back to `means`."""
        norm = TruingNorm(means, self.network.norm_channels, look.ground)
        self._folded(look)(rgb.contiguous(memory_format=torch.channels_last), norm)
        return replace(look, shifts=tuple(norm.shifts))

    def bears(self, rgb: Tensor, look: Look, exact: Tensor) -> bool:
        """Whether all of (N,3,H,W), painted at the look's precision, agree with `exact`, painted in fp32."""
        made = self._folded(look)(rgb.contiguous(memory_format=torch.channels_last), FoldedNorm(look.ground))
        error = (made - exact).square().flatten(1).mean(1)
        return bool((error <= 10 ** (-FAITHFUL_DB / 10)).all())

    def _folded(self, look: Look) -> StyleNetwork:
        if self._last is None or self._last[0] is not look:
            network = self._folding.folded(_shifted(look), DTYPES[look.precision], look.exact_layers)
            self._last = look, network
        return self._last[1]


def laid_out(prepared: Tensor) -> Tensor:
    """Channels last, as convolutions want it; a frame with its canvas is taken apart into cells first."""
    return prepared if prepared.shape[1] > 3 else prepared.contiguous(memory_format=torch.channels_last)


def _shifted(look: Look) -> Constants:
    if not look.shifts:
        return look.constants
    pairs = zip(look.constants, look.shifts, strict=True)
    return tuple((gain, bias + shift) for (gain, bias), shift in pairs)
