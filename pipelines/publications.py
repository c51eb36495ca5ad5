"""Films on their way into their place: what a run that is killed there leaves is known for its own.

Without a note, a film in its place and no delivery.json beside it would be an original to a season.
"""

from pipelines.belongings import PUBLISHING
from pipelines.credentials import hide_secrets
from pipelines.indexed import source_key
from pipelines.jobs import TitleJob
from pipelines.manifest import load_json, save_json
from pipelines.storage import Store, split_url


def note(job: TitleJob, sha256: str, size: int) -> None:
    """Before a film moves; one note for each, since a killed run may follow another."""
    facts = {"output": hide_secrets(job.output), "sha256": sha256, "bytes": size}
    save_json(Store(job.work), f"{PUBLISHING}/{sha256[:16]}.json", facts)


def forget(job: TitleJob) -> None:
    """After the delivery's facts are stored: they tell from now on."""
    Store(job.work).remove(PUBLISHING)


def is_noted(job: TitleJob) -> bool:
    """Whether the film in a delivery's place is one of these: by its size, and on this disk by its hash."""
    (store, name), work = split_url(job.place), Store(job.work)
    folder, size = store.local_folder(), store.size(name)
    for facts in (load_json(work, noted) for noted in work.names(PUBLISHING)):
        if facts is None or (facts["output"], facts["bytes"]) != (hide_secrets(job.output), size):
            continue
        if folder is None or facts["sha256"].startswith(source_key(folder / name)):
            return True
    return False
