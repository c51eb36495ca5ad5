"""Which shots to redo, by number or condition, and the withdrawal of their results."""

from collections.abc import Sequence

from pipelines import attempts, progress
from pipelines.credentials import hide_secrets
from pipelines.errors import UsageError
from pipelines.jobs import TitleJob
from pipelines.prepare import FilmPlan
from pipelines.selection import MEASURED, Piece, columns_of, load_pieces, matching, with_steadiness
from pipelines.steadiness import Steadiness, steadiness_of
from pipelines.timeline import parse_numbers
from pipelines.work import Work, find_source, load_film, lock_work, withdraw


def choose(work: Work, job: TitleJob, plan: str, shots: str | None, where: str | None) -> list[Piece]:
    """The pieces of some shots, those of which a condition is true, or whatever is not done."""
    pieces = load_pieces(work.store, plan)
    if shots:
        return _of_shots(pieces, shots)
    if where:
        if MEASURED & set(columns_of(where)):
            pieces = with_steadiness(pieces, _measured(work, planned_film(work, job, plan), job))
        return matching(pieces, where)
    return [piece for piece in pieces if piece.state != attempts.OK]


def planned_film(work: Work, job: TitleJob, plan: str) -> FilmPlan:
    """The stored plan, from the source; neither it nor any file of the looks must have changed."""
    film = load_film(job, work, find_source(job, work))
    if film.key != plan:
        raise UsageError(
            f"{hide_secrets(job.source)}: the source, a file that its looks name or stylereel itself "
            "has changed since it was planned; run `stylereel render` again"
        )
    return film


def withdraw_chosen(work: Work, job: TitleJob, plan: str, chosen: Sequence[Piece]) -> None:
    """Declare the shards of some pieces void, so that they are rendered again."""
    film = planned_film(work, job, plan)
    with lock_work(work):
        withdraw(work, film, sorted({piece.shard for piece in chosen}))


def _of_shots(pieces: Sequence[Piece], shots: str) -> list[Piece]:
    try:
        numbers = set(parse_numbers(shots))
    except ValueError as err:
        raise UsageError(f"shots: {err}") from err
    unknown = numbers - {piece.shot for piece in pieces}
    if unknown:
        first, last = pieces[0].shot, pieces[-1].shot
        raise UsageError(f"shot {min(unknown)} is not in this film or range; it has shots {first}-{last}")
    return [piece for piece in pieces if piece.shot in numbers]


def _measured(work: Work, film: FilmPlan, job: TitleJob) -> dict[int, list[Steadiness]]:
    """The steadiness of every shot that is done, by shard."""
    source, rows = find_source(job, work), attempts.finished(work.store)
    progress.begin("measure", len(film.shards), unit="shards")
    measured = {}
    for shard, key in zip(film.shards, film.shard_keys, strict=True):
        if key in rows:
            measured[shard.number] = steadiness_of(work, film, shard, rows[key], source)
        progress.advance()
    return measured
