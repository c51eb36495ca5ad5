"""Other people's trained networks become style packs: pytorch/examples fast_neural_style, any width.

Reads a state dict only, in torch's own form (`.pth`, `.pt`, `.model`) or as safetensors. Files come from
anywhere: nothing in them is run, and nothing is computed before every name and shape is as it must be.
"""

import hashlib
import io
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from stylecore.errors import PackError
from stylecore.networks.johnson import BLOCKS, Johnson
from stylecore.normalize import NormPrior
from stylecore.pack import StylePack

MAX_FILE_BYTES = 256 << 20
"""The original is 7 MB."""
_LIMIT = f"a checkpoint of this network is at most {MAX_FILE_BYTES >> 20} MB"
MAX_WIDTH = 256
LAYERS = (
    *((f"conv{number}", f"in{number}") for number in (1, 2, 3)),
    *((f"res{block}.conv{n}", f"res{block}.in{n}") for block in range(1, BLOCKS + 1) for n in (1, 2)),
    ("deconv1", "in4"),
    ("deconv2", "in5"),
)
"""The original's name of each convolution and of the norm behind it, in the order of `Johnson.convs`."""
FIRST, LAST = "conv1.conv2d.weight", "deconv3"
RUNNING = (".running_mean", ".running_var", ".num_batches_tracked")
"""Written by torch before 0.4 and never used: an instance norm takes each picture's own statistics."""

Weights = Mapping[str, Tensor]


def import_checkpoint(path: Path, name: str) -> StylePack:
    """A pack whose one style is called `name`; every fault is a PackError that names the file."""
    try:
        data = _read(path)
        weights = _checked(_parse(data, path.suffix))
    except PackError as err:
        raise PackError(f"{path}: {err}") from err
    card = {"work": f"imported from {path.name}", "sha256": hashlib.sha256(data).hexdigest()}
    return _build(weights, name, card)


def _read(path: Path) -> bytes:
    """The file once, so that what is hashed is what is used."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise PackError(f"is {size >> 20} MB; {_LIMIT}")
        return path.read_bytes()
    except OSError as err:
        raise PackError(f"cannot be read ({err.strerror})") from err


def _parse(data: bytes, suffix: str) -> Weights:
    found = _parse_safetensors(data) if suffix == ".safetensors" else _parse_torch(data)
    if not isinstance(found, Mapping):
        raise PackError(f"holds a {type(found).__name__}; expected a state dict, from model.state_dict()")
    return {str(key): value for key, value in found.items() if not str(key).endswith(RUNNING)}


def _parse_safetensors(data: bytes) -> Any:
    try:
        return load_safetensors(data)
    except (SafetensorError, KeyError) as err:  # KeyError: of a type that torch has not
        raise PackError(f"not a safetensors file, or a damaged one ({err})") from err


def _parse_torch(data: bytes) -> Any:
    _refuse_inflation(data)
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as err:  # a damaged file can raise almost anything
        if _is_refusal(data, err):
            raise PackError(
                "refused: it holds more than weights, and loading that could run code; "
                "where you trust it, load it and torch.save(model.state_dict())"
            ) from err
        raise PackError("not a torch checkpoint, or a damaged one; expected a saved state dict") from err


def _is_refusal(data: bytes, err: Exception) -> bool:
    """Whether this is a pickle (bare or in a zip) with more in it than `weights_only` lets in."""
    pickled = data.startswith((b"PK", b"\x80")) and isinstance(err, pickle.UnpicklingError)
    return pickled or "TorchScript" in str(err)


def _refuse_inflation(data: bytes) -> None:
    """Torch stores its tensors uncompressed in a zip; a compressed one could unfold without end."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return
    if size > MAX_FILE_BYTES:
        raise PackError(f"unfolds to {size >> 20} MB; {_LIMIT}")


def _checked(weights: Weights) -> Weights:
    """The weights in fp32, once names, shapes and values are those of this network."""
    if weights.keys() != _shapes(1).keys():
        raise PackError(_other_names(weights))
    first = weights[FIRST]
    width = len(first) if isinstance(first, Tensor) and first.ndim else 0
    if not 1 <= width <= MAX_WIDTH:
        raise PackError(f"{FIRST} has {width} channels, expected 1 to {MAX_WIDTH} (the original has 32)")
    return {key: _tensor(key, weights[key], shape) for key, shape in _shapes(width).items()}


def _tensor(key: str, value: object, shape: tuple[int, ...]) -> Tensor:
    if not isinstance(value, Tensor) or not value.is_floating_point() or not _is_dense(value):
        raise PackError(f"{key} is no tensor of floating-point weights; save model.state_dict() unquantized")
    if tuple(value.shape) != shape:
        raise PackError(f"{key} has shape {tuple(value.shape)}, expected {shape} at this width")
    weights = value.detach().float()
    if not weights.isfinite().all():
        raise PackError(f"{key} holds NaN or infinity: the training broke; take an earlier checkpoint")
    return weights


def _is_dense(value: Tensor) -> bool:
    return value.layout == torch.strided and value.device.type == "cpu"


def _other_names(weights: Weights) -> str:
    expected = _shapes(1)
    missing, unknown = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    facts = [
        f"{verb} {len(names)} ({', '.join(names[:2])}{', ...' * (len(names) > 2)})"
        for verb, names in (("misses", missing), ("has unknown", unknown))
        if names
    ]
    return f"not a fast_neural_style state dict: of {len(expected)} names it {' and '.join(facts)}"


def _their_names() -> dict[str, str]:
    """Our parameters -> the original's."""
    names = {f"convs.{number}.weight": f"{conv}.conv2d.weight" for number, (conv, _) in enumerate(LAYERS)}
    return names | {f"paint.{part}": f"{LAST}.conv2d.{part}" for part in ("weight", "bias")}


def _shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Everything the original holds, and its shape at this width."""
    with torch.device("meta"):
        network = Johnson(width)
    names = _their_names()
    shapes = {names[key]: tuple(value.shape) for key, value in network.state_dict().items()}
    for (conv, norm), channels in zip(LAYERS, network.norm_channels, strict=True):
        vectors = (f"{conv}.conv2d.bias", f"{norm}.weight", f"{norm}.bias")
        shapes |= dict.fromkeys(vectors, (channels,))
    return shapes


def _build(weights: Weights, name: str, card: Mapping[str, Any]) -> StylePack:
    network = Johnson(width := len(weights[FIRST]))
    network.load_state_dict({ours: weights[theirs] for ours, theirs in _their_names().items()})
    network.eval().requires_grad_(False)
    parts = [torch.cat([weights[f"{norm}.{part}"] for _, norm in LAYERS]) for part in ("weight", "bias")]
    # A population of variance 0 weighs nothing: every picture by its own statistics, like the original.
    mean, var = torch.zeros_like(parts[0]), torch.zeros_like(parts[0])
    return StylePack(
        network,
        "johnson",
        {"width": width},
        NormPrior(network.norm_channels, mean, var),
        {name: torch.stack(parts)},
        {name: card},
        {"imported_as": "pytorch/examples fast_neural_style"},
    )
