"""Feed-forward style networks, one per file; `NETWORKS` names the ones a style pack may ask for.

Beside `forward(rgb, norm)` each says: `stride_px` and `halo_px`, for tiles; `design_height_px`, the frame
height it is meant for (0: any); `keeps_black`, whether black comes out black without a mask;
`norm_channels`, the layers it normalizes, and `normalized`, the convolutions before them;
`delicate_layers`, the first of these that may have to be exact where others bear fewer bits; and
`prepare(rgb, placements)`, what whole frames need before they are cut: a canvas that has moved with the
scene, for a network that paints on one.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from stylecore.networks.cartoon import Cartoon
from stylecore.networks.identity import Identity
from stylecore.networks.ink import Ink
from stylecore.networks.johnson import Johnson
from stylecore.networks.noir import Noir
from stylecore.networks.painter import Painter
from stylecore.networks.watercolor import Watercolor

StyleNetwork = Painter | Identity | Johnson | Cartoon | Noir | Ink | Watercolor
NETWORKS: dict[str, Callable[..., StyleNetwork]] = {
    "painter": Painter,
    "identity": Identity,
    "johnson": Johnson,
    "cartoon": Cartoon,
    "noir": Noir,
    "ink": Ink,
    "watercolor": Watercolor,
}

_FORMULA = "drawn by a formula, without weights or training"
DRAWN: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "cartoon": {"work": "flat colours and clean lines", "how": _FORMULA},
        "noir": {"work": "graded black and white film", "how": _FORMULA},
        "ink": {"work": "brush and ink on paper", "how": _FORMULA},
        "watercolor": {"work": "transparent pigment on paper", "how": _FORMULA},
    }
)
"""Looks that are formulas: name -> card."""
