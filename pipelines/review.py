"""What a person looks at afterwards: the facts of a delivery, and a page of frames before and after."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
from PIL import Image

from pipelines.config import TitleJob
from pipelines.media.conform import ConformReport
from pipelines.prepare import FilmPlan
from pipelines.storage import hide_secrets
from stylecore.orientation import Orientation

_SHOTS_SHOWN = 12
_PICTURE_WIDTH_PX = 560


def describe_delivery(
    job: TitleJob, film: FilmPlan, report: ConformReport, sha256: str, size: int, rendered: int
) -> dict[str, Any]:
    """Everything proved about a delivery, as plain values."""
    timeline = film.index.timeline
    return {
        "output": hide_secrets(job.output),
        "work": hide_secrets(job.work),
        "plan": film.key,
        "sha256": sha256,
        "bytes": size,
        "frames": report.frames,
        "frames_lost": len(timeline) - report.frames,
        "worst_frame_error_ms": float(report.worst_error_seconds * 1000),
        "shift_ms": float(report.shift_seconds * 1000),
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


def write_page(path: Path, source: Path, delivery: Path, film: FilmPlan, facts: Mapping[str, Any]) -> None:
    """An HTML page that needs nothing beside it: facts, tracks, and one frame of each shot in both films."""
    shots = _spread(film.shots, _SHOTS_SHOWN)
    wanted = [(shot.frames.start + shot.frames.stop) // 2 for shot in shots]
    held = film.yuv_format.orientation
    made = film.index.pictures
    stored = [max(made[frame].known) for frame in wanted] if made else wanted
    before = _pictures(source, film.info.video_index, stored, held)
    after = _pictures(delivery, 0, wanted, held)
    rows = "".join(
        f"<figure><img src='{old}' alt='source'><img src='{new}' alt='delivery'>"
        f"<figcaption>shot {shot.number}, frames {shot.frames}, frame {frame}</figcaption></figure>"
        for shot, frame, old, new in zip(shots, wanted, before, after, strict=True)
    )
    path.write_text(_PAGE.format(title=html.escape(delivery.name), facts=_facts_table(facts), rows=rows))


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    if len(items) <= most:
        return list(items)
    return [items[position * (len(items) - 1) // (most - 1)] for position in range(most)]


def _pictures(path: Path, stream: int, wanted: Sequence[int], held: Orientation) -> list[str]:
    """The frames as data URLs of JPEG pictures, upright."""
    found, left = [], sorted(wanted)
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(container.streams[stream])):
            if left and number == left[0]:
                left.pop(0)
                found.append(_data_url(_upright(frame.to_image(), held)))
            if not left:
                break
    return found


def _upright(picture: Image.Image, held: Orientation) -> Image.Image:
    for needed, turn in (
        (held.transposed, Image.Transpose.TRANSPOSE),
        (held.mirrored_x, Image.Transpose.FLIP_LEFT_RIGHT),
        (held.mirrored_y, Image.Transpose.FLIP_TOP_BOTTOM),
    ):
        picture = picture.transpose(turn) if needed else picture
    return picture


def _data_url(picture: Image.Image) -> str:
    height = round(picture.height * _PICTURE_WIDTH_PX / picture.width)
    small = picture.resize((_PICTURE_WIDTH_PX, height), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    small.save(sink, "JPEG", quality=88)
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


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
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
