"""What lies beside the picture travels with it: sound, subtitles, fonts, chapters, tags."""

from pathlib import Path

import av
import pytest
from conftest import ffmpeg
from drawn import rendered

from pipelines.media.conform import conform
from pipelines.media.fitting import EncodeSpec
from pipelines.media.original import Original
from pipelines.media.tracks import CONVERTED, DROPPED, KEPT


@pytest.fixture(scope="module")
def kitchen_sink(media: Path, film: Path) -> Path:
    """Two sounds, SRT and ASS, a font, chapters, tags and languages, in mkv."""
    srt, chapters, font = media / "s.srt", media / "c.txt", media / "font.ttf"
    srt.write_text("1\n00:00:00,500 --> 00:00:01,500\nHello\n\n2\n00:00:02,000 --> 00:00:03,000\nWorld\n")
    chapters.write_text(
        ";FFMETADATA1\ntitle=Sink\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=2000\nEND=4000\ntitle=Two\n"
    )
    font.write_bytes(b"\0\1\0\0" + bytes(200))
    path = media / "sink.mkv"
    ffmpeg(
        "-i",
        str(film),
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=220:duration=4",
        "-i",
        str(srt),
        "-i",
        str(chapters),
        "-attach",
        str(font),
        "-map",
        "0:v",
        "-map",
        "0:a",
        "-map",
        "1:a",
        "-map",
        "2:s",
        "-map",
        "2:s",
        "-map_metadata",
        "3",
        "-map_chapters",
        "3",
        "-c",
        "copy",
        "-c:a:1",
        "ac3",
        "-c:s:0",
        "srt",
        "-c:s:1",
        "ass",
        "-metadata:s:a:0",
        "language=eng",
        "-metadata:s:a:1",
        "language=fra",
        "-metadata:s:a:1",
        "title=Autre",
        "-metadata:s:s:1",
        "language=deu",
        "-disposition:s:1",
        "forced",
        "-metadata:s:t",
        "mimetype=application/x-truetype-font",
        str(path),
    )
    return path


def test_everything_beside_the_picture_is_carried(kitchen_sink, tmp_path):
    target, source, info, index, crcs, fates, _ = rendered(
        kitchen_sink.parent, "sink.mkv", ".mkv", tmp_path, EncodeSpec()
    )
    report = conform(target, Original(source, info, index.timeline, fates), crcs)
    assert [proof.action for proof in report.tracks] == [KEPT] * 5 and report.chapters == 2
    with av.open(str(target)) as made:
        facts = [(s.type, s.language, s.metadata.get("title"), int(s.disposition) & 64) for s in made.streams]
        assert ("audio", "fra", "Autre", 0) in facts and ("subtitle", "deu", None, 64) in facts
        assert made.metadata["title"] == "Sink"
        assert bytes(made.streams.attachments[0].data) == (source.parent / "font.ttf").read_bytes()


def test_another_container_converts_what_it_can_and_names_what_it_drops(kitchen_sink, tmp_path):
    target, source, info, index, crcs, fates, _ = rendered(
        kitchen_sink.parent, "sink.mkv", ".mp4", tmp_path, EncodeSpec()
    )
    report = conform(target, Original(source, info, index.timeline, fates), crcs)
    assert [proof.action for proof in report.tracks] == [KEPT, KEPT, CONVERTED, CONVERTED, DROPPED]
    assert report.tracks[-1].reason == "mp4 has no attachments"
    assert all(proof.payload_equal for proof in report.tracks[:2])
