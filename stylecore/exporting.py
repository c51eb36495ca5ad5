"""Styles for other programs: network and style as one ONNX file, proved against ours before it appears.

The file paints single pictures, each by its own statistics (`LiveNorm`), as the network alone makes them:
film's shot-frozen statistics, strength and colour modes stay here. Input `rgb` and output `painted` are
float32 (1,3,height,width) in 0..1, any size from 16x16; painted
styles up to 1920x1920.
"""

import copy
import importlib
import json
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecore.canvas import canvas
from stylecore.errors import ExportError
from stylecore.networks.painter import CELL_PX, Painter, spread
from stylecore.normalize import LiveNorm
from stylecore.pack import StylePack

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OPSET = 18
"""What torch's exporter writes without conversion; reflect padding and resizing are native to it."""
TOLERANCE = 1e-3
"""A quarter of an 8-bit code: kernels may round differently, but nobody may see it."""
MIN_SIDE_PX = 16
MAX_PAINTED_PX = 1920
"""Side of the canvas that is laid out in the file of a painted style."""


class _Styled(nn.Module):
    """The network with one style."""

    def __init__(self, pack: StylePack, style: str) -> None:
        super().__init__()
        self.network = copy.deepcopy(pack.network).cpu().eval()
        self.vectors = pack.vectors[style][None].cpu()
        self.prior = pack.prior.to("cpu")
        # Laid out once: the formula would be most of the graph, and take a minute to export.
        self.cells = canvas(*[MAX_PAINTED_PX // CELL_PX] * 2) if isinstance(self.network, Painter) else None

    def forward(self, rgb: Tensor) -> Tensor:
        if self.cells is not None:
            height, width = rgb.shape[-2:]
            rgb = torch.cat([rgb, spread(self.cells)[..., :height, :width]], 1)
        return self.network(rgb, LiveNorm(self.vectors, self.prior))


def export_onnx(pack: StylePack, style: str, path: Path, height: int, width: int) -> None:
    """Write the file whole or not at all; it is checked at this size and at another."""
    if style not in pack.vectors:
        raise ExportError(f"the pack holds no style {style!r}; it has {', '.join(pack.vectors)}")
    if min(height, width) < MIN_SIDE_PX:
        raise ExportError(f"{width}x{height} is too small; expected at least {MIN_SIDE_PX} px a side")
    if isinstance(pack.network, Painter) and max(height, width) > MAX_PAINTED_PX:
        raise ExportError(
            f"{width}x{height} is too large; painted styles go up to {MAX_PAINTED_PX} px a side"
        )
    _require_packages()
    model = _Styled(pack, style)
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(model, partial, _passport(pack, style), height, width)
        for size in ((height, width), (height // 2 + MIN_SIDE_PX + 1, width // 2 + MIN_SIDE_PX + 2)):
            _check(model, partial, *size)
        partial.replace(path)
    except OSError as err:
        raise ExportError(f"{path}: cannot be written ({err.strerror})") from err
    finally:
        partial.unlink(missing_ok=True)


def _require_packages() -> None:
    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError as err:
            advice = "pip install '.[onnx]' in stylereel's folder"
            raise ExportError(f"ONNX export needs the package {package}: {advice}") from err


def _passport(pack: StylePack, style: str) -> str:
    facts = {"style": style, "network": pack.network_name, "arguments": dict(pack.network_arguments)}
    return json.dumps(facts | {"card": dict(pack.cards.get(style, {})), "digest": pack.style_digest(style)})


def _write(model: _Styled, path: Path, passport: str, height: int, width: int) -> None:
    sides = {2: torch.export.Dim("height", min=MIN_SIDE_PX), 3: torch.export.Dim("width", min=MIN_SIDE_PX)}
    try:
        with warnings.catch_warnings(action="ignore"):
            program = torch.onnx.export(
                model,
                (_picture(height, width),),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=(sides,),
                input_names=["rgb"],
                output_names=["painted"],
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as err:
        raise ExportError(f"torch cannot express this network in opset {OPSET} ({_one_line(err)})") from err
    assert program is not None
    program.model.metadata_props["stylereel"] = passport
    graph = program.model.graph
    # The exporter cannot tell that padding and cropping cancel out.
    graph.outputs[0].shape = graph.inputs[0].shape
    for node in graph:
        # Stack traces: half the file, and the names of this machine's folders.
        node.metadata_props.clear()
    program.save(path, external_data=False)


@torch.inference_mode()
def _check(model: _Styled, path: Path, height: int, width: int) -> None:
    rgb = _picture(height, width)
    painted, expected = _run(path, rgb), model(rgb)
    if painted.shape != expected.shape:
        raise ExportError(
            f"onnxruntime made a picture of {tuple(painted.shape)}, torch {tuple(expected.shape)}"
        )
    difference = float((painted - expected).abs().max())
    if not difference <= TOLERANCE:
        facts = f"differ by {difference:.1e} at {width}x{height}, expected at most {TOLERANCE}"
        raise ExportError(f"onnxruntime's and torch's pictures {facts}; no file was written")


def _run(path: Path, rgb: Tensor) -> Tensor:
    onnxruntime = importlib.import_module("onnxruntime")
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, {"rgb": rgb.numpy()})[0])
    except Exception as err:  # its errors have no public base
        raise ExportError(f"onnxruntime cannot run the exported network ({_one_line(err)})") from err


def _one_line(err: Exception) -> str:
    return str(err).strip().partition("\n")[0]


def _picture(height: int, width: int) -> Tensor:
    """Soft colours with some grain: what the networks meet in film, the same in every run."""
    generator = torch.Generator().manual_seed(0)
    soft = F.interpolate(torch.rand(1, 3, 5, 7, generator=generator), (height, width), mode="bicubic")
    return (soft + 0.05 * torch.randn(soft.shape, generator=generator)).clamp(0, 1)
