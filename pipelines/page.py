"""The page of a delivery: its facts, its tracks, and some frames before and after, in one file."""

import base64
import html
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from pipelines import manifest
from pipelines.belongings import DELIVERY, PAGE, SHEET
from pipelines.choice import planned_film
from pipelines.credentials import hide_secrets
from pipelines.delivery import fetch_delivered, stands
from pipelines.errors import UsageError
from pipelines.jobs import TitleJob
from pipelines.places import local_file
from pipelines.prepare import FilmPlan
from pipelines.review import Shown, show_frames, shown_frames, write_sheet
from pipelines.work import Work, find_source


def write_report(job: TitleJob, work: Work, plan: str) -> str:
    """Write the page of the latest delivery, which must be of this plan; its place."""
    facts = manifest.load_json(work.store, DELIVERY)
    if facts is None:
        raise UsageError(f"{hide_secrets(job.work)}: nothing has been delivered from here yet")
    if facts["plan"] != plan or facts["output"] != hide_secrets(job.output):
        raise UsageError(
            f"{hide_secrets(job.work)}: what is planned now is not delivered yet; render it first"
        )
    told = local_file(job.output) is not None or facts.get("mark")  # some stores cannot say
    if told and not stands(job, facts):
        raise UsageError(f"{hide_secrets(job.output)}: is not there as it was delivered; render it again")
    film = planned_film(work, job, plan)
    publish_page(job, work, find_source(job, work), film, facts)
    return page_of(job)


def page_of(job: TitleJob) -> str:
    """The place of a job's page, for people."""
    return hide_secrets(f"{job.work}/{PAGE}")


def publish_page(job: TitleJob, work: Work, source: Path, film: FilmPlan, facts: Mapping[str, Any]) -> None:
    """The page goes last: where it tells of a delivery, the sheet shows it too."""
    fetched = work.scratch / "page"
    delivered = fetch_delivered(job, film, shown_frames(film), fetched)
    page, sheet = work.scratch / PAGE, work.scratch / SHEET
    page.parent.mkdir(parents=True, exist_ok=True)
    shown = show_frames(source, delivered, film)
    write_page(page, shown, facts)
    write_sheet(sheet, shown)
    for made in (sheet, page):
        work.store.publish(made, made.name)
    shutil.rmtree(fetched, ignore_errors=True)


def write_page(path: Path, shown: Sequence[Shown], facts: Mapping[str, Any]) -> None:
    """An HTML page that needs nothing beside it: facts, tracks, and some frames in both films."""
    rows = "".join(
        f"<figure><img src='{_data_url(one.before)}' alt='source'><img src='{_data_url(one.after)}' "
        f"alt='delivery'><figcaption>shot {one.shot.number}, frames {one.shot.frames}, frame {one.frame}"
        "</figcaption></figure>"
        for one in shown
    )
    path.write_text(
        _HTML.format(title=html.escape(Path(facts["output"]).name), facts=_facts_table(facts), rows=rows)
    )


def _data_url(picture: Image.Image) -> str:
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(sink.getvalue()).decode()


def _facts_table(facts: Mapping[str, Any]) -> str:
    lines = [
        ("delivery", facts["output"]),
        ("frames", f"{facts['frames']}, {facts['frames_lost']} lost"),
        ("worst frame time error", f"{facts['worst_frame_error_ms']:.3f} ms"),
        ("shots, shards", f"{facts['shots']}, {facts['shards']}"),
        ("styles", ", ".join(facts["styles"])),
        ("sha256", facts["sha256"]),
    ]
    for track in facts["tracks"]:
        reason = f" ({track['reason']})" if track["reason"] else ""
        what = f"{track['kind']} {track['codec']} {track['language']}".strip()
        lines.append(
            (f"track {track['track']}", f"{what}: {track['action']}{reason}, {track['packets']} packets")
        )
    lines += [("note", note) for note in facts["notes"]]
    return "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in lines)


_HTML = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ background:#141312; color:#e9e4da; font:16px/1.5 Georgia,serif;
       margin:3rem auto; max-width:1180px; padding:0 1rem }}
h1 {{ font-weight:400; letter-spacing:.02em }}
table {{ border-collapse:collapse; margin:1.5rem 0 2.5rem }}
th {{ text-align:left; font-weight:400; color:#a79f90; padding:.2rem 1.5rem .2rem 0; vertical-align:top }}
td {{ word-break:break-all }}
figure {{ display:grid; grid-template-columns:1fr 1fr; gap:8px; margin:0 0 1.6rem }}
img {{ width:100%; border-radius:3px }}
figcaption {{ grid-column:1/3; color:#a79f90; font-size:.85rem }}
</style><h1>{title}</h1><table>{facts}</table>{rows}</html>
"""
