"""What the frames of a shot share once it has been surveyed: a look, or the way from look to look."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stylecore.palette import Tint
from stylecore.spec import EXACT


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
    precision: str = EXACT
    """Of the network's arithmetic: the engine's, where this look bears it."""
    exact_layers: int = 0
    """First layers that are in fp32 all the same."""
    shifts: tuple[Tensor, ...] = ()
    """Of each layer's biases, for what rounding takes from channels; none if it is borne as it is."""


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
    strength = first.strength + weight * (second.strength - first.strength)
    mixed = Look(constants, ground, tint, usual, strength)
    if not _rounded_alike(first, second):
        return mixed
    return replace(mixed, precision=first.precision, exact_layers=first.exact_layers, shifts=first.shifts)


def _rounded_alike(first: Look, second: Look) -> bool:
    """Shifts belong to kernels: those of two surveys do not mix."""
    kinds = [(look.precision, look.exact_layers, tuple(map(id, look.shifts))) for look in (first, second)]
    return kinds[0] == kinds[1]
