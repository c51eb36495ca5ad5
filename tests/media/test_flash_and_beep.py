"""A flash and a beep each second, on every kind of clock: they stay together to the millisecond."""

from fractions import Fraction

import av
import numpy as np
import pytest
from conftest import ffmpeg
from drawn import X264, rendered

from pipelines.media.fitting import EncodeSpec

SECONDS, RATE_HZ = 3, 48000
TOLERANCE_SECONDS = Fraction(1, 1000)
AAC = ["-c:a", "aac"]
VFR = (
    "settb=1/90000,"
    "setpts='if(lt(N,30),N/24,if(lt(N,60),30/24+(N-30)*1001/30000,30/24+30*1001/30000+(N-60)/60))/TB'"
)
# name -> rate of the picture, options for the source (some after a first copy), and the delivery's container.
CASES = {
    "plain.mp4": ("24", [*X264, *AAC], [], ".mp4"),
    "ntsc.mp4": ("30000/1001", [*X264, *AAC], [], ".mkv"),
    "vfr.mp4": (
        "24",
        ["-vf", VFR, "-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", *X264, *AAC],
        [],
        ".mp4",
    ),
    "broadcast.ts": ("25", ["-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-c:a", "mp2"], [], ".mkv"),
    "stream.ts": ("30000/1001", [*X264, *AAC], [], ".mp4"),
    "editlist.mp4": ("24", [*X264, *AAC], ["-ss", "0.7", "-i", "{}", "-c", "copy"], ".mp4"),
    "edited.mp4": ("24", [*X264, *AAC], ["-ss", "0.7", "-i", "{}", "-c", "copy"], ".mkv"),
    "priming.mkv": ("24", [*X264, *AAC], [], ".mp4"),
    "opus.webm": (
        "25",
        ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"],
        [],
        ".mkv",
    ),
    "late_sound.mp4": (
        "24",
        [*X264, *AAC],
        ["-i", "{}", "-itsoffset", "0.3", "-i", "{}", "-map", "0:v", "-map", "1:a", "-c", "copy"],
        ".mp4",
    ),
    "late_picture.mkv": (
        "24",
        [*X264, *AAC],
        ["-itsoffset", "0.48", "-i", "{}", "-i", "{}", "-map", "0:v", "-map", "1:a", "-c", "copy"],
        ".mkv",
    ),
    "old.avi": ("25", ["-c:v", "mpeg4", "-q:v", "3", "-bf", "0", "-c:a", "mp3"], [], ".mp4"),
}


def draw_flashes(folder, name, rate, options, again=()):
    """Grey waves that go white for a few frames on every whole second, with 50 ms of 1 kHz at that moment."""
    white = f"lt(mod(N/({rate}),1),0.1)"
    waves = f"color=size=64x48:rate={rate},geq=lum='if({white},235,60+40*sin((X+7*N)/9))':cb=128:cr=128"
    tone = f"aevalsrc='if(lt(mod(t,1),0.05),0.8*sin(2*PI*1000*t),0)':s={RATE_HZ}"
    inputs = ["-f", "lavfi", "-i", waves, "-f", "lavfi", "-i", tone]
    path = folder / (f"first{name}" if again else name)
    ffmpeg(*inputs, "-t", str(SECONDS), *options, str(path))
    if again:
        ffmpeg(*[part.format(path) for part in again], str(folder / name))
    return folder / name


def flashes(path):
    """Times at which the picture turns white, in seconds of the file's own clock."""
    with av.open(str(path)) as container:
        seen = [(frame.pts * frame.time_base, _is_white(frame)) for frame in container.decode(video=0)]
    return [time for (_, before), (time, white) in zip(seen, seen[1:], strict=False) if white and not before]


def _is_white(frame):
    return frame.to_ndarray(format="gray").mean() > 170


def beeps(path):
    """Times at which sound sets in after half a second of silence, to the sample."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE_HZ)
        frames = [made for frame in container.decode(audio=0) for made in resampler.resample(frame)]
    found, silent_since = [], None
    for frame in frames:
        start = frame.pts * frame.time_base
        for sample in np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.2):
            time = start + Fraction(int(sample), RATE_HZ)
            if silent_since is None or time - silent_since > Fraction(1, 2):
                found.append(time)
            silent_since = time
    return found


def offsets(path):
    """By how much each flash comes after the film's last beep."""
    last = beeps(path)[-1]
    return [flash - last for flash in flashes(path)]


def delivered(folder, source, suffix):
    """The identity film of a source."""
    (folder / "work").mkdir()
    spec = EncodeSpec(lossless=True)
    return rendered(folder, source.name, suffix, folder / "work", spec, shard_frames=17)[0]


def assert_together(before, after):
    assert len(before) >= SECONDS - 2
    worst = max(abs(new - old) for new, old in zip(after, before, strict=True))
    assert worst <= TOLERANCE_SECONDS, f"{float(worst) * 1000:.3f} ms"


QUICK = ("vfr.mp4", "editlist.mp4")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in CASES]
)
def test_flash_and_beep_stay_together(tmp_path, name):
    source, suffix = draw_flashes(tmp_path, name, *CASES[name][:3]), CASES[name][3]
    made = delivered(tmp_path, source, suffix)
    assert_together(offsets(source), offsets(made))
    assert len(beeps(made)) == len(beeps(source))


def test_film_won_back_flashes_as_the_film_did_before_it_was_carried_in_video(tmp_path):
    rate = "24000/1001"
    film = draw_flashes(tmp_path, "film.mp4", rate, [*X264, *AAC])
    interlaced = ["-vf", "telecine=pattern=23,setfield=tff", *X264, "-x264-params", "tff=1", *AAC]
    carried = draw_flashes(tmp_path, "carried.mp4", rate, interlaced)
    assert_together(offsets(film), offsets(delivered(tmp_path, carried, ".mp4")))
