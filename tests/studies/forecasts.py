"""How near forecasts come: calibrate on 1 % of a film, render all of it, compare.

    python tests/studies/forecasts.py noir FILM... [--clock wall] [--device cuda:0]

On a loaded machine wall time says little, so the clock shows seconds of processor time, of this process and
all it started, unless the wall's is asked for.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from pipelines import calibration, render
from pipelines.config import make_job
from pipelines.cores import painting_threads
from pipelines.device import resolve_device
from pipelines.forecast import forecast
from pipelines.plan import Shard
from pipelines.work import load_film, open_work


def processor_seconds() -> float:
    """Of this process and all it started, so far."""
    return time.process_time() + sum(_of_process(child) for child in _children("self"))


def _of_process(name: str) -> float:
    """Of a process, those it has started, and those that have ended."""
    try:
        fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        children = _children(name)
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + sum(map(_of_process, children))


def _children(name: str) -> list[str]:
    files = Path(f"/proc/{name}/task").glob("*/children")
    return [child for file in files for child in file.read_text().split()]


CLOCKS: dict[str, Callable[[], float]] = {"processor": processor_seconds, "wall": time.perf_counter}


def compare(source: Path, style: str, device: str, clock: Callable[[], float]) -> str:
    """One line of figures, as a clock shows them."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"source": str(source), "output": f"{folder}/out.mp4", "work": f"{folder}/work"}
        job = resolve_device(make_job({**places, "style": style, "device": device}))
        work = open_work(job.work)
        film = load_film(job, work, source)
        render.time = calibration.time = SimpleNamespace(perf_counter=clock, monotonic=time.monotonic)
        known = calibration.calibrate(work, film, job, source)
        told = forecast(film, [shard.number for shard in film.shards], known, 0, source.stat().st_size)

        def rendered(shard: Shard) -> int:
            part = Path(folder) / f"{shard.number}{film.encoding.part_suffix}"
            render.render_shard(film, shard, source, job.engine_spec, part)
            return part.stat().st_size

        with painting_threads(known[0].at_once) as pool:
            began = clock()
            size = sum(pool.map(rendered, film.shards))
            actual = clock() - began
    return (
        f"{source.name:36} {style:12} {clock.__name__:17} {len(film.frames):4} frames, "
        f"{known[0].frames} painted to learn; {told.seconds:7.1f} s forecast, {actual:7.1f} s actual, "
        f"{told.seconds / actual - 1:+6.1%}; bytes {told.part_bytes / size - 1:+6.1%}\n    {known[0]}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("style")
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=CLOCKS, default="processor")
    wanted = parser.parse_args()
    for film_path in wanted.films:
        print(compare(film_path, wanted.style, wanted.device, CLOCKS[wanted.clock]), flush=True)
