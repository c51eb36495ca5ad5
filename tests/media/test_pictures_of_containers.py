"""Pictures in containers: pixels keep their shape, and those beside the film are carried as they are."""

import struct
from fractions import Fraction

import av
import pytest
from conftest import ffmpeg, index_film
from drawn import delivered, rendered

from pipelines.errors import ConformError
from pipelines.media.codecs import CODECS
from pipelines.media.conform import conform
from pipelines.media.encoding import make_encoding
from pipelines.media.fitting import EncodeSpec
from pipelines.media.original import Original
from pipelines.media.probe import probe


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Three frames, whose pixels are not square."""
    folder = tmp_path_factory.mktemp("wide")
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=24:duration=0.125,setsar=16/11,format=yuv420p"),
        *("-c:v", "libx264", str(folder / "wide.mp4")),
    )
    return folder / "wide.mp4"


@pytest.mark.parametrize(
    ("codec", "suffix"), [(name, suffix) for name, codec in CODECS.items() for suffix in codec.suffixes]
)
def test_every_codec_goes_into_its_containers_with_the_shape_of_pixels(wide, tmp_path, codec, suffix):
    target, report = delivered(wide.parent, wide.name, suffix, tmp_path, codec=codec)
    info, index, _ = index_film(wide)
    notes = make_encoding(EncodeSpec(codec), info, index.timeline, suffix).notes
    told_of = f"{codec} in mkv does not say that pixels are 16/11 as wide as high" in notes
    assert report.frames == 3 and (probe(target).sample_aspect == Fraction(16, 11)) != told_of


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_apples_players_take_the_h265_of_every_picture(wide, tmp_path, suffix):
    small = ["-f", "lavfi", "-i", "testsrc2=size=32x32:rate=24:duration=0.125", "-map", "0", "-map", "1"]
    coded = ["-c:v", "libx265", "-x265-params", "log-level=none", "-disposition:v:1", "0"]
    ffmpeg("-i", str(wide), *small, *coded, str(tmp_path / "two.mkv"))
    target, _ = delivered(tmp_path, "two.mkv", suffix, tmp_path, codec="h265")
    with av.open(str(target)) as made:
        assert [stream.codec_context.codec_tag for stream in made.streams] == ["hvc1", "hvc1"]


@pytest.mark.parametrize(
    ("coded", "suffix", "name", "tag"),
    [
        (["-c:v:1", "libtheora"], ".mkv", "theora", ""),
        (["-c:v:1", "libsvtav1"], ".mp4", "libdav1d", "av01"),
        (["-c:v:1", "prores_ks", "-profile:v:1", "3"], ".mov", "prores", "apch"),
        (["-c:v:1", "prores_ks", "-profile:v:1", "4"], ".mov", "prores", "ap4h"),
        (["-c:v:1", "prores_ks", "-profile:v:1", "4"], ".mkv", "prores", "ap4h"),
    ],
)
def test_another_picture_is_carried_as_it_is(wide, tmp_path, coded, suffix, name, tag):
    ffmpeg(
        *("-i", str(wide), "-map", "0", "-map", "0", "-c:v:0", "copy", *coded),
        *("-disposition:v:1", "0", str(tmp_path / f"two{suffix}")),
    )
    target, report = delivered(tmp_path, f"two{suffix}", suffix, tmp_path)
    assert [proof.payload_equal for proof in report.tracks] == [True]
    with av.open(str(target)) as made:
        other = made.streams.video[1]
        assert other.codec_context.name == name and other.codec_context.codec_tag.strip("\0") == tag
        assert suffix == ".mkv" or other.sample_aspect_ratio == Fraction(16, 11)


def test_another_shape_of_pixels_is_found_out(wide, tmp_path):
    target, source, info, index, crcs, fates, _ = rendered(
        wide.parent, wide.name, ".mov", tmp_path, EncodeSpec("prores")
    )
    shape = b"pasp" + struct.pack(">II", 16, 11)
    assert target.read_bytes().count(shape) == 1
    target.write_bytes(target.read_bytes().replace(shape, b"pasp" + struct.pack(">II", 15, 11)))
    with pytest.raises(ConformError, match="pixels are 15/11 as wide as high, 16/11 in the source"):
        conform(target, Original(source, info, index.timeline, fates), crcs)


def test_pixels_of_which_no_shape_is_told_are_given_none(wide, tmp_path):
    film = tmp_path / "untold.mkv"
    ffmpeg("-i", str(wide), "-vf", "setsar=0", "-c:v", "ffv1", str(film))
    target, report = delivered(tmp_path, film.name, ".mp4", tmp_path)
    assert report.frames == 3 and probe(film).sample_aspect == probe(target).sample_aspect == 0
