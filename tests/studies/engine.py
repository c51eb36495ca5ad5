"""Of a film: what shards at once bring, which precision a look bears, how memory grows with length and size.

`busy` is `shards` beside a process that never rests; `alike` asks processes that have just begun whether they
see in a shot what others see.

PYTHONPATH=. python tests/studies/engine.py shards FILM --frames 12
PYTHONPATH=. python tests/studies/engine.py busy FILM --frames 12
PYTHONPATH=. python tests/studies/engine.py alike FILM --frames 80
PYTHONPATH=. python tests/studies/engine.py precision FILM --styles starry-night,gris
PYTHONPATH=. python tests/studies/engine.py published DATA
PYTHONPATH=. python tests/studies/engine.py memory FILM --width 640
PYTHONPATH=. python tests/studies/engine.py cap FILM
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import av
import imageio_ffmpeg
import psutil
import torch
import torch.nn.functional as F
from torch import Tensor

from pipelines.bench.stages import Stages, open_stages
from pipelines.bench.timing import take_turns, timed
from pipelines.config import make_job
from pipelines.device import resolve_device
from pipelines.plan import Shard
from pipelines.render import render_shard
from pipelines.timeline import FrameRange
from stylecore.catalog import find_style
from stylecore.importing import import_checkpoint
from stylecore.normalize import LiveNorm
from stylecore.pack import StylePack
from stylecore.parts import parts_of, rgb_of
from stylecore.pixels import RGB, YuvFormat
from stylecore.scaling import resize
from stylecore.shot import Look
from stylecore.spec import EXACT, PRECISIONS, EngineSpec
from stylecore.stylize import Stylizer
from tests.studies.clips import CLIPS, load_clip

ROUNDS = 2
PROCESSES = 40
PICTURE_PX = (360, 640)
LIGHTS = {"normal": 1.0, "faded": 0.4, "dark": 0.08}


def shards(film: str, frames: int) -> None:
    """Time of a frame with one or two shards at once, each on one or two threads; do all bytes agree?

    Decoder and encoder have threads of their own: one shard keeps to one core only if it is made to.
    """
    with tempfile.TemporaryDirectory() as folder:
        places = {"source": film, "output": f"{folder}/out.mp4", "work": folder}
        stages = open_stages(resolve_device(make_job(places)), 2 * frames, Path(folder))
        pair = [Shard(n + 1, (FrameRange(n * frames, (n + 1) * frames),)) for n in (0, 1)]
        seen: set[tuple[str, ...]] = set()

        def work(at_once: int, threads: int, cores: int) -> Callable[[], None]:
            def run() -> None:
                torch.set_num_threads(threads)
                _stay_on(cores)
                with ThreadPoolExecutor(at_once) as pool:
                    seen.add(tuple(pool.map(lambda shard: _rendered(stages, shard), pair)))

            return run

        ways = [(1, 1, 1), *((at_once, threads, 2) for at_once in (1, 2) for threads in (1, 2))]
        turns = {f"{a} at once, {t} threads each, {c} cores": work(a, t, c) for a, t, c in ways}
        times = take_turns({name: lambda w=w: timed(w, 2 * frames) for name, w in turns.items()}, ROUNDS)
        for name, timing in times.items():
            print(f"{name:<36}{1000 * timing.wall_seconds:8.0f} ms{1000 * timing.cpu_seconds:8.0f} ms of CPU")
        print("same frames:", len(seen) == 1)


@contextmanager
def _neighbour() -> Iterator[None]:
    """A process that wants a core for itself all the time."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def alike(film: str, frames: int) -> None:
    """Surveys of a shot by one fresh process after another: how many saw what?"""
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = Counter(pool.starmap(_surveyed, [(film, frames)] * PROCESSES, chunksize=1))
    for digest, processes in found.most_common():
        print(f"{digest[:8]}  seen by {processes} of {PROCESSES} processes")


def _surveyed(film: str, frames: int) -> str:
    """What a process makes of a shot, as one digest."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"source": film, "output": f"{folder}/out.mp4", "work": folder}
        state = open_stages(resolve_device(make_job(places)), frames, Path(folder)).state
    seen = [half for look in state.looks for pair in look.constants for half in pair]
    return sha256(torch.cat(seen).numpy().tobytes()).hexdigest()


def _stay_on(cores: int) -> None:
    """Give this thread, those that it begins and all child processes so many cores."""
    ours = psutil.Process()
    for process in (ours, *ours.children(recursive=True)):
        with suppress(psutil.Error):  # a child that has ended needs none
            process.cpu_affinity(list(range(cores)))


def _cores() -> None:
    """What two cores do of pure work, of what one does: shards at once cannot gain more than that."""
    shapes = ((1, 64, 137, 242), (64, 64, 3, 3))
    exact = [torch.rand(shape).contiguous(memory_format=torch.channels_last) for shape in shapes]
    rounded = [each.bfloat16() for each in exact]
    works: dict[str, Callable[[], object]] = {
        "convolution in bf16": lambda: F.conv2d(*rounded),
        "convolution in fp32": lambda: F.conv2d(*exact),
        "copy": torch.ones(1 << 24).clone,
    }
    for name, work in works.items():
        shares = [_turns(work, 2) / _turns(work, 1) for _ in range(7)]
        print(f"{name}: two cores do {median(shares):.2f} times what one does")


def _turns(work: Callable[[], object], cores: int) -> int:
    """How often all of some cores together do it in half a second."""

    def repeat(_: int) -> int:
        torch.set_num_threads(1)  # a number of this thread: convolutions do not ask for the main one
        done, end = 0, time.perf_counter() + 0.5
        with torch.inference_mode():
            while time.perf_counter() < end:
                work()
                done += 1
        return done

    with ThreadPoolExecutor(cores) as pool:
        return sum(pool.map(repeat, range(cores)))


def _rendered(stages: Stages, shard: Shard) -> str:
    target = stages.scratch / f"study{shard.number}{stages.film.encoding.part_suffix}"
    return render_shard(stages.film, shard, stages.source, stages.job.engine_spec, target).frames_sha256


def precision(film: str, styles: Sequence[str]) -> None:
    """PSNR of the change against fp32 as the survey decides, in light, faded and dark."""
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
    parts = picture.split(1, 1)
    look, fidelity = _as_run(*find_style(style), kind, parts, parts)
    return f"{fidelity:.1f} dB ({look.precision})"


@torch.inference_mode()
def published(data: str) -> None:
    """PSNR of published networks in bf16 against fp32: as a shot's survey runs them, and by torch's autocast.

    Ours on frame 6 after a survey of frame 0, autocast with each frame's own statistics, as it is used.
    """
    clips = {name: load_clip(Path(data), name).rgb for name in CLIPS}
    for weights in sorted(Path(data, "checkpoints/pytorch_examples_nc").glob("*.pth")):
        pack = import_checkpoint(weights, "imported")
        for clip, frames in clips.items():
            first, later = (frames[place][None].split(1, 1) for place in (0, 6))
            look, ours = _as_run(pack, "imported", "bf16", first, later)
            kept = f"{look.precision}, {look.exact_layers} layers exact"
            theirs = _autocast(pack, frames[6][None])
            print(f"{weights.stem:<18}{clip:<9}{ours:6.1f} dB ({kept})  autocast {theirs:.1f} dB", flush=True)


def _as_run(
    pack: StylePack, style: str, kind: str, first: Sequence[Tensor], later: Sequence[Tensor]
) -> tuple[Look, float]:
    """What a survey of one frame decides, and PSNR of another's change against that of fp32."""
    made, looks = [], []
    for precision in (kind, EXACT):
        stylizer = Stylizer(pack, style, YuvFormat(RGB, True, 1, 1), EngineSpec(precision=precision))
        looks.append(stylizer.survey_parts([first]).at(0))
        made.append(torch.cat(stylizer.change(later, looks[-1]), 1))
    return looks[0], _psnr(*made)


def _autocast(pack: StylePack, rgb: Tensor) -> float:
    def painted() -> Tensor:
        return pack.network(rgb, LiveNorm(pack.vectors["imported"][None], pack.prior))

    with torch.autocast("cpu", torch.bfloat16):
        few = painted().float()
    return _psnr(few, painted())


def _psnr(made: Tensor, exact: Tensor) -> float:
    """`inf` for what is painted in fp32 anyway."""
    error = float((made - exact).square().mean())
    return -10 * math.log10(error) if error else math.inf


def memory(film: str, width_px: int) -> None:
    """Peak of the largest process that renders half a minute and ten minutes of a film, made so wide."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1", "-i", film, "-an"]
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (30, 600):
            source = f"{folder}/{seconds}.mp4"
            small = ["-t", str(seconds), "-vf", f"scale={width_px}:-2", "-preset", "ultrafast", source]
            subprocess.run([*ffmpeg, *small], check=True)
            command = [sys.executable, "-m", "pipelines", "render", source, f"{folder}/{seconds}.out.mp4"]
            print(f"{seconds:4} s of film: {_peak_mb(command)} MB", flush=True)


def _peak_mb(command: Sequence[str]) -> int:
    """The most that a command's process held. A small one waits for it: from here, ours would count."""
    wait = "import os, subprocess, sys; done = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0); "
    tell = "print(done[2].ru_maxrss // 1024); sys.exit(done[1] != 0)"
    told = subprocess.run([sys.executable, "-c", wait + tell, *command], check=True, stdout=subprocess.PIPE)
    return int(told.stdout.split()[-1])


def cap(film: str) -> None:
    """Peak of the largest process that renders 4K without a limit and with some; how far frames differ."""
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/4k.mp4"
        large = ["-frames:v", "24", "-vf", "scale=3840:2160", "-preset", "ultrafast", source]
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", film, "-an", *large], check=True
        )
        for limit in ("", "3GiB", "2GiB"):
            output = f"{folder}/{limit or 'free'}.mp4"
            command = [sys.executable, "-m", "pipelines", "render", source, output, "--lossless"]
            used = _peak_mb([*command, "--memory", limit] if limit else command)
            print(f"{limit or 'no limit':8}: {used} MB, {_apart(f'{folder}/free.mp4', output)} codes off")


def _apart(first: str, second: str) -> int:
    """The largest difference of two films' codes."""
    with av.open(first) as one, av.open(second) as other:
        pairs = zip(one.decode(video=0), other.decode(video=0), strict=True)
        return max(int(abs(a.to_ndarray().astype(int) - b.to_ndarray()).max()) for a, b in pairs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "question", choices=["shards", "busy", "alike", "precision", "published", "memory", "cap"]
    )
    parser.add_argument("film")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--styles", default="starry-night,great-wave,kandinsky,seurat,gris")
    asked = parser.parse_args()
    if asked.question == "shards":
        shards(str(Path(asked.film).absolute()), asked.frames)
        _cores()
    elif asked.question == "busy":
        with _neighbour():
            shards(str(Path(asked.film).absolute()), asked.frames)
    elif asked.question == "alike":
        alike(str(Path(asked.film).absolute()), asked.frames)
    elif asked.question == "published":
        published(asked.film)
    elif asked.question == "memory":
        memory(str(Path(asked.film).absolute()), asked.width)
    elif asked.question == "cap":
        cap(str(Path(asked.film).absolute()))
    else:
        precision(str(Path(asked.film).absolute()), asked.styles.split(","))
