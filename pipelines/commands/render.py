"""`stylereel render`."""

from pathlib import Path
from typing import Any

import click

from pipelines.batches import Pool
from pipelines.commands.common import console, json_option, print_result, style_options
from pipelines.config import load_job_file, make_job
from pipelines.device import with_device
from pipelines.display import Display
from pipelines.errors import UsageError
from pipelines.flows.run import run_title
from pipelines.jobs import TitleJob

JOB_SUFFIXES = (".yaml", ".yml")


def job_from_arguments(
    source: str, output: str | None, options: dict[str, Any], pool: str | None = None
) -> TitleJob:
    """A job from SOURCE OUTPUT and options, or from a job file; for this machine, or for a pool's."""
    if source.endswith(JOB_SUFFIXES):
        return with_device(load_job_file(Path(source), {**options, "output": output}), pool)
    if output is None:
        raise UsageError("say where the film should go: stylereel render SOURCE OUTPUT")
    return with_device(make_job({"source": source, "output": output, **options}), pool)


@click.command()
@click.argument("source")
@click.argument("output", required=False)
@style_options
@click.option(
    "--pool", metavar="NAME", help="Let the workers of a Prefect work pool paint; they see all places."
)
@json_option
def render(source: str, output: str | None, pool: str | None, as_json: bool, **options: Any) -> None:
    """Repaint SOURCE (a film or a job file) into OUTPUT. The same command again continues.

    Example: stylereel render film.mp4 painted.mp4 --style starry-night
    """
    job = job_from_arguments(source, output, options, pool)
    with Display(console()):
        facts = run_title(job, pool=Pool(pool) if pool else None)
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
