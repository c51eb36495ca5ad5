"""What becomes of films that are hard to keep whole: a row for each, told by an independent witness.

    python tests/studies/torture.py --out table.md [--only vfr.mp4,zero.mp4] [--work DIR]

Every input is planned and, unless refused, rendered without paint and without loss through the command
line's own door; then source and delivery are decoded and compared by `witness`, which shares no code with
stylereel. A difference that the plan does not explain makes the command fail. With STYLEREEL_DATA set to a
folder, every film under its `clips` is a row too.
"""

import argparse
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from torture_inputs import ROWS, Row, base_film
from witness import Account, Stream, account_of, decibels

from pipelines.cli import run
from pipelines.flows.server import EmbeddedServer, pointed_at

COLUMNS = (
    "input",
    "policy",
    "frames",
    "time error",
    "picture",
    "streams",
    "marks and tags",
    "refused in",
    "says",
)
MKV_TICK = Fraction(1, 1000)
CHANGED_PICTURE = "telecined|taken apart|encoded as|samples "
RETIMED = "telecined|timestamps"
EXPLAINED = {
    "scan": "taken apart|telecined|taken as whole",
    "full range": "range",
    "sample aspect": "pixels are",
    "light": "HDR|mastering",
}
"""Marks that may differ if the plan's notes say so."""
NO_DIFFERENCE = "same"


@dataclass
class Outcome:
    """One row of the table; `unexplained` is what nobody said would differ."""

    name: str
    policy: str
    cells: dict[str, str] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The row in Markdown."""
        told = {**self.cells, "input": self.name, "policy": self.policy}
        if self.unexplained:
            told["says"] = f"**unexplained: {'; '.join(self.unexplained)}** {told.get('says', '')}"
        return "| " + " | ".join(told.get(name, "").replace("|", "/") for name in COLUMNS) + " |"


def torture(row: Row, folder: Path, base: Path) -> Outcome:
    """Draw an input, put it through, and compare."""
    source = folder / row.name
    row.draw(base, source)
    return judge(row, source, folder / f"out-{source.stem}{row.suffix}")


def judge(row: Row, source: Path, output: Path) -> Outcome:
    """What becomes of one file."""
    wish = [str(source), str(output), "--style", "identity", "--lossless", *row.options, "--json"]
    began = time.perf_counter()
    code, _, said = _stylereel("plan", *wish)
    seconds = time.perf_counter() - began
    if code == 0:
        code, told, said = _stylereel("render", *wish)
    if code:
        return _refused(row, code, seconds, said)
    facts = json.loads(told)
    outcome = Outcome(source.name, "preserve" if not facts["notes"] else "convert")
    if row.expect not in ("", "?"):
        outcome.unexplained.append(f"taken, though {row.expect!r} was expected")
    compare(outcome, account_of(source), account_of(output), facts, source, output)
    return outcome


def _stylereel(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(list(arguments))
    return code, out.getvalue(), err.getvalue()


def _refused(row: Row, code: int, seconds: float, said: str) -> Outcome:
    lines = [line for line in said.splitlines() if line.startswith("stylereel:")]
    outcome = Outcome(row.name, "refuse", {"refused in": f"{seconds:.1f} s", "says": " ".join(lines)})
    if code != 2 or len(lines) != 1:
        outcome.unexplained.append(f"exit code {code}, {len(lines)} lines")
    elif not row.expect or (row.expect != "?" and not re.search(row.expect, lines[0])):
        outcome.unexplained.append(f"expected {row.expect or 'to be taken'}")
    return outcome


def compare(
    outcome: Outcome, before: Account, after: Account, facts: dict[str, Any], source: Path, output: Path
) -> None:
    notes = "; ".join(facts["notes"])
    outcome.cells["says"] = notes
    outcome.cells["frames"] = f"{len(before.frames)} / {len(after.frames)}"
    if len(before.frames) != len(after.frames) and "telecined" not in notes:
        outcome.unexplained.append("frames")
    _compare_times(outcome, before, after, notes, output)
    _compare_pictures(outcome, before, after, notes, source, output)
    _compare_streams(outcome, before, after, facts)
    _compare_marks(outcome, before, after, facts, notes)


def _compare_times(outcome: Outcome, before: Account, after: Account, notes: str, output: Path) -> None:
    if len(before.times) != len(after.times) or None in before.times:
        outcome.cells["time error"] = "-"
        if not re.search(RETIMED, notes):
            outcome.unexplained.append("times")
        return
    pairs = list(zip(sorted(before.times), sorted(after.times), strict=True))
    shift = pairs[0][1] - pairs[0][0]
    worst = max(abs(new - old - shift) for old, new in pairs)
    outcome.cells["time error"] = f"{float(worst) * 1000:.2f} ms" + (
        f", shift {float(shift) * 1000:.0f} ms" * bool(shift)
    )
    if worst > (MKV_TICK if output.suffix == ".mkv" else 0) and not re.search(RETIMED, notes):
        outcome.unexplained.append("times")


def _compare_pictures(
    outcome: Outcome, before: Account, after: Account, notes: str, source: Path, output: Path
) -> None:
    if before.frames == after.frames:
        outcome.cells["picture"] = "equal"
        return
    if len(before.frames) != len(after.frames):
        outcome.cells["picture"] = "other frames"
        return
    worst = decibels(source, output)
    form = (
        f"{before.frames[0][0]} -> {after.frames[0][0]}, "
        if before.frames[0][0] != after.frames[0][0]
        else ""
    )
    outcome.cells["picture"] = f"{form}{'equal as RGB' if worst == inf else f'{worst:.0f} dB'}"
    if worst < inf and not re.search(CHANGED_PICTURE, notes):
        outcome.unexplained.append("pictures")


def _compare_streams(outcome: Outcome, before: Account, after: Account, facts: dict[str, Any]) -> None:
    """Streams that were kept must be there, each with its payload, names and times."""
    actions = [track["action"] for track in facts["tracks"]]
    told = {action: actions.count(action) for action in dict.fromkeys(actions)}
    outcome.cells["streams"] = ", ".join(f"{count} {action}" for action, count in told.items()) or "none"
    left, shift = list(after.streams), Fraction(facts["shift_ms"]) / 1000
    for stream, track in zip(before.streams, facts["tracks"], strict=True):
        if track["action"] == "kept" and not (track["reason"] or _take(left, stream, shift)):
            outcome.unexplained.append(f"{stream.kind} {stream.codec} is not what it was")


def _take(left: list[Stream], wanted: Stream, shift: Fraction) -> bool:
    """Whether a stream is there, moved as all are and otherwise the same; each is found once."""
    # Muxers divide samples as they like.
    told = 1 if wanted.codec.startswith("pcm_") else None
    for made in left:
        same = made.kind == wanted.kind and made.digest == wanted.digest
        same &= told == 1 or made.packets == wanted.packets
        named = (made.language, made.title) == (wanted.language, wanted.title)
        if same and named and _farthest(made.times[:told], wanted.times[:told], shift) <= MKV_TICK:
            left.remove(made)
            return True
    return False


def _farthest(made: Sequence[Fraction], wanted: Sequence[Fraction], shift: Fraction) -> Fraction:
    return max((abs(new - old - shift) for new, old in zip(made, wanted, strict=False)), default=Fraction(0))


def _compare_marks(
    outcome: Outcome, before: Account, after: Account, facts: dict[str, Any], notes: str
) -> None:
    differ = {name: (value, after.marks.get(name)) for name, value in before.marks.items()}
    differ |= {"chapters": (before.chapters, after.chapters)}
    differ = {name: pair for name, pair in differ.items() if pair[0] != pair[1]}
    missing = [key for key, value in before.tags.items() if after.tags.get(key) != value]
    told = [f"{name} {old} -> {new}" for name, (old, new) in differ.items()]
    outcome.cells["marks and tags"] = ", ".join([*told, *missing]) or NO_DIFFERENCE
    outcome.unexplained += [name for name in differ if not re.search(EXPLAINED.get(name, "^$"), notes)]
    outcome.unexplained += [f"tag {key}" for key in missing if key not in facts["tags_missing"]]


def rows(only: Sequence[str]) -> list[Row]:
    """The rows asked for; all by default."""
    return [row for row in ROWS if not only or row.name in only]


def real_films(only: Sequence[str]) -> Iterator[tuple[Row, Path]]:
    """Films of a folder of the user's, if there is one."""
    folder = os.environ.get("STYLEREEL_DATA")
    for path in sorted(Path(folder).glob("clips/**/*.*")) if folder else []:
        if path.is_file() and (not only or path.name in only):
            yield Row(path.name, _untouched, expect="?", options=("--allow-drop",)), path


def _untouched(_: Path, path: Path) -> None:
    raise AssertionError(f"{path} is real: nothing is drawn")


def table(outcomes: Sequence[Outcome]) -> str:
    """All rows in Markdown."""
    head = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    return "\n".join([*head, *(outcome.line() for outcome in outcomes)]) + "\n"


def main() -> None:
    asked = _arguments()
    folder = asked.work or Path(tempfile.mkdtemp(prefix="torture"))
    folder.mkdir(parents=True, exist_ok=True)
    only = asked.only.split(",") if asked.only else []
    server = EmbeddedServer(folder / "prefect")
    server.wait()
    outcomes: list[Outcome] = []
    with pointed_at(server.url):
        base = base_film(folder)
        for row in rows(only):
            _note(outcomes, torture(row, folder, base), asked.out)
        for row, path in real_films(only):
            _note(outcomes, judge(row, path, folder / f"out-{path.stem}{row.suffix}"), asked.out)
    server.stop()
    bad = [outcome.name for outcome in outcomes if outcome.unexplained]
    print(f"{len(outcomes)} inputs, {len(bad)} with unexplained differences: {', '.join(bad) or 'none'}")
    sys.stdout.flush()
    os._exit(1 if bad else 0)  # Prefect's background threads would hold an ordinary exit for seconds


def _note(outcomes: list[Outcome], outcome: Outcome, out: Path) -> None:
    outcomes.append(outcome)
    print(outcome.line(), flush=True)
    out.write_text(table(outcomes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the table, as Markdown")
    parser.add_argument("--only", help="names of rows, comma-separated")
    parser.add_argument("--work", type=Path, help="a folder for films; a temporary one by default")
    return parser.parse_args()


if __name__ == "__main__":
    main()
