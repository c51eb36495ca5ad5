"""The front door: survey a shot once, then paint any of its frames, in any order, anywhere.

A frame is a list of uint8 planes (H,W), see `pixels`. The survey fixes the statistics of every
normalization layer for the whole shot; after it, a frame depends on itself alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stylecore.color import paint_mask
from stylecore.networks import StyleNetwork
from stylecore.normalize import FrozenNorm, Norm, SurveyNorm
from stylecore.pack import StylePack
from stylecore.pixels import YuvFormat, apply_change, to_rgb
from stylecore.spec import EngineSpec
from stylecore.tiling import paint_tiled

SURVEY_FRAMES = 6
SURVEY_BANDS = 6
"""Each surveyed frame gives one horizontal band: the whole picture once, at the cost of one frame."""
_BAND_MIN_PX = 48

Planes = Sequence[Tensor]


@dataclass(frozen=True)
class ShotState:
    """What a shot's frames share: (gain, bias) of each normalized layer."""

    constants: tuple[tuple[Tensor, Tensor], ...]


class Stylizer:
    """One style on one device."""

    def __init__(
        self,
        pack: StylePack,
        style: str,
        form: YuvFormat,
        engine: EngineSpec,
        strength: float = 1.0,
        keep_color: bool = False,
    ) -> None:
        # Channels last: a third faster on CPUs, and what tensor cores want.
        self.network: StyleNetwork = pack.network.to(engine.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.prior = pack.prior.to(engine.device)
        self.vector = pack.vectors[style].to(engine.device)
        self.form, self.engine = form, engine
        self.strength, self.keep_color = strength, keep_color

    @torch.inference_mode()
    def survey(self, frames: Sequence[Planes]) -> ShotState:
        """Joint statistics of frames spread over the shot."""
        bands = slit_scan([self._rgb(planes) for planes in frames])
        norm = SurveyNorm(self.vector, self.prior)
        self._run(bands, norm)
        return ShotState(tuple(norm.constants))

    @torch.inference_mode()
    def stylize(self, frames: Sequence[Planes], state: ShotState) -> list[list[Tensor]]:
        """Painted frames, in order; planes on the CPU."""
        rgb = torch.cat([self._rgb(planes) for planes in frames])
        change = (self._paint(rgb, state) - rgb) * (self.strength * paint_mask(rgb))
        made = []
        for planes, difference in zip(frames, change, strict=True):
            moved = [plane.to(self.engine.device) for plane in planes]
            painted = apply_change(moved, difference[None], self.form, self.keep_color)
            made.append([plane.cpu() for plane in painted])
        return made

    def _rgb(self, planes: Planes) -> Tensor:
        return to_rgb([plane.to(self.engine.device) for plane in planes], self.form)

    def _paint(self, rgb: Tensor, state: ShotState) -> Tensor:
        norm = FrozenNorm(state.constants)
        if self.engine.device_class == "cpu" and len(rgb) > 1:
            # One by one: a batch is no faster on a CPU, and its convolutions may round differently.
            return torch.cat([self._paint_once(frame[None], norm) for frame in rgb])
        return self._paint_once(rgb, norm)

    def _paint_once(self, rgb: Tensor, norm: FrozenNorm) -> Tensor:
        tile_px, network = self.engine.tile_px, self.network
        if not tile_px or tile_px >= max(rgb.shape[-2:]):
            return self._run(rgb, norm)
        return paint_tiled(lambda box: self._run(box, norm), rgb, tile_px, network.halo_px, network.stride_px)

    def _run(self, rgb: Tensor, norm: Norm) -> Tensor:
        return self.network(rgb.contiguous(memory_format=torch.channels_last), norm)


def slit_scan(frames: Sequence[Tensor]) -> Tensor:
    """One horizontal band of each (1,3,H,W) frame, turn by turn, as a batch of equal bands."""
    height = frames[0].shape[-2]
    bands = max(1, min(SURVEY_BANDS, len(frames), height // _BAND_MIN_PX))
    rows = height // bands
    starts = [rows * (number % bands) for number in range(len(frames))]
    return torch.cat([frame[..., top : top + rows, :] for frame, top in zip(frames, starts, strict=True)])


def survey_positions(contrasts: Sequence[float], count: int = SURVEY_FRAMES) -> list[int]:
    """Frames of a shot to survey, evenly spread by contrast: black and flat ones weigh little."""
    weights = [contrast + 0.5 for contrast in contrasts]
    total, seen = sum(weights), 0.0
    chosen: list[int] = []
    for position, weight in enumerate(weights):
        seen += weight
        while len(chosen) < count and seen >= total * (len(chosen) + 0.5) / count:
            chosen.append(position)
    return sorted(set(chosen))
