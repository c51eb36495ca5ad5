"""A frame's parts: what paint is added to, each plane at its own size, as numbers and not as codes.

Parts are Y in 0..1, U and V about 0, or R, G and B in 0..1; (N,1,h,w) each, upright. Chroma stays as small as
it is stored. All of it is linear, so a change of the small picture that a network sees can be carried to each
part by itself, and no full-size RGB picture is ever made. High dynamic range is not linear: its parts are R,
G and B of the standard picture.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylecore.color import luma
from stylecore.pixels import (
    RGB,
    YuvFormat,
    coded_rgb,
    moved_codes,
    rgb_from_yuv,
    split_rgb,
    standard_rgb,
    yuv_from_rgb,
)
from stylecore.scaling import carry, lost_detail, resize

_SITE = 0.25
"""Chroma of every second column lies on the first of its two: a quarter of its own step from their middle."""


def parts_of(planes: Sequence[Tensor], form: YuvFormat) -> list[Tensor]:
    """The parts (1,1,h,w) of planes (h,w); alpha is none of them."""
    if form.dynamic:
        found = list(standard_rgb(coded_rgb(planes, form), form)[0])
    elif form.matrix == RGB:
        green, blue, red = (_numbers(plane, form.luma) for plane in planes[:3])
        found = [red, green, blue]
    else:
        chroma = [] if form.gray else planes[1:3]
        found = [_numbers(planes[0], form.luma)]
        found += [_centred(_numbers(plane, form.chroma), form) for plane in chroma]
    return [form.orientation.upright(part)[None, None] for part in found]


def rgb_of(parts: Sequence[Tensor], form: YuvFormat) -> Tensor:
    """The picture (N,3,h,w) in 0..1 of parts of one size."""
    if form.dynamic or form.matrix == RGB:
        return torch.cat(list(parts), 1).clamp(0, 1)
    if form.gray:
        return parts[0].expand(-1, 3, -1, -1).clamp(0, 1)
    y, u, v = parts
    return torch.cat(rgb_from_yuv(y, u, v, form.matrix), 1).clamp_(0, 1)


def split_change(rgb: Tensor, form: YuvFormat) -> list[Tensor]:
    """Each part's share of a change (N,3,h,w)."""
    if form.dynamic or form.matrix == RGB:
        return list(rgb.split(1, 1))
    red, green, blue = rgb.split(1, 1)
    shares = list(yuv_from_rgb(red, green, blue, form.matrix))
    return shares[:1] if form.gray else shares


def luma_of(parts: Sequence[Tensor], form: YuvFormat) -> Tensor:
    """The part that says how light the picture is, (N,1,H,W)."""
    return luma(torch.cat(list(parts), 1)) if form.dynamic or form.matrix == RGB else parts[0]


def carried(
    paint: Tensor, small: Sequence[Tensor], parts: Sequence[Tensor], form: YuvFormat, reach: Tensor
) -> list[Tensor]:
    """The change of each part when `paint` (N,3,h,w) is added to `small`, the same parts at one size.

    `reach` (N,1,H,W) is how much of it arrives at each pixel.
    """
    lost, changes = lost_detail(paint, rgb_of(small, form)), split_change(paint, form)
    reaches = {size: resize(reach, size) for size in {part.shape[-2:] for part in parts}}
    return [
        carry(change, one, lost, part) * reaches[part.shape[-2:]]
        for change, one, part in zip(changes, small, parts, strict=True)
    ]


def add_change(
    planes: Sequence[Tensor],
    parts: Sequence[Tensor],
    change: Sequence[Tensor],
    form: YuvFormat,
    keep_color: bool,
) -> list[Tensor]:
    """Source planes and a change of their parts (1,1,h,w), dithered; a change of zero is bit exact.

    With `keep_color` only luma changes: chroma planes come back untouched. So does alpha.
    """
    stored = [form.orientation.stored(part[0, 0]) for part in change]
    if form.dynamic:
        shown = torch.stack([form.orientation.stored(part[0, 0]) for part in parts])
        moved = form.dynamic.coded(shown + torch.stack(stored)) - form.dynamic.coded(shown)
        shares = split_rgb(_grey(moved) if keep_color and form.matrix == RGB else moved, form)
    elif form.matrix == RGB:
        moved = torch.stack(stored)
        shares = split_rgb(_grey(moved) if keep_color else moved, form)
    else:
        shares = [stored[0] * form.luma[1]]
        shares += [_sited(part, form) * form.chroma[1] for part in stored[1:]]
    shares = shares[:1] if keep_color and form.matrix != RGB else shares
    made = [moved_codes(plane, share, form) for plane, share in zip(planes, shares, strict=False)]
    return [*made, *planes[len(made) :]]


def apply_change(planes: Sequence[Tensor], rgb: Tensor, form: YuvFormat, keep_color: bool) -> list[Tensor]:
    """Source planes and a change (1,3,H,W) of the whole picture; see `add_change`."""
    parts = parts_of(planes, form)
    change = split_change(rgb.float(), form)
    fitted = [resize(one, part.shape[-2:]) for one, part in zip(change, parts, strict=True)]
    return add_change(planes, parts, fitted, form, keep_color)


def _grey(rgb: Tensor) -> Tensor:
    return luma(rgb[None])[0].expand(3, -1, -1)


def _numbers(plane: Tensor, scale: tuple[float, float]) -> Tensor:
    zero, excursion = scale
    return plane.to(torch.float32, copy=True).sub_(zero).div_(excursion)


def _centred(chroma: Tensor, form: YuvFormat) -> Tensor:
    """Chroma (h,w) as it is in the middle of the pixels that share it."""
    if form.chroma_step_x == 1:
        return chroma
    return torch.lerp(chroma, torch.cat([chroma[:, 1:], chroma[:, -1:]], 1), _SITE)


def _sited(chroma: Tensor, form: YuvFormat) -> Tensor:
    """The way back: at the site of the stored sample."""
    if form.chroma_step_x == 1:
        return chroma
    return torch.lerp(chroma, torch.cat([chroma[:, :1], chroma[:, :-1]], 1), _SITE)
