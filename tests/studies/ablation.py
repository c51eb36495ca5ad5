"""What training for motion and frozen statistics are worth: a network with both, with one and with neither.

    python tests/studies/ablation.py --data DIR --steps N --out rows.json [--style NAME] [--clips A,B]

The bundled network learns on from where it is, twice with the same pictures and seed: as it was trained, and
with nothing asked of motion. Then both paint the same shots, as the product does and frame by frame.
"""

import argparse
import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from clips import CLIPS, load_clip, painting_of
from steadiness import LOSS_NETWORK, Judge, System, markdown, paint_frozen, paint_unfrozen

from pipelines.commands.train import pictures_to_learn_on
from stylecore.catalog import find_style
from stylecore.encoders import bundled_encoder, load_encoder
from stylecore.images import load_picture
from stylecore.pack import StylePack
from stylecore.runtime import keep_freed_memory
from stylecore.training.spec import TrainSpec
from stylecore.training.trainer import Trainer, train

SPECS = {
    "trained for motion": TrainSpec(batch=2),
    "not trained for motion": TrainSpec(batch=2, motion_weight=0.0, motion_noise=0.0),
}


def trained(style: str, spec: TrainSpec, data: Path) -> StylePack:
    """The bundled network and one style, after so many steps more."""
    pack, name = find_style(style)
    painting = load_picture(painting_of(data, style))
    pack = replace(pack, vectors={name: pack.vectors[name].clone()}, described={})
    contents = list(pictures_to_learn_on([str(data / "photos")]).values())
    trainer = Trainer(pack, {name: painting}, bundled_encoder(), spec)
    for step in train(trainer, contents):
        if step.step % 50 == 0:
            print(step.step, {key: round(value, 4) for key, value in step.losses.items()}, flush=True)
    return trainer.finished_pack({name: {}}, {})


def systems(style: str, steps: int, data: Path) -> list[System]:
    """Each training, painted both ways."""
    found, file = [], painting_of(data, style)
    for name, spec in SPECS.items():
        torch.manual_seed(spec.seed)
        pack = trained(style, replace(spec, steps=steps), data)
        for how, paint in (("as in films", paint_frozen), ("per frame", paint_unfrozen)):
            found.append(System(f"{name}, {how}", style, file, partial(paint, pack=pack, style=style)))
    return found


def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="clips, styles, photos, weights")
    parser.add_argument("--style", default="starry-night")
    parser.add_argument("--clips", default=",".join(CLIPS))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, required=True, help="the rows, as JSON")
    asked = parser.parse_args()
    compared, rows = systems(asked.style, asked.steps, asked.data), []
    encoder = load_encoder(asked.data / LOSS_NETWORK)
    for clip in asked.clips.split(","):
        judge = Judge(load_clip(asked.data, clip), encoder)
        rows += [judge.row(system, system.paint(judge.clip)) for system in compared]
        asked.out.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print(markdown(rows))


if __name__ == "__main__":
    main()
