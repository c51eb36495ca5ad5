"""Single pictures painted as a shot of their own: previews, contact sheets, checks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylecore.pack import StylePack
from stylecore.pixels import RGB, YuvFormat
from stylecore.spec import EngineSpec
from stylecore.stylize import Stylizer

_PLAIN = YuvFormat(RGB, True, 1, 1)


def paint_still(
    rgb: Tensor, pack: StylePack, style: str, strength: float = 1.0, device: str = "cpu"
) -> Tensor:
    """A painted picture of (3,H,W) in 0..1, the size it came in."""
    return paint_shot([rgb], pack, style, strength, device)[0]


def paint_shot(
    frames: Sequence[Tensor], pack: StylePack, style: str, strength: float = 1.0, device: str = "cpu"
) -> list[Tensor]:
    """Pictures (3,H,W) of one size painted with the statistics of all of them together."""
    stylizer = Stylizer(pack, style, _PLAIN, EngineSpec(device), strength)
    batched = [frame[None].to(device) for frame in frames]
    parts = [frame.split(1, 1) for frame in batched]
    look = stylizer.survey_parts(parts).at(0)
    changes = [torch.cat(stylizer.change(each, look), 1) for each in parts]
    return [(frame + change)[0].clamp(0, 1).cpu() for frame, change in zip(batched, changes, strict=True)]
