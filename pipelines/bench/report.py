"""What was measured, as plain values and as a table of bars."""

from collections.abc import Mapping
from typing import Any

from pipelines.bench.timing import Timing

_BAR = 24
STAGES = ("decode", "survey", "convert", "network", "paint", "encode")
"""In the order of the work; painting includes conversion and network, a shot shares its survey."""


def facts_of(
    timings: Mapping[str, Timing], limits: Mapping[str, float], operations: int, machine: Mapping[str, Any]
) -> dict[str, Any]:
    """Every measurement, and the ratios that judge it; seconds are of one frame."""
    facts = {
        name: {"wall_seconds": t.wall_seconds, "cpu_seconds": t.cpu_seconds} for name, t in timings.items()
    }
    return {
        "machine": dict(machine),
        "frame": facts,
        "limits": {**limits, "network_operations": operations},
        "ratios": {
            name: round(value, 3) for name, value in _ratios(timings, limits, operations, machine).items()
        },
    }


def _ratios(
    timings: Mapping[str, Timing], limits: Mapping[str, float], operations: int, machine: Mapping[str, Any]
) -> dict[str, float]:
    wall = {name: timing.wall_seconds for name, timing in timings.items()}
    cpu = sum(timings[name].cpu_seconds for name in ("decode", "survey", "paint", "encode"))
    # Shards at once have a thread for each stage; all of them share the cores.
    longest = max(wall["survey"] + wall["paint"], wall["encode"], wall["decode"]) / machine["shards at once"]
    floor = max(longest, cpu / machine["cores"])
    found = {
        "render / floor": wall["render"] / floor,
        "render / network": wall["render"] / wall["network"],
        "network / arithmetic": wall["network"] * limits["operations_per_second"] / operations,
        "recode / render": wall["recode"] / wall["render"],
    }
    for memory in ("stock", "tuned"):
        if (peer := f"classic, {memory}") in wall:
            found[f"same network, faster than classic, {memory}"] = wall[peer] / wall["classic, ours"]
            found[f"this style, faster than classic, {memory}"] = wall[peer] / wall["network"]
    if "files" in wall:
        found["render, faster than files"] = (wall["files"] + wall["recode"]) / wall["render"]
    return found


def table(facts: Mapping[str, Any]) -> list[str]:
    """A line for each stage with its bar, then the limits and the ratios."""
    frame, machine = facts["frame"], facts["machine"]
    longest = max(frame[name]["wall_seconds"] for name in (*STAGES, "render"))
    lines = [" · ".join(f"{name} {value}" for name, value in machine.items()), ""]
    lines.append(f"{'one frame':<22}{'wall ms':>9}{'cpu ms':>9}")
    for name, timing in frame.items():
        wall, cpu = 1000 * timing["wall_seconds"], 1000 * timing["cpu_seconds"]
        length = round(_BAR * timing["wall_seconds"] / longest)
        bar = "█" * length if length <= _BAR else "█" * _BAR + "▶"
        lines.append(f"{name:<22}{wall:>9.1f}{cpu:>9.1f}  {bar}")
    limits = facts["limits"]
    lines += [
        "",
        f"memory {limits['copied_bytes_per_second'] / 1e9:.1f} GB/s · "
        f"convolutions {limits['operations_per_second'] / 1e9:.0f} GFLOP/s · "
        f"the network asks for {limits['network_operations'] / 1e9:.1f} GFLOP a frame",
        "",
    ]
    return lines + [f"{name:<44}{value:>8.2f}" for name, value in facts["ratios"].items()]
