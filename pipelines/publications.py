"""Films on their way into their place: what a run that is killed there leaves is known for its own.

Without a note, a film in its place and no delivery.json beside it would be an original to a season.
"""

import re
from contextlib import suppress

from pipelines.belongings import PUBLISHING
from pipelines.credentials import hide_secrets
from pipelines.errors import StorageError
from pipelines.indexed import source_key
from pipelines.jobs import TitleJob
from pipelines.manifest import load_json, save_json
from pipelines.storage import Store, split_url

_NOTE = re.compile(PUBLISHING + r"/[0-9a-f]{16}\.json")


def note(job: TitleJob, sha256: str, size: int) -> None:
    """Before a film moves; one note for each, since a killed run may follow another."""
    facts = {"output": hide_secrets(job.output), "sha256": sha256, "bytes": size}
    save_json(Store(job.work), f"{PUBLISHING}/{sha256[:16]}.json", facts)


def forget(job: TitleJob) -> None:
    """After the delivery's facts are stored: they tell from now on. What is left is harmless."""
    work = Store(job.work)
    with suppress(StorageError):
        for noted in _notes(work):
            work.remove(noted)
    if folder := work.local_folder():
        with suppress(OSError):
            (folder / PUBLISHING).rmdir()


def is_noted(job: TitleJob) -> bool:
    """Whether the film in a delivery's place is one of these: by its size, and on this disk by its hash."""
    (store, name), work = split_url(job.place), Store(job.work)
    folder, size = store.local_folder(), store.size(name)
    for facts in (load_json(work, noted) for noted in _notes(work)):
        if facts is None or (facts["output"], facts["bytes"]) != (hide_secrets(job.output), size):
            continue
        if folder is None or facts["sha256"].startswith(source_key(folder / name)):
            return True
    return False


def _notes(work: Store) -> list[str]:
    return [name for name in work.names(PUBLISHING) if _NOTE.fullmatch(name)]
