"""A season: which films it is made of now, and which of them have to be worked on, and why."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from operator import attrgetter
from pathlib import PurePosixPath

from pipelines.belongings import DELIVERY
from pipelines.catalogue import DELIVERED, TitleRun, latest, runs
from pipelines.config import make_job
from pipelines.credentials import hide_secrets
from pipelines.errors import InputError, StylereelError, UsageError
from pipelines.jobs import Season, TitleJob
from pipelines.looks import film_keys, style_digest
from pipelines.manifest import load_json
from pipelines.media.pictures import index_name, is_sequence
from pipelines.overwriting import refuse_among_pictures
from pipelines.places import is_pattern, local_file
from pipelines.publications import is_noted
from pipelines.sources import Found, find_files
from pipelines.storage import Store, split_url
from stylecore.spec import ENGINE_VERSION

FILM_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".vob", ".mxf")
)
_WORK_SUFFIX = ".stylereel"
_MADE = ("parts", "scratch")
"""Folders of a work that hold films."""
_HOW = {"source", "work", "device", "batch", "shard_frames", "at_once"}
"""What a job says of how it is computed; the delivery is the same."""
_PLACES = {"output": attrgetter("place"), "work": attrgetter("work")}
"""By option, what a title must have for itself."""


@dataclass(frozen=True)
class Title:
    """One film of a season as it stands: its file and job, or why there is none."""

    source: str
    found: Found | None
    job: TitleJob | None
    fault: StylereelError | None = None
    known_as: str = ""
    """Its source in the catalogue."""
    wish: str = ""
    """Identity of what is asked for: see `identity_of`."""
    due: str = ""
    """Why it has to be worked on; empty when there is nothing to do."""
    last: TitleRun | None = None
    """What became of it the last time."""

    @property
    def name(self) -> str:
        """For people."""
        return hide_secrets(self.source).rpartition("/")[2]

    @property
    def version(self) -> str:
        """Identity of the file as it is now; empty when there is none."""
        return self.found.version if self.found else ""


def take_stock(season: Season, again: bool = False) -> list[Title]:
    """All titles of a season by name, and what is due; with `again`, refused sources too."""
    history = runs(Store(season.catalogue))
    last, places = latest(history), [run.work for run in history if run.work]
    delivered = [run.output for run in history if run.state == DELIVERED]
    titles = [title for title in expand(season, delivered) if not _inside(title.source, places)]
    return [_judged(replace(title, last=last.get(title.known_as)), again) for title in titles]


def expand(season: Season, delivered: Sequence[str] = ()) -> list[Title]:
    """The films that fit the season now, each with its job; what it delivered before is none of them."""
    files: dict[str, Found | None] = {}
    options: dict[str, dict[str, object]] = {}
    for entry in season.titles:
        for url, found in _films(entry.source).items():
            files[url] = found
            options[url] = {**options.get(url, {}), **entry.options}
    titles = _told_apart([_title(season, url, files[url], options[url]) for url in sorted(files)])
    works = [title.job.work for title in titles if title.job]
    made = {_file_of(place) for place in (*delivered, *_noted_deliveries(titles))}
    sources = [
        title for title in titles if _file_of(title.source) not in made and not _inside(title.source, works)
    ]
    originals = {_file_of(title.source): title.source for title in sources}
    return [_refused_if_overwriting(_refused_if_shared(title, sources), originals) for title in sources]


def _noted_deliveries(titles: Sequence[Title]) -> list[str]:
    """Outputs that lie where a title is, and that their work has delivered: by hand, or in another season.

    So is one that a run has put there, and was killed before it could tell of it.
    """
    sources = {_file_of(title.source) for title in titles}
    jobs = [title.job for title in titles if title.job and _file_of(title.job.output) in sources]
    noted = [load_json(Store(job.work), DELIVERY) for job in jobs]
    told = {facts["output"] for facts in noted if facts is not None}
    left = {job.output for job in jobs if job.output not in told and is_noted(job)}
    return sorted(told | left)


def _file_of(url: str) -> str:
    """The same for all names of one file."""
    file = local_file(url)
    return hide_secrets(url) if file is None else str(file.resolve())


def _told_apart(titles: Sequence[Title]) -> list[Title]:
    """Known without their queries, which may be signed anew, unless these alone tell two titles apart."""
    shown = [hide_secrets(title.source) for title in titles]
    times = Counter(shown)
    return [
        replace(title, known_as=name if times[name] == 1 else title.source)
        for title, name in zip(titles, shown, strict=True)
    ]


def _inside(url: str, folders: Sequence[str]) -> bool:
    """Whether a file is what we made in one of the work folders: parts of films are films, and no titles."""
    places = (f"{hide_secrets(folder).rstrip('/')}/{kind}/" for folder in folders for kind in _MADE)
    return hide_secrets(url).startswith(tuple(places))


def _films(place: str) -> dict[str, Found | None]:
    """What an entry names, by URL; a plain file is a title even while it is missing."""
    found = {each.url: each for each in find_files(place)}
    if not found and not is_pattern(place) and _path(place).suffix:
        return {place: None}
    return dict(found) if place in found else {url: found[url] for url in found if _is_film(url, place)}


def _is_film(url: str, entry: str) -> bool:
    """Whether it is a film, and neither ours nor hidden below the folder that the entry names."""
    path = _path(url)
    named = list(takewhile(lambda part: not is_pattern(part), _path(entry).parts))
    hidden = any(part.startswith(".") for part in path.parts[len(named) :])
    ours = any(part.endswith(_WORK_SUFFIX) for part in path.parts)
    return path.suffix.lower() in FILM_SUFFIXES and not (hidden or ours)


def _path(url: str) -> PurePosixPath:
    return PurePosixPath(hide_secrets(url))


def _title(season: Season, url: str, found: Found | None, options: Mapping[str, object]) -> Title:
    wish = {"output": season.output, **season.options, **options}
    places = {name: _filled(str(wish[name]), url) for name in ("output", "work") if wish.get(name)}
    try:
        job = make_job({**wish, **places, "source": url})
        refuse_among_pictures(job, "catalogue", season.catalogue)
        return Title(url, found, job)
    except StylereelError as fault:
        return Title(url, found, None, fault)


def _filled(pattern: str, url: str) -> str:
    """A pattern for one title."""
    path = _path(url)
    values = {"stem": path.stem, "folder": path.parent.name}

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UsageError(f"{pattern}: {match[0]} is unknown; there are {{stem}} and {{folder}}")
        return values[match[1]]

    return re.sub(r"\{(\w*)\}", value, pattern)


def _refused_if_shared(title: Title, titles: Sequence[Title]) -> Title:
    """Two titles in one place would overwrite each other, or each other's parts: both are refused."""
    if title.job is None:
        return title
    for option, place_of in _PLACES.items():
        place = place_of(title.job)
        others = [one.name for one in titles if one.job and one is not title and place_of(one.job) == place]
        if others:
            told = f"{others[0]} would go there too; put {{folder}} or {{stem}} into `{option}:` or name one"
            return replace(title, job=None, fault=UsageError(f"{hide_secrets(place)}: {told}"))
    return title


def _refused_if_overwriting(title: Title, originals: Mapping[str, str]) -> Title:
    """A film that no title was delivered to is an original, by its file; no title takes its place."""
    original = originals.get(_file_of(title.job.output)) if title.job else None
    if original is None:
        return title
    told = "is a film of this season and no delivery of it; give `output:` another name, or move it away"
    return replace(title, job=None, fault=UsageError(f"{hide_secrets(original)}: {told}"))


def identity_of(job: TitleJob) -> str:
    """Identity of everything a delivery depends on but its source: looks with their weights, engine, form."""
    facts = job.model_dump(exclude=_HOW)
    digests = [style_digest(look.style) for look in (job, *job.looks)]
    digests += [key.style_digest for key in film_keys(job)]
    mattes = [[found.version for found in find_files(look.matte)] for look in (job, *job.looks) if look.matte]
    text = json.dumps([facts, digests, mattes, ENGINE_VERSION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _judged(title: Title, again: bool) -> Title:
    """The title with the identity of its job, and the reason why it is due."""
    try:
        title = replace(title, wish=identity_of(title.job) if title.job else "")
    except StylereelError as fault:
        title = replace(title, job=None, fault=fault)
    return replace(title, due=_due(title, again))


def _due(title: Title, again: bool) -> str:
    last, job = title.last, title.job
    if last is None:
        return "new"
    if job is None:
        return "failed before"
    if title.version != last.source_version:
        return "source changed"
    if title.wish != last.wish:
        return "look changed"
    if last.state == DELIVERED:
        return "" if _stands(job, last) else "delivery is gone"
    # The file itself was refused: only another file, another wish or a person's word changes that.
    refused = last.error_class == InputError.__name__ and title.found is not None
    return "" if refused and not again else "failed before"


def _stands(job: TitleJob, last: TitleRun) -> bool:
    """Whether what was delivered is still there, or what its work has made of it since: shots anew."""
    store, name = split_url(job.place)
    if is_sequence(job.output):
        return store.size(f"{name}/{index_name(job.output)}") is not None
    size = store.size(name)
    if size is None or size == last.bytes:
        return size is not None
    facts = load_json(Store(job.work), DELIVERY)
    return facts is not None and (facts["output"], facts["bytes"]) == (hide_secrets(job.output), size)


def has_stopped_growing(
    title: Title, before: Mapping[str, str], now_unix_seconds: float, every_seconds: float
) -> bool:
    """Whether a title's file is whole by now: it was the same a look ago, or was written long before.

    `before` holds the versions seen a look ago, by source.
    """
    if title.found is None:
        return False
    quiet = 0 < title.found.changed_unix_seconds < now_unix_seconds - every_seconds
    return quiet or before.get(title.source) == title.version
