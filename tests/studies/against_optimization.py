"""How near a style network comes to optimizing the pixels themselves (Gatys 2015) with the same losses.

For each style and picture: the network's style distance S and content distance C; then 300 Adam steps on
the pixels, from the picture, at the content weight that ends nearest to the same C; S over its S is the
ratio. Run: python tests/studies/against_optimization.py --data DIR [--styles A,B] [--pictures N]
"""

import argparse
import json
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from clips import load_painting, painting_of
from torch import Tensor

from stylecore import losses
from stylecore.catalog import find_style
from stylecore.encoders import Encoder, load_encoder
from stylecore.images import load_picture, resize_short_side
from stylecore.stills import paint_still

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT = "relu4_2"
STEPS = 300
WEIGHTS = (0.02, 0.06, 0.2, 0.6)
"""Content weights tried, against a style weight of 1."""


def measure(
    picture: Tensor, encoder: Encoder, grams: dict[str, Tensor], wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """Style and content distance of (1,3,H,W)."""
    made = encoder(picture, (*LAYERS, CONTENT))
    style = losses.style_loss({name: losses.gram(made[name]) for name in LAYERS}, grams)
    return style[0], losses.content_loss(made[CONTENT], wanted)[0]


def optimize(
    picture: Tensor, encoder: Encoder, grams: dict[str, Tensor], weight: float
) -> tuple[float, float]:
    """Style and content distance after 300 Adam steps on the pixels."""
    wanted = encoder(picture, (CONTENT,))[CONTENT]
    pixels = picture.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([pixels], lr=0.02)
    for _ in range(STEPS):
        style, content = measure(pixels, encoder, grams, wanted)
        optimizer.zero_grad()
        (style + weight * content).backward()
        optimizer.step()
        with torch.no_grad():
            pixels.clamp_(0, 1)
    style, content = measure(pixels.detach(), encoder, grams, wanted)
    return float(style), float(content)


def at_equal_content(runs: list[tuple[float, float]], content: float) -> float:
    """Style distance of optimization at a content distance, between (or at the end of) the runs."""
    runs = sorted(runs, key=lambda run: run[1])
    for (style_a, content_a), (style_b, content_b) in zip(runs, runs[1:], strict=False):
        if content_a <= content <= content_b:
            share = (content - content_a) / max(content_b - content_a, 1e-6)
            return style_a + share * (style_b - style_a)
    return runs[0][0] if content < runs[0][1] else runs[-1][0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--styles", default="starry-night,great-wave,seurat")
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    encoder = load_encoder(options.data / "weights/vgg19_cd16x_relu5_1.fp16.safetensors")
    files = sorted((options.data / "photos").rglob("*.*g"))[:: 42 // options.pictures][: options.pictures]
    rows = []
    for style in options.styles.split(","):
        painting = load_painting(painting_of(options.data, style))
        with torch.no_grad():
            found = encoder(painting[None], LAYERS)
            grams = {name: losses.gram(features) for name, features in found.items()}
        for file in files:
            picture = F.interpolate(resize_short_side(load_picture(file), 256)[None], (256, 320), mode="area")
            painted = paint_still(picture[0], *find_style(style))[None]
            with torch.no_grad():
                wanted = encoder(picture, (CONTENT,))[CONTENT]
                ours = [float(value) for value in measure(painted, encoder, grams, wanted)]
            runs = [optimize(picture, encoder, grams, weight) for weight in WEIGHTS]
            theirs = at_equal_content(runs, ours[1])
            rows.append(
                {"style": style, "picture": file.name, "ours": ours, "runs": runs, "ratio": ours[0] / theirs}
            )
            print(
                style,
                file.name,
                f"style {ours[0]:.3f} content {ours[1]:.2f} ratio {ours[0] / theirs:.2f}",
                flush=True,
            )
    print("median ratio", median(row["ratio"] for row in rows))
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
