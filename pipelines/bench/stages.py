"""The stages of rendering one film, each to be run by itself on the same frames, and all of them together."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import torch
from torch import Tensor

from pipelines.bench.timing import finish
from pipelines.indexed import ensure_index
from pipelines.jobs import TitleJob
from pipelines.media.ffmpeg import recode_graph, run
from pipelines.media.frames import FrameReader
from pipelines.media.parts import write_part
from pipelines.media.probe import probe
from pipelines.media.scan import as_shown
from pipelines.painting import drifts_of, open_stylizer, planes_of, survey_shot
from pipelines.plan import Shard
from pipelines.planes import frame_planes, painted_arrays
from pipelines.prepare import FilmPlan, plan_film
from pipelines.render import render_shard
from pipelines.stopwatch import Clock
from pipelines.storage import Store
from stylecore.bus import Planes
from stylecore.parts import parts_of, rgb_of
from stylecore.shot import ShotState
from stylecore.stylize import Stylizer

_RECODE_SECONDS = 600.0


@dataclass(frozen=True)
class Stages:
    """What is needed to run any stage on the same frames of a film's first shot."""

    job: TitleJob
    film: FilmPlan
    source: Path
    scratch: Path
    shard: Shard
    frames: list[Planes]
    stylizer: Stylizer
    state: ShotState

    def decode(self) -> None:
        """Frames out of the file, in this process."""
        with av.open(str(self.source)) as container:
            for _ in islice(container.decode(video=0), len(self.frames)):
                pass

    def read(self) -> None:
        """Frames as rendering gets them: decoded and proved in a child."""
        reader = FrameReader(self.source, self.film.info, self.film.index)
        for frame in reader.read(self.shard.frames):
            frame_planes(frame)

    def convert(self) -> list[Tensor]:
        """What the network is shown: the frames as R, G and B at its size."""
        form, bus = self.film.painted_format, self.stylizer.bus
        carried = (bus.carry(planes) for planes in self.frames)
        shown = [rgb_of(self.stylizer.small(parts_of(planes, form)), form) for planes in carried]
        finish(self.job.device)
        return shown

    @torch.inference_mode()
    def network(self, shown: list[Tensor]) -> None:
        """The network alone."""
        look = self.state.at(0)
        for rgb in shown:
            self.stylizer.runner.paint(self.stylizer.network.prepare(rgb), look)
        finish(self.job.device)

    def survey(self) -> None:
        """What a shot costs before its first frame: some of it read and painted for its statistics."""
        reader = FrameReader(self.source, self.film.info, self.film.index)
        survey_shot(self.film, self.film.shots[0], reader, self.stylizer, Clock())
        finish(self.job.device)

    def paint(self) -> list[list[Tensor]]:
        """Planes in, painted planes out, on a canvas that moves as the scene does."""
        moved = drifts_of(self.film, self.film.shots[0])
        return self.stylizer.stylize(self.frames, self.state, 0, drifts=moved)

    def encode(self, painted: list[list[Tensor]]) -> None:
        """Painted planes into a part."""
        arrays = (painted_arrays(planes) for planes in painted)
        write_part(self._target, self.shard.segments, arrays, self.film.encoding)

    def render(self, number: int = 0) -> None:
        """All of it, as a task does it; shards that are rendered at once have numbers."""
        target = self._target.with_stem(f"shard{number}")
        render_shard(self.film, self.shard, self.source, self.job.engine_spec, target)

    def recode(self) -> None:
        """ffmpeg alone: the same frames decoded and encoded with the same settings, unpainted."""
        encoding = self.film.encoding
        target = self._target.with_stem("recoded")
        graph = recode_graph(self.source, encoding.encoder, dict(encoding.options), len(self.frames), target)
        run(graph, _RECODE_SECONDS)

    @property
    def _target(self) -> Path:
        return self.scratch / f"part{self.film.encoding.part_suffix}"


def open_stages(job: TitleJob, count: int, scratch: Path) -> Stages:
    """The stages of the first `count` frames of a job's film, which are taken for a shot of their own.

    Frames after them would be painted too, to share strokes with the last of them.
    """
    source = Path(job.source)
    info = probe(source)
    index = ensure_index(Store(str(scratch)), source, info)
    cuts = (count,) if count < len(as_shown(index, job.scan).frames) else ()
    film = plan_film(job.model_copy(update={"cuts": cuts}), info, index)
    frames = film.shots[0].frames
    reader = FrameReader(source, film.info, film.index)
    planes = [planes_of(film, frame) for frame in reader.read(frames)]
    stylizer = open_stylizer(film.styles[0], film, job.engine_spec)
    state = stylizer.survey(planes[:: max(1, len(planes) // 6)])
    return Stages(job, film, source, scratch, Shard(1, (frames,)), planes, stylizer, state)
