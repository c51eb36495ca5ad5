"""Styles by reference: bundled and drawn ones by name, packs, any picture, and blends of those.

reference := part | part:weight+part:weight...      part := NAME | PACK.safetensors[#NAME] | PICTURE
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from stylecore.errors import PackError, PictureError
from stylecore.images import SUFFIXES, load_picture, resize_short_side
from stylecore.networks import DRAWN, NETWORKS
from stylecore.networks.reader import StyleReader
from stylecore.normalize import NormPrior
from stylecore.pack import StylePack, load_pack
from stylecore.palette import palette_of
from stylecore.runtime import keep_arithmetic_exact

BUNDLED = Path(__file__).parent / "styles"
BUNDLED_PAINTINGS = BUNDLED / "paintings.safetensors"
PREVIEWS = BUNDLED / "previews"
READ_SHORT_SIDE_PX = 512
_READ_LONG_SIDE_PX = 1536
_SMALLEST_PICTURE_PX = 32
_FLAT = 0.01
_SAME = 1e-3
"""Squared distance of descriptions below which two pictures are one painting."""
_WEIGHTED = re.compile(r"(.+):(\d*\.?\d+)")


@dataclass(frozen=True)
class Part:
    """One ingredient of a style reference; weights of a reference sum to 1."""

    reference: str
    weight: float = 1.0

    @property
    def is_file(self) -> bool:
        """Whether it is a pack or a picture rather than a name."""
        return is_pack(self.reference) or is_picture(self.reference)


def is_pack(reference: str) -> bool:
    return reference.partition("#")[0].endswith(".safetensors")


def is_picture(reference: str) -> bool:
    return reference.lower().endswith(SUFFIXES)


def style_files(reference: str) -> list[str]:
    """The packs and pictures that a reference names."""
    return [part.reference.partition("#")[0] for part in parse_reference(reference) if part.is_file]


def parse_reference(reference: str) -> tuple[Part, ...]:
    """The parts of a blend, or the one part of anything else."""
    found = [_WEIGHTED.fullmatch(item) for item in reference.split("+")]
    if not all(found):
        return (Part(reference),)
    weights = [float(match[2]) for match in found if match]
    total = sum(weights)
    if not 0 < total < math.inf:
        raise PackError(
            f"style {reference!r}: a blend needs weights that sum to more than 0, and to a number"
        )
    return tuple(
        Part(match[1], weight / total)
        for match, weight in zip(found, weights, strict=True)
        if match and weight
    )


def format_reference(parts: Sequence[Part]) -> str:
    """The reference that `parse_reference` takes apart."""
    if len(parts) == 1:
        return parts[0].reference
    # Six digits, and never as 5e-05, which is no weight of a reference.
    return "+".join(f"{part.reference}:{Decimal(f'{part.weight:.6g}'):f}" for part in parts)


def called(reference: str) -> str:
    """What people call a style: no folders; a file alone without its ending, a blend with all its weights."""
    parts = parse_reference(reference)
    if len(parts) == 1:
        return Path(reference).stem
    return format_reference([replace(part, reference=Path(part.reference).name) for part in parts])


def find_style(reference: str) -> tuple[StylePack, str]:
    """The pack and the name in it of a style by reference; PackError or PictureError if it cannot be had."""
    parts = parse_reference(reference)
    if len(parts) == 1:
        return _find_part(parts[0].reference)
    pack, names = find_styles([part.reference for part in parts])
    mixed = [part.weight * pack.vectors[name] for part, name in zip(parts, names, strict=True)]
    return replace(pack, vectors={reference: torch.stack(mixed).sum(0)}), reference


def find_styles(references: Iterable[str]) -> tuple[StylePack, list[str]]:
    """Several styles in one pack, each under its reference; PackError unless one network paints them all."""
    wanted = list(references)
    found = [find_style(reference) for reference in wanted]
    first = found[0][0]
    for (pack, _), reference in zip(found, wanted, strict=True):
        if pack.network_digest != first.network_digest:
            raise PackError(
                f"styles {wanted[0]!r} and {reference!r} are painted by different networks and cannot be "
                "mixed; mix bundled painted styles and pictures, or styles of one pack"
            )
    vectors = {ref: pack.vectors[name] for (pack, name), ref in zip(found, wanted, strict=True)}
    return replace(first, vectors=vectors), wanted


def _find_part(reference: str) -> tuple[StylePack, str]:
    keep_arithmetic_exact()
    if reference == "identity" or reference in DRAWN:
        return drawn_pack(reference), reference
    bundled = bundled_styles()
    if reference in bundled:
        return load_pack(bundled[reference]), reference
    if is_picture(reference):
        return read_picture(Path(reference))
    if is_pack(reference):
        return _find_in_pack(reference)
    raise PackError(_unknown(reference, style_names()))


def _find_in_pack(reference: str) -> tuple[StylePack, str]:
    file, _, name = reference.partition("#")
    pack = load_pack(Path(file))
    chosen = name or next(iter(pack.vectors))
    if chosen not in pack.vectors:
        raise PackError(f"{file}: holds no style {chosen!r}; it has {', '.join(pack.vectors)}")
    return pack, chosen


def _unknown(reference: str, known: Sequence[str]) -> str:
    near = get_close_matches(reference.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return (
        f"style {reference!r} is not known; {hint}choose from {', '.join(known)}, "
        "or give a picture or a PACK.safetensors"
    )


def read_picture(path: Path) -> tuple[StylePack, str]:
    """Any picture as a style of the bundled painter, without training; see `picture_vector`."""
    pack = load_pack(BUNDLED_PAINTINGS)
    if pack.reader is None:
        raise PackError(f"{BUNDLED_PAINTINGS}: has no reader of style pictures")
    picture = load_picture(path)
    height, width = picture.shape[-2:]
    if min(height, width) < _SMALLEST_PICTURE_PX:
        raise PictureError(
            f"{path}: {width}x{height} is too small to be a style; {_SMALLEST_PICTURE_PX} px a side at least"
        )
    if picture.std() < _FLAT:
        raise PictureError(f"{path}: is one flat colour, which is no style; give a picture with brushwork")
    vector = picture_vector(pack, picture)
    card = {"work": path.name, "how": "read from the picture, not trained"}
    return replace(pack, vectors={path.stem: vector}, cards={path.stem: card}), path.stem


def read_vector(reader: StyleReader, picture: Tensor) -> Tensor:
    """The style vector (2, channels) that a reader sees in (3,H,W)."""
    shown = as_read(picture)
    with torch.no_grad():
        return torch.cat([reader(shown), palette_of(shown)], 2)[0]


def picture_vector(pack: StylePack, picture: Tensor) -> Tensor:
    """The style vector of any picture (3,H,W): the strokes of the painters it is most like, its own palette.

    Likeness is told by the reader's description, and weighs as in Shepard 1968 by a power of the inverse
    distance, here the fourth: a painting that the pack knows is painted as it was learned. A pack that
    describes none is asked to read.
    """
    assert pack.reader is not None, "only packs that read are asked"
    if not pack.described:
        return read_vector(pack.reader, picture)
    shown = as_read(picture)
    known = torch.stack([pack.described[name] for name in pack.described])
    with torch.no_grad():
        apart = (pack.reader.describe(shown) - known) / (known.std(0, correction=0) + 0.1)
    likeness = (apart.square().mean(1) + _SAME) ** -2
    weights = likeness / likeness.sum()
    mixed = sum(weight * pack.vectors[name] for weight, name in zip(weights, pack.described, strict=True))
    columns = sum(pack.prior.channels)
    return torch.cat([mixed[:, :columns], palette_of(shown)[0]], 1)


def as_read(picture: Tensor) -> Tensor:
    """A picture (3,H,W) as a reader sees it, (1,3,h,w)."""
    return _middle(resize_short_side(picture, READ_SHORT_SIDE_PX))[None]


def _middle(picture: Tensor) -> Tensor:
    """The middle of a very long picture: more of it costs time and says nothing new."""
    for axis in (-2, -1):
        spare = picture.shape[axis] - _READ_LONG_SIDE_PX
        if spare > 0:
            picture = picture.narrow(axis, spare // 2, _READ_LONG_SIDE_PX)
    return picture


@lru_cache(maxsize=1)
def bundled_styles() -> dict[str, Path]:
    """Every painted style in the box and the pack that holds it, without loading weights."""
    found: dict[str, Path] = {}
    for path in sorted(BUNDLED.glob("*.safetensors")):
        with safe_open(path, framework="pt") as opened:
            names = [key.removeprefix("style.") for key in opened.keys() if key.startswith("style.")]  # noqa: SIM118
        found |= dict.fromkeys(names, path)
    return dict(sorted(found.items()))


def style_names() -> list[str]:
    """Every style that can be asked for by name."""
    return sorted([*bundled_styles(), *DRAWN, "identity"])


def drawn_pack(name: str) -> StylePack:
    """A look that is a formula rather than weights; `identity` changes nothing."""
    card = DRAWN.get(name, {"work": "the film itself, for proofs"})
    return StylePack(
        NETWORKS[name](), name, {}, NormPrior.neutral(()), {name: torch.zeros(2, 0)}, {name: card}, {}
    )
