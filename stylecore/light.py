"""High dynamic range: code values <-> nits, and the way to the standard picture that networks know, and back.

Networks were trained on photographs with BT.709 primaries whose white is 1. A picture in PQ or HLG is shown
to them tone mapped: extended Reinhard (Reinhard 2002, eq. 4) on the largest of R, G and B, diffuse white
(203 nits, ITU-R BT.2408) as its unit and a peak that is fixed for the whole film, so that nothing pumps.
The curve never clips below the peak and has a closed inverse, by which paint comes back as light.
Deviation: colours outside BT.709 are clipped for the network; the change of light is what is carried back,
so that unpainted places keep them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stylecore.bus import on_device

WHITE_NITS = 203.0
HLG_PEAK_NITS = 1000.0
_HLG_GAMMA = 1.2
"""Of the optical-optical transfer on a display of 1000 nits (BT.2100)."""
# SMPTE ST 2084.
_PQ_NITS = 10000.0
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# ARIB STD-B67.
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_STRIP_LINES = 16
_LUMINANCE_2020 = torch.tensor((0.2627, 0.6780, 0.0593), dtype=torch.float64).view(3, 1, 1)
# ITU-R BT.2087, table 1.
_TO_709 = torch.tensor(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=torch.float64
)
_FROM_709 = torch.linalg.inv(_TO_709)


@dataclass(frozen=True)
class Dynamic:
    """A high dynamic range: `curve` is `pq` or `hlg`, `peak_nits` the brightest light of the film."""

    curve: str
    peak_nits: float = 1000.0

    def __post_init__(self) -> None:
        if self.curve not in ("pq", "hlg"):
            raise ValueError(f"curve must be pq or hlg, got {self.curve!r}")

    def standard(self, coded: Tensor) -> Tensor:
        """Code values (N,3,H,W) in 0..1, BT.2020, as a standard picture: sRGB curve, BT.709 primaries."""
        return _in_strips(self._standard, coded)

    def coded(self, standard: Tensor) -> Tensor:
        """The code values of a standard picture."""
        return _in_strips(self._coded, standard)

    def _standard(self, coded: Tensor) -> Tensor:
        nits = _pq_to_nits(coded) if self.curve == "pq" else _hlg_to_nits(coded)
        return _srgb_from_linear(_primaries(self._mapped(nits), _TO_709).clamp(0, 1))

    def _coded(self, standard: Tensor) -> Tensor:
        linear = _primaries(_linear_from_srgb(standard.clamp(0, 1)), _FROM_709)
        nits = self._unmapped(linear.clamp(0, 1))
        return _nits_to_pq(nits) if self.curve == "pq" else _nits_to_hlg(nits)

    @property
    def _peak(self) -> float:
        """The brightest light in units of diffuse white; a film that never exceeds it is only curved."""
        return max(self.peak_nits, WHITE_NITS) / WHITE_NITS

    def _mapped(self, nits: Tensor) -> Tensor:
        units = nits / WHITE_NITS
        brightest = units.amax(-3, keepdim=True).clamp(min=1e-6)
        return units * ((1 + brightest / self._peak**2) / (1 + brightest))

    def _unmapped(self, mapped: Tensor) -> Tensor:
        brightest = mapped.amax(-3, keepdim=True)
        # The positive root of x^2 / peak^2 + x (1 - y) - y = 0, over y, in the form that does not cancel.
        root = torch.sqrt((1 - brightest) ** 2 + 4 * brightest / self._peak**2)
        return mapped * (2 / (root + 1 - brightest)) * WHITE_NITS


def _in_strips(work: Callable[[Tensor], Tensor], picture: Tensor) -> Tensor:
    """The same, on a CPU a few lines at a time: a dozen passes over a whole frame would go through memory.

    A GPU would be asked for thousands of little things.
    """
    lines = _STRIP_LINES if picture.is_cpu else picture.shape[-2]
    return torch.cat([work(strip) for strip in picture.split(lines, -2)], -2)


def _primaries(linear: Tensor, matrix: Tensor) -> Tensor:
    rows = on_device(matrix, linear.device, linear.dtype)
    return torch.einsum("rc,...chw->...rhw", rows, linear)


def _pq_to_nits(coded: Tensor) -> Tensor:
    power = coded.clamp(0, 1) ** (1 / _M2)
    return _PQ_NITS * ((power - _C1).clamp(min=0) / (_C2 - _C3 * power)) ** (1 / _M1)


def _nits_to_pq(nits: Tensor) -> Tensor:
    power = (nits / _PQ_NITS).clamp(0, 1) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _hlg_to_nits(coded: Tensor) -> Tensor:
    coded = coded.clamp(0, 1)
    scene = torch.where(coded <= 0.5, coded**2 / 3, (torch.exp((coded - _C) / _A) + _B) / 12)
    return HLG_PEAK_NITS * _luminance(scene) ** (_HLG_GAMMA - 1) * scene


def _nits_to_hlg(nits: Tensor) -> Tensor:
    light = nits / HLG_PEAK_NITS
    scene = light * _luminance(light) ** (1 / _HLG_GAMMA - 1)
    low, high = torch.sqrt(3 * scene), _A * torch.log((12 * scene - _B).clamp(min=1e-6)) + _C
    return torch.where(scene <= 1 / 12, low, high)


def _luminance(rgb: Tensor) -> Tensor:
    return (rgb * on_device(_LUMINANCE_2020, rgb.device, rgb.dtype)).sum(-3, keepdim=True).clamp(min=1e-9)


def _srgb_from_linear(linear: Tensor) -> Tensor:
    curved = 1.055 * linear.clamp(min=1e-9) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curved)


def _linear_from_srgb(coded: Tensor) -> Tensor:
    return torch.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
