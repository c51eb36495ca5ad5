"""Checks that a command's outputs are writable and overwrite none of its inputs."""

from collections.abc import Iterable, Sequence
from itertools import chain

from pipelines.belongings import OURS
from pipelines.credentials import hide_secrets
from pipelines.errors import UsageError
from pipelines.jobs import TitleJob
from pipelines.media.pictures import is_sequence
from pipelines.places import absolute_url, local_file
from pipelines.storage import split_url
from stylecore.catalog import is_pack, style_files


def refuse_overwriting(outputs: Sequence[str], inputs: Iterable[str]) -> None:
    """Raise if an output is an input, or another output, by whatever name."""
    taken = [place for place in inputs if place]
    for output in outputs:
        for other in taken:
            if _is_same(absolute_url(output), absolute_url(other)):
                raise UsageError(
                    f"{output}: is {other} itself, which this command reads or writes too; name another"
                )
        taken.append(output)


def refuse_among_pictures(job: TitleJob, what: str, place: str) -> None:
    """Raise if something to be kept lies in the folder that pictures fill, and whose content they replace."""
    if is_sequence(job.output) and _is_within(place, job.place):
        raise UsageError(
            f"{what} {hide_secrets(place)}: lies in {hide_secrets(job.place)}, whose content the pictures "
            "replace; choose a place outside of it"
        )


def refuse_work_in_film(job: TitleJob) -> None:
    """Raise if the work is to be where the film itself is to be, or below it."""
    if not is_sequence(job.output) and _is_within(job.work, job.output):
        raise UsageError(
            f"work {hide_secrets(job.work)}: is in the place of the film {hide_secrets(job.output)}; "
            "name another folder, or leave it out"
        )


def refuse_in_work(job: TitleJob) -> None:
    """Raise if what a job reads or delivers lies in a folder of its work, with which it would be removed."""
    for place in (job.place, *filter(None, inputs_of(job))):
        for name in OURS:
            if _is_within(place, f"{job.work}/{name}"):
                raise UsageError(
                    f"{hide_secrets(place)}: lies in {hide_secrets(job.work)}/{name}, which is stylereel's "
                    "own and is removed by `clean`; choose another place for the work"
                )


def check_pack_place(out: str, inputs: Iterable[str]) -> None:
    """Raise unless a style pack made of these inputs can be written there, and be asked for by that name."""
    if not is_pack(out):
        raise UsageError(f"--out {out}: a style pack is called NAME.safetensors")
    if "://" in out:
        raise UsageError(
            f"--out {out}: packs are written to a disk of this machine; copy it there afterwards"
        )
    check_place(out, inputs)


def check_place(out: str, inputs: Iterable[str]) -> None:
    """Raise unless a file made of these inputs can be written there."""
    refuse_overwriting([out], inputs)
    split_url(absolute_url(out))[0].refuse_unwritable()


def inputs_of(job: TitleJob) -> list[str]:
    """Every file that a job names to be read."""
    looks = (job, *job.looks)
    styles = [*(look.style for look in looks), *(key.style or "" for key in job.key_frames)]
    return [job.source, *(look.matte for look in looks), *chain.from_iterable(map(style_files, styles))]


def _is_same(one: str, other: str) -> bool:
    """Whether two places are one, by whatever names: links, `..` and URLs of files."""
    first, second = local_file(one), local_file(other)
    if first is None or second is None:
        return one == other
    there = first.exists() and second.exists()
    return first.samefile(second) if there else first.resolve() == second.resolve()


def _is_within(place: str, folder: str) -> bool:
    """Whether a place is a folder or lies below it."""
    inner, outer = local_file(place), local_file(folder)
    if inner is None or outer is None:
        return f"{place.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
    return inner.resolve().is_relative_to(outer.resolve())
