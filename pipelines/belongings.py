"""What stylereel puts into a work folder, by name: told apart from what is somebody else's there."""

import re
from collections.abc import Iterator

from pipelines.credentials import hide_secrets
from pipelines.errors import UsageError
from pipelines.media.pictures import is_left_by_systems
from pipelines.storage import Store

_EARLY = {
    "index": re.compile(r"[0-9a-f]{16}"),
    "plan": re.compile(r"[0-9a-f]{16}"),
    "calibration": re.compile(r".+-[0-9a-f]{12}\.parquet"),
}
"""Folders that `plan`, or a run that was killed early, leaves without a job; and the names in them."""
PUBLISHING = "publishing"
"""Folder of notes on films on their way into their place."""
_LATE = ("claims", "results", "snapshots", "parts", "steadiness", "withdrawals", PUBLISHING)
_NOTHING = re.compile(r"(?!)")
PAGE, SHEET = "report.html", "contact-sheet.jpg"
DELIVERY = "delivery.json"
OURS = (*_EARLY, *_LATE, "scratch", PAGE, SHEET, DELIVERY, "job.json")
"""All names of ours. The job goes last: while anything else is there, it says whose that is."""


def refuse_foreign_work(store: Store) -> None:
    """Raise if a place where no job of ours is yet holds something else under a name of ours."""
    found = next(_foreign(store), None)
    # Asked last: a run elsewhere that begins just now writes its job before anything that would be foreign.
    if found is not None and store.size("job.json") is None:
        raise UsageError(
            f"{hide_secrets(store.url)}: holds {found}, which is not stylereel's but called like it; "
            "choose another place for the work"
        )


def _foreign(store: Store) -> Iterator[str]:
    """What no run of ours has written before its job; see `work` for what lies in the scratch folder."""
    there = {name.strip("/") for name in store.names("")}
    yield from (page for page in (PAGE, SHEET) if page in there)
    for folder in (*_EARLY, *_LATE):
        form = _EARLY.get(folder, _NOTHING)
        for held in store.names(folder) if folder in there else ():
            name = held.rpartition("/")[2]
            if not form.fullmatch(name) and not is_left_by_systems(name):
                yield held
