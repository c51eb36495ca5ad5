"""How near a style network comes to optimizing the pixels themselves (Gatys 2015) with the same losses.

For each style and frame: the network's style distance S and content distance C; then 300 Adam steps on
the pixels, from the frame, at growing content weights until they are nearer to the film than C; S over
their S at the same C (or at the lightest weight, if even that is nearer) is the ratio. The frames are of
films that no style was trained on, spread over a live shot and a newsreel.

    python tests/studies/against_optimization.py --data DIR [--styles A,B] [--frames N] [--out rows.json]
"""

import argparse
import json
from pathlib import Path
from statistics import median

import av
import torch
from clips import load_painting, painting_of
from steadiness import LOSS_NETWORK
from torch import Tensor

from stylecore import losses
from stylecore.catalog import find_style
from stylecore.encoders import Encoder, load_encoder
from stylecore.images import resize_short_side
from stylecore.metrics import CONTENT_LAYER, STYLE_LAYERS
from stylecore.runtime import keep_freed_memory
from stylecore.stills import paint_still

HELD_BACK = ("androidx_dog_720p30_live.mp4", "nasa_13013_2v2a2s.mp4")
SHORT_SIDE_PX = 256
STEPS = 300
WEIGHTS = (0.02, 0.06, 0.2, 0.6)
"""Content weights tried in turn, against a style weight of 1."""


def measure(
    picture: Tensor, encoder: Encoder, grams: dict[str, Tensor], wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """Style and content distance of (1,3,H,W)."""
    made = encoder(picture, (*STYLE_LAYERS, CONTENT_LAYER))
    style = losses.style_loss({name: losses.gram(made[name]) for name in STYLE_LAYERS}, grams)
    return style[0], losses.content_loss(made[CONTENT_LAYER], wanted)[0]


def optimize(
    picture: Tensor, encoder: Encoder, grams: dict[str, Tensor], weight: float
) -> tuple[float, float]:
    """Style and content distance after 300 Adam steps on the pixels."""
    wanted = encoder(picture, (CONTENT_LAYER,))[CONTENT_LAYER]
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


def held_back_frames(data: Path, count: int) -> dict[str, Tensor]:
    """Frames (1,3,256,W) by name, evenly spread over the films, turn by turn."""
    found = {}
    for number, file in enumerate(HELD_BACK):
        mine = len(range(number, count, len(HELD_BACK)))
        with av.open(str(data / "clips" / file)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        for turn in range(mine):
            place = len(frames) * (2 * turn + 1) // (2 * mine)
            rgb = torch.from_numpy(frames[place]).permute(2, 0, 1).float() / 255
            found[f"{Path(file).stem} {place}"] = resize_short_side(rgb, SHORT_SIDE_PX)[None]
    return found


def compare(style: str, name: str, frame: Tensor, painting: Tensor, encoder: Encoder) -> dict[str, object]:
    """One style on one frame, ours against optimization."""
    with torch.no_grad():
        found = encoder(painting[None], STYLE_LAYERS)
        grams = {layer: losses.gram(features) for layer, features in found.items()}
        wanted = encoder(frame, (CONTENT_LAYER,))[CONTENT_LAYER]
        painted = paint_still(frame[0], *find_style(style))[None]
        ours = [float(value) for value in measure(painted, encoder, grams, wanted)]
    runs: list[tuple[float, float]] = []
    for weight in WEIGHTS:
        runs.append(optimize(frame, encoder, grams, weight))
        if runs[-1][1] <= ours[1]:
            break
    return {
        "style": style,
        "frame": name,
        "ours": ours,
        "runs": runs,
        "ratio": ours[0] / at_equal_content(runs, ours[1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="clips, styles, weights")
    parser.add_argument("--styles", default="starry-night,great-wave,seurat")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--out", type=Path, help="the rows, as JSON")
    asked = parser.parse_args()
    keep_freed_memory()
    encoder, rows = load_encoder(asked.data / LOSS_NETWORK), []
    frames = held_back_frames(asked.data, asked.frames)
    for style in asked.styles.split(","):
        painting = load_painting(painting_of(asked.data, style))
        for name, frame in frames.items():
            rows.append(compare(style, name, frame, painting, encoder))
            print(rows[-1], flush=True)
    print("median ratio", median(row["ratio"] for row in rows))
    if asked.out:
        asked.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
