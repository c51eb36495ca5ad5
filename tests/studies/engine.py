"""Of a film: what shards at once bring, which precision a look bears, how memory grows with length and size.

PYTHONPATH=. python tests/studies/engine.py shards FILM --frames 12
PYTHONPATH=. python tests/studies/engine.py precision FILM --styles starry-night,gris
PYTHONPATH=. python tests/studies/engine.py memory FILM
PYTHONPATH=. python tests/studies/engine.py cap FILM
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import av
import imageio_ffmpeg
import torch
from torch import Tensor

from pipelines.bench.stages import Stages, open_stages
from pipelines.bench.timing import take_turns, timed
from pipelines.config import make_job
from pipelines.device import resolve_device
from pipelines.plan import Shard
from pipelines.render import render_shard
from pipelines.timeline import FrameRange
from stylecore.catalog import find_style
from stylecore.parts import parts_of, rgb_of
from stylecore.pixels import RGB, YuvFormat
from stylecore.scaling import resize
from stylecore.spec import EXACT, PRECISIONS, EngineSpec
from stylecore.stylize import Stylizer

ROUNDS = 2
PICTURE_PX = (360, 640)
LIGHTS = {"normal": 1.0, "faded": 0.4, "dark": 0.08}


def shards(film: str, frames: int) -> None:
    """Time of a frame with one or two shards at once, each on one or two threads; do all bytes agree?"""
    with tempfile.TemporaryDirectory() as folder:
        places = {"source": film, "output": f"{folder}/out.mp4", "work": folder}
        stages = open_stages(resolve_device(make_job(places)), 2 * frames, Path(folder))
        pair = [Shard(n + 1, (FrameRange(n * frames, (n + 1) * frames),)) for n in (0, 1)]
        seen: set[tuple[str, ...]] = set()

        def work(at_once: int, threads: int) -> Callable[[], None]:
            def run() -> None:
                torch.set_num_threads(threads)
                with ThreadPoolExecutor(at_once) as pool:
                    seen.add(tuple(pool.map(lambda shard: _rendered(stages, shard), pair)))

            return run

        ways = [(at_once, threads) for at_once in (1, 2) for threads in (1, 2)]
        turns = {f"{a} at once, {t} threads each": work(a, t) for a, t in ways}
        times = take_turns({name: lambda w=w: timed(w, 2 * frames) for name, w in turns.items()}, ROUNDS)
        for name, timing in times.items():
            print(f"{name:<28}{1000 * timing.wall_seconds:8.0f} ms{1000 * timing.cpu_seconds:8.0f} ms of CPU")
        print("same frames:", len(seen) == 1)


def _rendered(stages: Stages, shard: Shard) -> str:
    target = stages.scratch / f"study{shard.number}{stages.film.encoding.part_suffix}"
    return render_shard(stages.film, shard, stages.source, stages.job.engine_spec, target).frames_sha256


def precision(film: str, styles: Sequence[str]) -> None:
    """PSNR of the change against fp32, and what the survey decides, in light, faded and dark."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"source": film, "output": f"{folder}/out.mp4", "work": folder}
        stages = open_stages(resolve_device(make_job(places)), 1, Path(folder))
    form = stages.film.painted_format
    picture = rgb_of([resize(part, PICTURE_PX) for part in parts_of(stages.frames[0], form)], form)
    for style in styles:
        for kind in PRECISIONS[1:]:
            told = (f"{name} {_fidelity(style, kind, picture * light)}" for name, light in LIGHTS.items())
            print(f"{style:<16}{kind:<6}{'  '.join(told)}")


def _fidelity(style: str, kind: str, picture: Tensor) -> str:
    pack, name = find_style(style)
    stylizer = Stylizer(pack, name, YuvFormat(RGB, True, 1, 1), EngineSpec(precision=kind))
    parts = picture.split(1, 1)
    look = stylizer.survey_parts([parts]).at(0)
    made, exact = (
        torch.cat(stylizer.change(parts, replace(look, precision=each)), 1) for each in (kind, EXACT)
    )
    return f"{-10 * math.log10((made - exact).square().mean()):.1f} dB ({look.precision})"


def memory(film: str) -> None:
    """Peak of the largest process that renders half a minute and ten minutes of a film, made small."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1", "-i", film, "-an"]
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (30, 600):
            source = f"{folder}/{seconds}.mp4"
            small = ["-t", str(seconds), "-vf", "scale=192:-2", "-preset", "ultrafast", source]
            subprocess.run([*ffmpeg, *small], check=True)
            command = [sys.executable, "-m", "pipelines.cli", "render", source, f"{folder}/{seconds}.out.mp4"]
            _, status, used = os.wait4(subprocess.Popen(command).pid, 0)
            print(f"{seconds:4} s of film: {used.ru_maxrss / 1024:.0f} MB, status {status}", flush=True)


def cap(film: str) -> None:
    """Peak of the largest process that renders 4K without a limit and with some; how far frames differ."""
    first = None
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/4k.mp4"
        large = ["-frames:v", "6", "-vf", "scale=3840:2160", "-preset", "ultrafast", source]
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", film, "-an", *large], check=True
        )
        for limit in ("", "3GiB", "2GiB"):
            output = f"{folder}/{limit or 'free'}.mp4"
            command = [sys.executable, "-m", "pipelines.cli", "render", source, output, "--lossless"]
            asked = ["--memory", limit] if limit else []
            _, status, used = os.wait4(subprocess.Popen([*command, *asked]).pid, 0)
            with av.open(output) as made:
                frames = [frame.to_ndarray().astype(int) for frame in made.decode(video=0)]
            first = first or frames
            far = max(int(abs(a - b).max()) for a, b in zip(first, frames, strict=True))
            print(
                f"{limit or 'no limit':8}: {used.ru_maxrss / 1024:.0f} MB, status {status}, {far} codes off"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("question", choices=["shards", "precision", "memory", "cap"])
    parser.add_argument("film")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--styles", default="starry-night,great-wave,kandinsky,seurat,gris")
    asked = parser.parse_args()
    if asked.question == "shards":
        shards(str(Path(asked.film).absolute()), asked.frames)
    elif asked.question == "memory":
        memory(str(Path(asked.film).absolute()))
    elif asked.question == "cap":
        cap(str(Path(asked.film).absolute()))
    else:
        precision(str(Path(asked.film).absolute()), asked.styles.split(","))
