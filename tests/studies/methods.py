"""The field's methods on the same frame: how near to the style, how near to the content, at what price.

    python tests/studies/methods.py still|loss-network|plain|film|harmonize --data DIR --out DIR

`still`         network, optimization by three losses, and a plain Gatys run at equal time, side by side
`loss-network`  what the loss network in the box finds, against random weights, judged by exact VGG-19 layers
`plain`         seconds of our optimization and of the plain reference, same network, same steps
`film`          warp error of Ruder's method against frames painted apart
`harmonize`     an element in three paintings, before and after

Judge: relative Gram error at exact VGG-19 relu1_1, 2_1 and 3_1 and, deeper, at relu4_1 and 5_1 of the
compressed VGG-19; the loss network that is used is neither.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from clips import load_clip
from torch import Tensor

from stylecore import losses
from stylecore.catalog import find_style
from stylecore.criterion import Region, Style, Wishes
from stylecore.encoders import LAYOUTS, Encoder, bundled_encoder, load_encoder
from stylecore.harmonize import HarmonizeSpec, harmonize, set_scene
from stylecore.images import fit, load_picture, resize_long_side
from stylecore.metrics import content_distance, error_along, style_distance
from stylecore.motion import track
from stylecore.optimize import OptimizeSpec, optimize
from stylecore.runtime import keep_freed_memory
from stylecore.sheet import Row, draw_sheet
from stylecore.stills import paint_still
from stylecore.temporal import TemporalSpec, paint_alone, paint_shot
from stylecore.training.distill import STUDENT, DistillSpec

EXACT, DEEP = "weights/vgg19n_relu3_1.fp16.safetensors", "weights/vgg19_cd16x_relu5_1.fp16.safetensors"
SCENE, PAINTING = "photos/cc0_elementary/william_bout_lighthouse.jpg", "styles/vangogh_starry_night.jpg"
GIRAFFE = "photos/cc0_elementary/pawe_czerwi_ski_giraffe.jpg"


def random_weights(spec: DistillSpec) -> dict[str, Tensor]:
    """Random convolutions of the student's shape (He 2015): the baseline to beat."""
    generator = torch.Generator().manual_seed(spec.seed)
    weights, inputs = {}, 3
    for width, names in zip(spec.widths, STUDENT.stages, strict=True):
        for name in names:
            weight = torch.randn(width, inputs, 3, 3, generator=generator)
            weights[f"{name}.weight"] = weight * (2 / (9 * inputs)) ** 0.5
            weights[f"{name}.bias"] = torch.zeros(width)
            inputs = width
    return weights


class Judge:
    """Style and content distance as two other networks see them."""

    def __init__(self, data: Path) -> None:
        self.exact = load_encoder(data / EXACT, layout="vgg19-normalized")
        self.deep = load_encoder(data / DEEP)

    def __call__(self, made: Tensor, painting: Tensor, content: Tensor) -> dict[str, float]:
        painting = resize_long_side(painting, max(made.shape[-2:]))
        return {
            "exact style": style_distance(made, painting, self.exact, ("relu1_1", "relu2_1", "relu3_1")),
            "deep style": style_distance(made, painting, self.deep, ("relu4_1", "relu5_1")),
            "content": content_distance(made[None], fit(content, made)[None], self.deep),
        }


def painted(content: Tensor, painting: Tensor, encoder: Encoder, spec: OptimizeSpec) -> Tensor:
    *_, last = optimize(content, [Region([Style(painting)])], encoder, spec)
    return last.picture


def timed(make: Callable[[], Tensor]) -> tuple[Tensor, float]:
    began = time.perf_counter()
    made = make()
    return made, time.perf_counter() - began


def plain(
    content: Tensor, painting: Tensor, encoder: Encoder, steps: int = 10_000, seconds: float = 1e9
) -> Tensor:
    """Gatys as it is usually written: one scale, from the content, Gram matrices, L-BFGS on the pixels.

    The same network; nothing of ours but its layers. Stops after `steps` evaluations or `seconds`.
    """
    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    encoder = encoder.to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        wanted = {name: losses.gram(each) for name, each in encoder(painting[None], layers).items()}
        kept = encoder(content[None], ["relu4_2"])["relu4_2"]
    pixels = content[None].clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([pixels], max_iter=1, history_size=20)
    began = time.perf_counter()

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        made = encoder(pixels, (*layers, "relu4_2"))
        style = losses.style_loss({name: losses.gram(made[name]) for name in layers}, wanted)
        loss = (style + 0.08 * losses.content_loss(made["relu4_2"], kept)).sum()
        loss.backward()
        return loss.detach()

    for _ in range(steps):
        optimizer.step(evaluate)
        if time.perf_counter() - began > seconds:
            break
    return pixels.detach()[0].clamp(0, 1)


def still(data: Path, out: Path, size_px: int) -> dict[str, object]:
    content, painting = load_picture(data / SCENE), load_picture(data / PAINTING)
    shown, encoder, judge = resize_long_side(content, size_px), bundled_encoder(), Judge(data)
    spec = OptimizeSpec(size_px=size_px, smallest_px=size_px // 4)
    made = {"network": timed(lambda: paint_still(shown, *find_style("starry-night")))}
    for loss in ("moments", "wasserstein", "gram"):
        asked = replace(spec, wishes=Wishes(style_loss=loss))
        made[f"optimize, {loss}"] = timed(lambda asked=asked: painted(content, painting, encoder, asked))
    seconds = made["optimize, moments"][1]
    style = resize_long_side(painting, size_px)
    made["plain Gram, L-BFGS, equal time"] = timed(lambda: plain(shown, style, encoder, seconds=seconds))
    save_sheet({"content": shown} | {name: picture for name, (picture, _) in made.items()}, out / "still.png")
    return {
        name: judge(picture, painting, content) | {"seconds": round(took, 1)}
        for name, (picture, took) in made.items()
    }


def loss_network(data: Path, out: Path, size_px: int) -> dict[str, object]:
    content, painting, judge = load_picture(data / SCENE), load_picture(data / PAINTING), Judge(data)
    spec = OptimizeSpec(size_px=size_px, smallest_px=size_px // 4)
    random = Encoder(LAYOUTS["compact"], random_weights(DistillSpec()))
    networks = {"random weights": random, "in the box": bundled_encoder()}
    networks["its teacher"] = load_encoder(data / DEEP)
    made = {name: painted(content, painting, encoder, spec) for name, encoder in networks.items()}
    save_sheet(made, out / "loss-network.png")
    return {name: judge(picture, painting, content) for name, picture in made.items()}


def against_plain(data: Path, out: Path, size_px: int) -> dict[str, object]:
    """The same network and number of steps; the plain run has all of them at full size."""
    content, painting = load_picture(data / SCENE), load_picture(data / PAINTING)
    shown, encoder = resize_long_side(content, size_px), bundled_encoder()
    spec = OptimizeSpec(size_px=size_px, smallest_px=size_px // 4, steps=20)
    style = resize_long_side(painting, size_px)
    _, theirs = timed(lambda: plain(shown, style, bundled_encoder(), steps=60))
    _, ours = timed(lambda: painted(content, painting, encoder, spec))
    one_scale = replace(spec, smallest_px=size_px, steps=60)
    _, flat = timed(lambda: painted(content, painting, encoder, one_scale))
    return {"plain s": theirs, "ours s": ours, "ratio": ours / theirs, "ours at one scale s": flat}


def film(data: Path, out: Path, size_px: int) -> dict[str, object]:
    encoder, regions = bundled_encoder(), [Region([Style(load_picture(data / PAINTING))])]
    alley = [load_picture(data / f"flow/sintel_alley_1/frame_000{number}.png") for number in (1, 2)]
    shots = {"sintel alley_1": alley, "big buck bunny": load_clip(data, "bunny").rgb[:6]}
    spec = TemporalSpec(OptimizeSpec(size_px=size_px, smallest_px=size_px // 4, steps=40))
    found = {}
    for name, frames in shots.items():
        small = [resize_long_side(frame, size_px) for frame in frames]
        motion = track(small, 1)
        alone = [paint_alone(frame, regions, encoder, spec) for frame in small]
        along, took = timed(lambda small=small: list(paint_shot(small, regions, encoder, spec)))
        errors = {
            "source": error_along(small, motion),
            "apart": error_along(alone, motion),
            "along": error_along(along, motion),
        }
        found[name] = errors | {"ratio": errors["along"] / errors["apart"], "seconds": round(took, 1)}
        rows = [Row(f"{name}, apart", alone[:3]), Row("along the motion", along[:3])]
        draw_sheet(rows, 200).save(out / f"film-{name.split()[0]}.png")
    return found


def harmonized(data: Path, out: Path, size_px: int) -> dict[str, object]:
    """A giraffe at a haystack, on a bridge and in the wheat; the photograph's pale sky is its matte."""
    photo, encoder = load_picture(data / GIRAFFE), bundled_encoder()
    made = {}
    for name in ("monet_haystacks", "renoir_pont_neuf", "vangogh_wheat_field_cypresses"):
        painting = load_picture(data / f"styles/{name}.jpg")
        width = min(photo.shape[2], round(photo.shape[1] * painting.shape[2] / painting.shape[1]))
        element = photo[..., -width:]
        matte = warm_or_dark(element)
        made[f"{name}, pasted"] = set_scene(element, matte, painting, size_px).pasted
        *_, last = harmonize(element, matte, painting, encoder, HarmonizeSpec(size_px=size_px))
        made[f"{name}, harmonized"] = last.picture
    save_sheet(made, out / "harmonize.png", columns=2)
    return {}


def warm_or_dark(photo: Tensor) -> Tensor:
    """A matte (H,W) of what stands before a pale sky, with its holes closed."""
    warm, dark = (photo[0] - photo[2] + 0.02) / 0.06, (0.55 - photo.mean(0)) / 0.1
    found = torch.maximum(warm, dark).clamp(0, 1)[None]
    return -F.max_pool2d(-F.max_pool2d(found, 17, 1, 8), 19, 1, 9)[0]


def save_sheet(pictures: dict[str, Tensor], target: Path, columns: int = 3) -> None:
    names = list(pictures)
    lines = [names[start : start + columns] for start in range(0, len(names), columns)]
    rows = [Row(" | ".join(line), [pictures[name] for name in line]) for line in lines]
    draw_sheet(rows, 260).save(target)


STUDIES = {
    "still": still,
    "loss-network": loss_network,
    "plain": against_plain,
    "film": film,
    "harmonize": harmonized,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--data", type=Path, required=True, help="photos, styles, weights, clips, flow")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512)
    asked = parser.parse_args()
    keep_freed_memory()
    asked.out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(STUDIES[asked.study](asked.data, asked.out, asked.size), indent=1))


if __name__ == "__main__":
    main()
