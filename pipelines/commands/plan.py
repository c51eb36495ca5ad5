"""`stylereel plan`."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import click

from pipelines import attempts
from pipelines.belongings import refuse_foreign_work
from pipelines.calibration import calibrate, calibrations, kind_of
from pipelines.commands.common import console, json_option, print_result, span, style_options
from pipelines.commands.render import JOB_SUFFIXES, job_from_arguments
from pipelines.cores import shards_at_once
from pipelines.credentials import hide_secrets
from pipelines.delivery import refuse_occupied
from pipelines.device_lock import device_turn
from pipelines.display import Display
from pipelines.environment import cache_folder
from pipelines.forecast import Forecast, forecast
from pipelines.jobs import TitleJob
from pipelines.looks import check_styles
from pipelines.prepare import FilmPlan
from pipelines.room import Need, needs, refuse_what_will_not_fit
from pipelines.work import Work, find_source, load_film, open_work, pending


@click.command()
@click.argument("source")
@click.argument("output", required=False)
@style_options
@click.option("--price-per-hour", type=click.FloatRange(min=0), help="Of the machine, to forecast the cost.")
@json_option
def plan(
    source: str, output: str | None, price_per_hour: float | None, as_json: bool, **options: Any
) -> None:
    """Say what rendering SOURCE would do, take and need, or refuse what would fail. Renders nothing.

    A hundredth of the frames at most is painted to learn how long this takes here. That is kept with the
    work: run it once on each kind of machine to compare them.

    Example: stylereel plan film.mkv painted.mkv --style scream --price-per-hour 2.50
    """
    if output is None and not source.endswith(JOB_SUFFIXES):
        # Nothing is to be left beside the source; the index is worth keeping all the same.
        name = Path(hide_secrets(source)).stem
        output = f"{name}-stylized.mkv"
        options["work"] = options["work"] or str(cache_folder() / "plans" / name)
    job = job_from_arguments(source, output, options)
    check_styles(job)
    refuse_occupied(job)
    work = open_work(job.work)
    refuse_foreign_work(work.store)
    with Display(console()):
        path = find_source(job, work)
        film = load_film(job, work, path)
        left = pending(work, film)
        told = _forecasts(job, work, film, path, left)
        disks = needs(job, work, film, left, told[0])
        refuse_what_will_not_fit(disks)
    facts = plan_facts(job, film, left)
    facts["forecasts"] = [_forecast_facts(one, price_per_hour) for one in told]
    facts["disks"] = [{**asdict(need), "folder": str(need.folder)} for need in disks]
    print_result(facts, _plan_lines(facts), as_json)


def _forecasts(
    job: TitleJob, work: Work, film: FilmPlan, source: Path, left: Sequence[int]
) -> list[Forecast]:
    """By class of device: this one first, then the others that this film has been calibrated on."""
    known, mine = calibrations(work, film), kind_of(job.engine_spec)
    here = [row for row in known if row.device_class == mine]
    if {row.at_once for row in here} != {shards_at_once(job, film)}:
        with device_turn(job.device):
            here = calibrate(work, film, job, source)
    elsewhere = sorted((row for row in known if row.device_class != mine), key=attrgetter("device_class"))
    rows = attempts.finished(work.store)
    done = [key for number, key in enumerate(film.shard_keys, start=1) if number not in set(left)]
    finished_bytes = sum(rows[key].part_bytes for key in done)
    return [
        forecast(film, left, list(of_class), finished_bytes, source.stat().st_size)
        for _, of_class in groupby(here + elsewhere, attrgetter("device_class"))
    ]


def _forecast_facts(told: Forecast, price_per_hour: float | None) -> dict[str, Any]:
    cost = None if price_per_hour is None else told.cost(price_per_hour)
    return {**asdict(told), "cost": cost}


def plan_facts(job: TitleJob, film: FilmPlan, left: Sequence[int]) -> dict[str, Any]:
    """A plan as plain values."""
    info, (timeline, _) = film.info, film.excerpt
    return {
        "source": job.source,
        "picture": f"{info.width}x{info.height} {info.pixel_format} {info.codec} in {info.container}",
        "frames": len(film.frames),
        "seconds": float(timeline.duration),
        "mean_rate": str(film.encoding.rate),
        "colour": f"{film.yuv_format.matrix}, {'full' if film.yuv_format.full_range else 'limited'} range",
        "shots": [[shot.number, shot.frames.start, shot.frames.stop] for shot in film.shots],
        "shards": len(film.shards),
        "shards_to_render": len(left),
        "encoder": film.encoding.settings,
        "notes": list(film.notes),
        "tracks": [
            [fate.track.index, fate.track.kind, fate.track.codec, fate.action, fate.reason]
            for fate in film.fates
        ],
        "work": job.work,
    }


def _plan_lines(facts: dict[str, Any]) -> list[str]:
    lines = [
        facts["source"],
        f"  picture: {facts['picture']}, {facts['colour']}",
        f"  {facts['frames']} frames, {facts['seconds']:.3f} s, {facts['mean_rate']} fps on average",
        f"  {len(facts['shots'])} shots, {facts['shards']} shards, {facts['shards_to_render']} to render",
        f"  encoder: {facts['encoder']}",
    ]
    for index, kind, codec, action, reason in facts["tracks"]:
        lines.append(f"  track {index} {kind} {codec}: {action}{f' ({reason})' if reason else ''}")
    lines += [f"  note: {note}" for note in facts["notes"]]
    lines += [f"  shot {number}: frames {start}:{stop}" for number, start, stop in facts["shots"]]
    lines += [_forecast_line(told) for told in facts["forecasts"]]
    return [*lines, *(f"  disk: {Need(**need)}" for need in facts["disks"])]


def _forecast_line(told: dict[str, Any]) -> str:
    cost = "" if told["cost"] is None else f", costs {told['cost']:.2f}"
    return (
        f"  on {told['device_class']}: about {span(told['seconds'])} to render{cost} "
        f"(learnt from {told['calibrated_frames']} frames)"
    )
