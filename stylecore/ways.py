"""Where everything went from one frame to the next and back, and how certain that is."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylecore.bus import send
from stylecore.motion import fast_flow, returning, warp
from stylecore.scaling import enlarge

VIEW_HEIGHT_PX = 180
"""Motion is found at this height, where a stroke is ten pixels long; 270 lines cost twice as much."""

ALIKE_CODES = 12
"""Of 255: what differs by less from what it was is the same, what differs by twice as much is not."""


@dataclass(frozen=True)
class Way:
    """Motion from frame to frame: flow (1,2,h,w) in pixels, and how certain it is, (1,1,h,w) in 0..1."""

    flow: Tensor
    certain: Tensor

    def then(self, onward: "Way") -> "Way":
        """This way continued by another: from where this one starts to where that one ends."""
        moved = warp(torch.cat([onward.flow, onward.certain], 1), self.flow)
        return Way(self.flow + moved[:, :2], self.certain * moved[:, 2:])

    def on(self, device: torch.device) -> "Way":
        """The same way on a device; the CPU does not wait."""
        return Way(send(self.flow, device), send(self.certain, device))

    def fitted(self, picture: Tensor) -> "Way":
        """The same way in a picture (1,C,h,w) of another size."""
        (height, width), (rows, columns) = picture.shape[-2:], self.flow.shape[-2:]
        right, down = self.flow.split(1, 1)
        scaled = torch.cat([right * (width / columns), down * (height / rows), self.certain], 1)
        fitted = enlarge(scaled, (height, width), "bilinear")
        return Way(fitted[:, :2], fitted[:, 2:])


def ways_between(here: Any, there: Any) -> tuple[Way, Way]:
    """The ways from one view to another and back."""
    forward, backward = fast_flow(here, there), fast_flow(there, here)
    first, second = (torch.from_numpy(view)[None, None].float() for view in (here, there))
    return (
        Way(forward, returning(forward, backward) * _alike(first, warp(second, forward))),
        Way(backward, returning(backward, forward) * _alike(second, warp(first, backward))),
    )


def _alike(here: Tensor, brought: Tensor) -> Tensor:
    """Motion between flat pictures, or into a flash, looks certain: light must agree as well, 1 to 0."""
    return (2 - (here - brought).abs() / ALIKE_CODES).clamp(0, 1)
