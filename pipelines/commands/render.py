"""`stylereel render` and `stylereel plan`."""

from pathlib import Path
from typing import Any

import click

from pipelines.commands.common import console, json_option, print_result, style_options
from pipelines.config import TitleJob, cache_folder, load_job_file, make_job
from pipelines.delivery import refuse_foreign_folder
from pipelines.device import resolve_device
from pipelines.display import Display
from pipelines.errors import UsageError
from pipelines.flows.run import run_title
from pipelines.looks import check_styles
from pipelines.prepare import FilmPlan
from pipelines.storage import free_bytes
from pipelines.work import find_source, load_film, open_work, pending

_JOB_SUFFIXES = (".yaml", ".yml")


def job_from_arguments(source: str, output: str | None, options: dict[str, Any]) -> TitleJob:
    """A job from SOURCE OUTPUT and options, or from a job file."""
    if source.endswith(_JOB_SUFFIXES):
        return resolve_device(load_job_file(Path(source), {**options, "output": output}))
    if output is None:
        raise UsageError("say where the film should go: stylereel render SOURCE OUTPUT")
    return resolve_device(make_job({"source": source, "output": output, **options}))


@click.command()
@click.argument("source")
@click.argument("output", required=False)
@style_options
@json_option
def render(source: str, output: str | None, as_json: bool, **options: Any) -> None:
    """Repaint SOURCE (a film or a job file) into OUTPUT. The same command again continues.

    Example: stylereel render film.mp4 painted.mp4 --style starry-night
    """
    job = job_from_arguments(source, output, options)
    with Display(console()):
        facts = run_title(job)
    print_result(facts, delivery_lines(facts), as_json)


def delivery_lines(facts: dict[str, Any]) -> list[str]:
    """What was made and proved, for people."""
    lines = [
        f"{facts['output']}",
        f"  {facts['frames']} frames, {facts['frames_lost']} lost, "
        f"worst time error {facts['worst_frame_error_ms']:.3f} ms; "
        f"{facts['shards_rendered']} of {facts['shards']} shards rendered now",
    ]
    for track in facts["tracks"]:
        reason = f" ({track['reason']})" if track["reason"] else ""
        name = " ".join(part for part in (track["kind"], track["codec"], track["language"]) if part)
        lines.append(f"  track {track['track']} {name}: {track['action']}{reason}")
    lines += [f"  note: {note}" for note in facts["notes"]]
    if facts["tags_missing"]:
        lines.append(f"  tags the container does not hold: {', '.join(facts['tags_missing'])}")
    return [*lines, f"report: {facts['report']}"]


@click.command()
@click.argument("source")
@click.argument("output", required=False)
@style_options
@json_option
def plan(source: str, output: str | None, as_json: bool, **options: Any) -> None:
    """Say what rendering SOURCE would do, or refuse what would fail. Renders nothing.

    Example: stylereel plan film.mkv painted.mkv --style scream
    """
    if output is None and not source.endswith(_JOB_SUFFIXES):
        # Nothing is to be left beside the source; the index is worth keeping all the same.
        output = f"{Path(source).stem}-stylized.mkv"
        options["work"] = options["work"] or str(cache_folder() / "plans" / Path(source).stem)
    job = job_from_arguments(source, output, options)
    check_styles(job)
    refuse_foreign_folder(job)
    work = open_work(job.work)
    with Display(console()):
        film = load_film(job, work, find_source(job, work))
        left = pending(work, film)
    facts = plan_facts(job, film, left)
    print_result(facts, _plan_lines(facts), as_json)


def plan_facts(job: TitleJob, film: FilmPlan, left: list[int]) -> dict[str, Any]:
    """A plan as plain values."""
    info, (timeline, _) = film.info, film.excerpt
    folder = open_work(job.work).store.local_folder()
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
        "encoder": film.encoding.encoder,
        "notes": list(film.notes),
        "tracks": [
            [fate.track.index, fate.track.kind, fate.track.codec, fate.action, fate.reason]
            for fate in film.fates
        ],
        "disk_free_bytes": free_bytes(folder) if folder else None,
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
    return [*lines, *(f"  shot {number}: frames {start}:{stop}" for number, start, stop in facts["shots"])]
