"""Planes in another form: depth, range, sampling, no alpha, RGB as YUV, high dynamic range as standard."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stylecore.pixels import RGB, YuvFormat, coded_rgb, quantize, split_rgb, upsample


def refit(planes: Sequence[Tensor], source: YuvFormat, target: YuvFormat) -> list[Tensor]:
    """Planes in a target of other depth, range, light or fuller chroma; the same ones if nothing differs.

    A grey film gets neutral chroma; chroma is interpolated where its sites say, never repeated; what has to
    be rounded is dithered.
    """
    if source == target:
        return list(planes)
    picture = planes[:-1] if source.alpha else planes
    same = source.matrix == target.matrix and source.dynamic == target.dynamic
    made = _rescaled(picture, source, target) if same else _recoded(picture, source, target)
    if target.alpha:
        made.append(quantize(planes[-1].float() * (target.highest / source.highest), target))
    return made


def _rescaled(planes: Sequence[Tensor], source: YuvFormat, target: YuvFormat) -> list[Tensor]:
    """The same colours in other code values, plane by plane."""
    if source.matrix == RGB:
        return [_moved(plane.float(), source.luma, target.luma, target) for plane in planes]
    made = [_moved(planes[0].float(), source.luma, target.luma, target)]
    if target.gray:
        return made
    height, width = planes[0].shape
    size = (-(-height // target.chroma_step_y), -(-width // target.chroma_step_x))
    if source.gray:
        neutral = torch.full(size, target.chroma[0], dtype=made[0].dtype, device=made[0].device)
        return [*made, neutral, neutral]
    gap = replace(
        source,
        chroma_step_x=source.chroma_step_x // target.chroma_step_x,
        chroma_step_y=source.chroma_step_y // target.chroma_step_y,
    )
    fuller = (upsample(plane.float(), gap, size) for plane in planes[1:])
    return [*made, *(_moved(plane, source.chroma, target.chroma, target) for plane in fuller)]


def _recoded(planes: Sequence[Tensor], source: YuvFormat, target: YuvFormat) -> list[Tensor]:
    """Other colours: through R, G and B, as the target means them."""
    rgb = coded_rgb(planes, source)
    if source.dynamic and not target.dynamic:
        rgb = source.dynamic.standard(rgb)
    zeros = [target.luma[0]] * 3 if target.matrix == RGB else [target.luma[0], *[target.chroma[0]] * 2]
    parts = split_rgb(rgb[0], target)
    return [quantize(part + zero, target) for part, zero in zip(parts, zeros, strict=False)]


def _moved(plane: Tensor, before: tuple[float, float], after: tuple[float, float], form: YuvFormat) -> Tensor:
    """Code values of one (zero, excursion) as those of another."""
    return quantize((plane - before[0]) * (after[1] / before[1]) + after[0], form)
