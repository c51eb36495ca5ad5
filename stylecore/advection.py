"""The canvas goes with what is painted on it, for strokes follow the canvas: a shot's layers, frame by frame.

Advected textures (Neyret 2003; for watercolour films Bousseau 2007): every pixel remembers where on the
canvas it stood, and takes that along the film's motion. Motion is never quite right, and stretches the canvas
more and more; so a new layer is laid every few frames, comes in as the one before it goes out, and is gone
when it has been carried over twice as many. A frame depends on those since the older of its layers was laid,
and on none that are farther away. Deviation: both layers go forward in time, so that nothing waits for
frames to come.
"""

from typing import Any

import torch
from torch import Tensor

from stylecore.canvas import Drift, Layer, Placement
from stylecore.motion import warp
from stylecore.ways import Way

LAYER_FRAMES = 12
"""From one new layer to the next."""
_LOST = 0.25
"""Of a frame: where so little is certain, as at a cut that nobody found, no layer knows the way any more."""
_ASTRAY = 1.0
"""Frame heights that a pixel may be from where the scene's drift would have it."""


def laid_before(place: int) -> int:
    """The place in its shot of the first frame that a frame's layers know."""
    return max(0, (place // LAYER_FRAMES - 1) * LAYER_FRAMES)


class Advection:
    """Takes consecutive frames of a shot, from `laid_before` the first that counts."""

    def __init__(self) -> None:
        self._layers: dict[int, Tensor] = {}
        """By their number in the shot, the older first."""

    def add(self, place: int, drift: Drift, view: Any, ways: tuple[Way, Way] | None) -> Placement:
        """How the canvas lies under the next frame; `ways` come from the one before it, and lead back."""
        number, since = divmod(place, LAYER_FRAMES)
        fresh = _drifted(view.shape, drift)
        layers = self._carried(ways[1], fresh) if ways else {}
        newer = layers.setdefault(number, fresh)
        self._layers = {each: layer for each, layer in layers.items() if each >= number - 1}
        if len(self._layers) == 1:
            return Placement(drift, [Layer(1.0, newer)])
        older, share = self._layers[number - 1], since / LAYER_FRAMES
        if not since:
            return Placement(drift, [Layer(1.0, older)])
        return Placement(drift, [Layer(1 - share, older), Layer(share, newer)])

    def _carried(self, back: Way, fresh: Tensor) -> dict[int, Tensor]:
        """The layers a frame later; `fresh` is where the drift alone would have every pixel."""
        # Counted, for sums of fractions differ with the number of threads.
        if (back.certain > 0.5).sum() < _LOST * back.certain.numel():
            return dict.fromkeys(self._layers, fresh)
        moved = {number: warp(layer, back.flow) for number, layer in self._layers.items()}
        return {number: fresh + (layer - fresh).clamp(-_ASTRAY, _ASTRAY) for number, layer in moved.items()}


def _drifted(size: tuple[int, int], drift: Drift) -> Tensor:
    """Where each pixel stands on a canvas that drifts with the scene, (1,2,h,w)."""
    height, width = size
    axes = (torch.arange(length) + 0.5 for length in (height, width))
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None] / height
    return places - torch.tensor(drift)[None, :, None, None]
