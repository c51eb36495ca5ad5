"""The front door: survey a shot once, then paint any of its frames, in any order, anywhere.

A frame is a list of planes (H,W), see `pixels`. The survey fixes the statistics of every
normalization layer for the whole shot; after it, a frame depends on itself and its place in the shot alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stylecore.canvas import Drift
from stylecore.color import brightness, exposure, paint_mask
from stylecore.folding import folded
from stylecore.networks import StyleNetwork
from stylecore.normalize import FoldedNorm, Norm, SurveyNorm
from stylecore.pack import StylePack
from stylecore.palette import Tint
from stylecore.parts import add_change, luma_of, parts_of, rgb_of, split_change
from stylecore.pixels import YuvFormat
from stylecore.scaling import carry, lost_detail, resize, work_size
from stylecore.spec import EngineSpec, StyleKey
from stylecore.tiling import paint_tiled

SURVEY_FRAMES = 6
SURVEY_BANDS = 6
"""Each surveyed frame gives one horizontal band: the whole picture once, at the cost of one frame."""
_BAND_MIN_PX = 48

Planes = Sequence[Tensor]


@dataclass(frozen=True)
class Look:
    """What a frame is painted with."""

    constants: tuple[tuple[Tensor, Tensor], ...]
    """(gain, bias) of each normalized layer."""
    ground: Tint | None
    """The colours that the paint is laid on, if the network asks for them."""
    tint: Tint | None
    """Change of palette after painting, if the source's is wanted back."""
    usual: Tensor
    """Brightness of the shot: dimmer frames are fades, painted at the usual one and dimmed again."""
    strength: float


@dataclass(frozen=True)
class ShotState:
    """What a shot's frames share: one look per key frame, ascending by frame."""

    frames: tuple[int, ...]
    looks: tuple[Look, ...]

    def at(self, frame: int) -> Look:
        """The look of a frame, counted from the shot's first: between two keys, in proportion."""
        after = next((place for place, key in enumerate(self.frames) if key > frame), len(self.frames))
        if after in (0, len(self.frames)):
            return self.looks[min(after, len(self.frames) - 1)]
        start, stop = self.frames[after - 1], self.frames[after]
        return mix_looks(self.looks[after - 1], self.looks[after], (frame - start) / (stop - start))


def mix_looks(first: Look, second: Look, weight: float) -> Look:
    """A look between two of the same network; `weight` 0 is the first."""
    if weight == 0:
        return first
    constants = tuple(
        (torch.lerp(a[0], b[0], weight), torch.lerp(a[1], b[1], weight))
        for a, b in zip(first.constants, second.constants, strict=True)
    )
    ground, tint = (
        one.mix(other, weight) if one and other else one
        for one, other in ((first.ground, second.ground), (first.tint, second.tint))
    )
    usual = torch.lerp(first.usual, second.usual, weight)
    return Look(constants, ground, tint, usual, first.strength + weight * (second.strength - first.strength))


class Stylizer:
    """One style, or a way along key frames between styles of one network, on one device."""

    def __init__(
        self,
        pack: StylePack,
        style: str,
        form: YuvFormat,
        engine: EngineSpec,
        strength: float = 1.0,
        color: str = "style",
        brush: float = 1.0,
        keys: Sequence[StyleKey] = (),
    ) -> None:
        # Channels last: a third faster on CPUs, and what tensor cores want.
        self.network: StyleNetwork = pack.network.to(engine.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.prior = pack.prior.to(engine.device)
        self.vectors = {name: vector.to(engine.device) for name, vector in pack.vectors.items()}
        self.keys = tuple(keys) or (StyleKey(0, style, "", strength),)
        self.form, self.engine = form, engine
        self.color, self.brush = color, brush
        self._last: tuple[Look, StyleNetwork] | None = None

    def survey(self, frames: Sequence[Planes]) -> ShotState:
        """Joint statistics of frames spread over the shot, for each style on the way."""
        return self.survey_parts([self._parts(planes) for planes in frames])

    @torch.inference_mode()
    def survey_parts(self, frames: Sequence[Sequence[Tensor]]) -> ShotState:
        """The same of frames as their parts, see `parts`."""
        bands = slit_scan([rgb_of(self._small(parts), self.form) for parts in frames])
        styles = dict.fromkeys(key.style for key in self.keys)
        surveyed = {style: self._survey_style(style, bands) for style in styles}
        looks = tuple(replace(surveyed[key.style], strength=key.strength) for key in self.keys)
        return ShotState(tuple(key.frame for key in self.keys), looks)

    def _survey_style(self, style: str, bands: Tensor) -> Look:
        norm = SurveyNorm(self.vectors[style], self.prior)
        painted = _run(self.network, bands, norm)
        tint = Tint.between(painted, bands) if self.color == "matched" else None
        usual = brightness(torch.cat(bands.split(1), -2))[0]
        return Look(tuple(norm.constants), norm.tint, tint, usual, 1.0)

    @torch.inference_mode()
    def stylize(
        self,
        frames: Sequence[Planes],
        state: ShotState,
        first: int = 0,
        mattes: Sequence[Tensor] | None = None,
        drifts: Sequence[Drift] = (),
    ) -> list[list[Tensor]]:
        """Painted frames, in order; planes on the CPU.

        `first` is the place in the shot of the first of these consecutive frames; `mattes` are (H,W) in
        0..1, how much paint each pixel may take; `drifts` say where the scene has moved by each frame.
        """
        looks = [state.at(first + place) for place in range(len(frames))]
        made = []
        for start, stop in self._runs(looks):
            planes = [[plane.to(self.engine.device) for plane in frame] for frame in frames[start:stop]]
            apart = [parts_of(frame, self.form) for frame in planes]
            parts = [torch.cat(each) for each in zip(*apart, strict=True)]
            allowed = self._stacked(mattes[start:stop]) if mattes else None
            change = self.change(parts, looks[start], drifts[start:stop], allowed)
            for place, stored in enumerate(planes):
                mine = [part[place : place + 1] for part in change]
                painted = add_change(stored, apart[place], mine, self.form, self.color == "source")
                made.append([plane.cpu() for plane in painted])
        return made

    def _runs(self, looks: Sequence[Look]) -> list[tuple[int, int]]:
        """Spans that can be painted together: one frame on a CPU, one look on a GPU.

        One by one on a CPU: a batch is no faster there, and its convolutions may round differently.
        """
        together = self.engine.device_class != "cpu" and all(look is looks[0] for look in looks)
        return [(0, len(looks))] if together else [(place, place + 1) for place in range(len(looks))]

    @torch.inference_mode()
    def change(
        self, parts: Sequence[Tensor], look: Look, drifts: Sequence[Drift] = (), allowed: Tensor | None = None
    ) -> list[Tensor]:
        """What paint adds to each part of frames; `allowed` (N,1,H,W) is how much each pixel may take."""
        small = self._small(parts)
        seen = rgb_of(small, self.form)
        painted = self._painted(seen, look, drifts)
        lost = lost_detail(painted, seen)
        changes = split_change(painted - seen, self.form)
        reach = self._reach(parts, look, allowed)
        reaches = {size: resize(reach, size) for size in {part.shape[-2:] for part in parts}}
        return [
            carry(change, one, lost, part) * reaches[part.shape[-2:]]
            for change, one, part in zip(changes, small, parts, strict=True)
        ]

    def _painted(self, seen: Tensor, look: Look, drifts: Sequence[Drift]) -> Tensor:
        """The small picture (N,3,h,w) as it is painted."""
        lit = exposure(seen, look.usual)
        shown = (seen * lit).clamp(0, 1)
        painted = seen + (self._paint(self.network.prepare(shown, drifts), look) - shown) / lit
        return look.tint(painted) if look.tint else painted

    def _reach(self, parts: Sequence[Tensor], look: Look, allowed: Tensor | None) -> Tensor:
        """How much of the paint arrives at each pixel, (N,1,H,W)."""
        light = luma_of(parts, self.form)
        reach = torch.ones_like(light) if self.network.keeps_black else paint_mask(light)
        return reach * look.strength * (1.0 if allowed is None else allowed)

    def _parts(self, planes: Planes) -> list[Tensor]:
        return parts_of([plane.to(self.engine.device) for plane in planes], self.form)

    def _small(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Parts at the size at which paint is made."""
        height, width = parts[0].shape[-2:]
        size = work_size(height, width, self.network.design_height_px, self.brush)
        return [resize(part, size) for part in parts]

    def _stacked(self, mattes: Sequence[Tensor]) -> Tensor:
        return torch.stack([matte.to(self.engine.device) for matte in mattes])[:, None]

    def _paint(self, prepared: Tensor, look: Look) -> Tensor:
        tile_px, network, norm = self.engine.tile_px, self._folded(look), FoldedNorm(look.ground)
        if not tile_px or tile_px >= max(prepared.shape[-2:]):
            return _run(network, prepared, norm)
        return paint_tiled(
            lambda box: _run(network, box, norm),
            prepared,
            tile_px,
            network.halo_px,
            network.stride_px,
        )

    def _folded(self, look: Look) -> StyleNetwork:
        """The network with a look's statistics inside; kept while frames of the same look follow."""
        if self._last is None or self._last[0] is not look:
            self._last = look, folded(self.network, look.constants)
        return self._last[1]


def _run(network: StyleNetwork, rgb: Tensor, norm: Norm) -> Tensor:
    return network(rgb.contiguous(memory_format=torch.channels_last), norm)


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
