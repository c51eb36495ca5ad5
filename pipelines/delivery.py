"""What is delivered, a film in one file or a folder of pictures: made from the parts, proved, measured."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines import attempts, manifest, publications
from pipelines.belongings import DELIVERY
from pipelines.credentials import hide_secrets
from pipelines.disk import PARTIAL
from pipelines.errors import UsageError
from pipelines.indexed import source_key
from pipelines.jobs import TitleJob
from pipelines.media.assemble import PartFile, assemble
from pipelines.media.conform import ConformReport, conform
from pipelines.media.pictures import index_name, is_left_by_systems, is_of_delivery, is_sequence
from pipelines.media.prove_pictures import conform_pictures
from pipelines.places import local_file
from pipelines.prepare import FilmPlan
from pipelines.sequence import write_sequence
from pipelines.sources import find_files
from pipelines.storage import split_url
from pipelines.work import Work
from stylecore.digest import file_sha256


def refuse_occupied(job: TitleJob) -> None:
    """Raise if what is in a delivery's place cannot be replaced by it."""
    place = local_file(job.place)
    if is_sequence(job.output):
        if place is not None and place.is_file():
            raise UsageError(f"{place}: is a file, and pictures need a folder; name another output")
        _refuse_foreign_folder(job)
    elif place is not None and place.is_dir():
        raise UsageError(f"{place}: is a folder; name the film, such as {place}/{Path(job.source).name}")


def _refuse_foreign_folder(job: TitleJob) -> None:
    """Raise if the folder that pictures are to fill, and whose content they replace, holds anything else."""
    store, name = split_url(job.place)
    index = f"{name}/{index_name(job.output)}"
    ours = any(store.size(known) is not None for known in (index, f"{index}{PARTIAL}"))
    held = (found.rpartition("/")[2] for found in store.names(name))
    foreign = [each for each in held if not is_left_by_systems(each)]
    if ours:
        foreign = [each for each in foreign if not is_of_delivery(job.output, each)]
    if foreign:
        place, pattern = hide_secrets(job.place), job.output.rpartition("/")[2]
        raise UsageError(
            f"{place}: holds {foreign[0]}, and pictures need a folder of their own; "
            f"move it away, or name the output {place}/frames/{pattern}"
        )


def refuse_unwritable(job: TitleJob) -> None:
    """Raise now what would otherwise be raised after hours of work."""
    refuse_occupied(job)
    split_url(job.place)[0].refuse_unwritable()


def assemble_delivery(film: FilmPlan, parts: Sequence[PartFile], source: Path, target: Path) -> None:
    """Join the parts with everything else of the source; not yet proved."""
    if film.pictures:
        write_sequence(film, film.pictures, parts, source, target)
        return
    assemble(parts, film.original(source), target)


def conform_delivery(
    film: FilmPlan, parts: Sequence[PartFile], packet_crcs: Sequence[int], source: Path, delivery: Path
) -> ConformReport:
    """Prove a delivery against the source and what was rendered."""
    original = film.original(source)
    if film.pictures:
        return conform_pictures(delivery, film.pictures, parts, film.encoding, original)
    return conform(delivery, original, packet_crcs)


def fetch_delivered(job: TitleJob, film: FilmPlan, frames: Sequence[int], folder: Path) -> list[Path]:
    """What was published, on this machine: the film, or the pictures of some of its frames."""
    store, name = split_url(job.place)
    if film.pictures is None:
        return [store.fetch(name, folder)]
    return [store.fetch(f"{name}/{film.pictures.name(frame)}", folder) for frame in frames]


@dataclass(frozen=True)
class Published:
    """What is known of a delivery in its place."""

    sha256: str
    bytes: int
    mark: str
    """What its store tells of it; see `_mark`."""


def publish_delivery(job: TitleJob, film: FilmPlan, delivery: Path) -> Published:
    """Put a proved delivery in its place."""
    refuse_occupied(job)  # somebody may have put something there during hours of work
    sha256, size = fingerprint(delivery)
    store, name = split_url(job.place)
    if film.pictures:
        store.publish_folder(delivery, name, last=film.pictures.index_name)
    else:
        publications.note(job, sha256, size)
        store.publish(delivery, name, stage="publish")
    return Published(sha256, size, _mark(job))


def stands(job: TitleJob, facts: Mapping[str, Any]) -> bool:
    """Whether what was published is there and whole: by its hash here, elsewhere by its store's mark."""
    store, name = split_url(job.place)
    folder = store.local_folder()
    if folder is None:
        return bool(facts.get("mark")) and facts["mark"] == _mark(job)
    return store.size(name) is not None and fingerprint(folder / name) == (facts["sha256"], facts["bytes"])


def standing(job: TitleJob, work: Work, film: FilmPlan, source: Path) -> dict[str, Any] | None:
    """The facts of the delivery, if it is there, whole and of this plan and source.

    A plan is about pictures: a film with another sound has the same, and is assembled anew.
    """
    facts = manifest.load_json(work.store, DELIVERY)
    if facts is None or facts["plan"] != film.key or facts["output"] != hide_secrets(job.output):
        return None
    if facts.get("source_key") != source_key(source):
        return None
    if not stands(job, facts):
        return None
    if not manifest.plan_stands(work.store, film.key):
        return None
    if not attempts.finished(work.store).keys() >= set(film.shard_keys):
        return None
    return facts


def _mark(job: TitleJob) -> str:
    """Another one whenever any file of a delivery elsewhere is replaced; empty if its store cannot tell."""
    found = [] if split_url(job.place)[0].local_folder() else find_files(job.place)
    if not found or not all(file.told for file in found):
        return ""
    return hashlib.sha256("\n".join(f"{file.url} {file.version}" for file in found).encode()).hexdigest()


def fingerprint(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes of a file; of a folder, over its files by name."""
    if path.is_file():
        return file_sha256(path), path.stat().st_size
    digest, size = hashlib.sha256(), 0
    for file in sorted(path.iterdir()):
        if is_left_by_systems(file.name) or not file.is_file():
            continue
        digest.update(f"{file.name} {file_sha256(file)}\n".encode())
        size += file.stat().st_size
    return digest.hexdigest(), size


def describe_delivery(
    job: TitleJob, film: FilmPlan, report: ConformReport, published: Published, rendered: int
) -> dict[str, Any]:
    """Everything proved about a delivery, as plain values."""
    timeline, window = film.excerpt
    return {
        "output": hide_secrets(job.output),
        "work": hide_secrets(job.work),
        "plan": film.key,
        **asdict(published),
        "frames": report.frames,
        "frames_lost": len(timeline) - report.frames,
        "worst_frame_error_ms": float(report.worst_error_seconds * 1000),
        "shift_ms": float((report.shift_seconds - (0 if window.cuts else window.origin)) * 1000),
        "seconds": float(timeline.duration),
        "shots": len(film.shots),
        "shards": len(film.shards),
        "shards_rendered": rendered,
        "styles": sorted({style.style for style in film.styles}),
        "chapters": report.chapters,
        "tags_missing": list(report.tags_missing),
        "notes": list(film.notes),
        "tracks": [
            {
                "track": proof.index,
                "kind": proof.kind,
                "codec": proof.codec,
                "language": proof.language,
                "action": proof.action,
                "reason": proof.reason,
                "packets": proof.packets,
                "payload_equal": proof.payload_equal,
                "worst_error_ms": float(proof.worst_error_seconds * 1000),
            }
            for proof in report.tracks
        ],
    }
