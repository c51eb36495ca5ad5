"""The media rooms alone, end to end, with nothing painted: what every fidelity test renders with."""

from pathlib import Path

from conftest import index_film

from pipelines.media.assemble import PartFile, assemble
from pipelines.media.encoding import make_encoding
from pipelines.media.fitting import EncodeSpec
from pipelines.media.parts import write_part
from pipelines.media.shots import find_cuts
from pipelines.media.tracks import decide
from pipelines.plan import plan_segments, plan_shards
from pipelines.planes import frame_planes, painted_arrays, painted_format, yuv_format
from pipelines.timeline import shots_from_cuts
from stylecore.refit import refit


def fitted(frame, info, encoding):
    """A frame as it is delivered unpainted."""
    return painted_arrays(refit(frame_planes(frame), yuv_format(info), painted_format(info, encoding)))


def rendered(films: Path, name: str, suffix: str, folder: Path, spec: EncodeSpec, shard_frames: int = 40):
    """The identity pipeline of the media rooms alone."""
    source = films / name
    info, index, reader = index_film(source)
    encoding = make_encoding(spec, info, index.timeline, suffix)
    shots = shots_from_cuts(find_cuts(index.cut_scores), len(index.frames))
    parts, crcs = [], []
    for shard in plan_shards(plan_segments(shots), shard_frames):
        path = folder / f"{shard.number}{encoding.part_suffix}"
        facts = write_part(
            path, shard.segments, (fitted(f, info, encoding) for f in reader.read(shard.frames)), encoding
        )
        parts.append(PartFile(path, shard.frames, facts.reorder))
        crcs += facts.packet_crcs
    fates = decide(info, suffix)
    target = folder / f"out{suffix}"
    assemble(parts, index.timeline, source, info, fates, target)
    return target, source, info, index, crcs, fates, parts
