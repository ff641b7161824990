"""Results of the mutants of a draw: all verdicts in a local file, the survivors in `results.toml`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant

RESULTS = Path(__file__).with_name("results.toml")
_HEAD = """\
# Written by `make mutate`. The reasons are written by hand, and kept from run to run: `equivalent` is true where no
# test could tell the mutant from the program. What survived in draws of other seeds stands at the end, for as long as
# its line is there.
"""


@dataclass
class Tried:
    """A mutant that was tried: the test that noticed it ("" for none), and the CPU seconds used."""

    killer: str
    seconds: float


def verdicts(path: Path) -> dict[str, Tried]:
    """Read the verdicts by the mutants' keys."""
    try:
        return {key: Tried(**each) for key, each in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError):
        return {}


def keep(path: Path, known: dict[str, Tried]) -> None:
    """Write the verdicts."""
    path.write_text(json.dumps({key: asdict(each) for key, each in known.items()}, indent=0))


def write(
    seed: int, drawn: Sequence[Mutant], known: dict[str, Tried], commit: str, path: Path, others: Iterable[Mutant] = ()
) -> str:
    """Write the survivors of a draw, keeping their reasons; return the figures in one line.

    `others` are mutants that were not drawn: their entries stay.
    """
    old = _reasons(path)
    tried = [mutant for mutant in drawn if mutant.key in known]
    survivors = [mutant for mutant in tried if not known[mutant.key].killer]
    equivalent = sum(bool(old.get(mutant.key, {}).get("equivalent")) for mutant in survivors)
    seconds = sum(known[mutant.key].seconds for mutant in tried)
    killed = len(tried) - len(survivors)
    lines = [
        f"{_HEAD}seed = {seed}",
        f'commit = "{commit}"',
        f"drawn = {len(tried)}",
        f"killed = {killed}",
        f"equivalent = {equivalent}",
        f"processor_seconds = {seconds:.0f}",
    ]
    keys = {mutant.key for mutant in tried}
    elsewhere = [mutant for mutant in others if mutant.key in old and mutant.key not in keys]
    for table, mutants in (("survivor", survivors), ("elsewhere", elsewhere)):
        for mutant in sorted(mutants, key=lambda mutant: (mutant.path, mutant.line)):
            reason = old.get(mutant.key, {})
            lines += [
                "",
                f"[[{table}]]",
                f"mutant = {json.dumps(mutant.key, ensure_ascii=False)}",
                f"line = {mutant.line}",
                f"equivalent = {json.dumps(bool(reason.get('equivalent')))}",
                f"reason = {json.dumps(reason.get('reason', ''), ensure_ascii=False)}",
            ]
    path.write_text("\n".join(lines) + "\n")
    share = 100 * killed / max(len(tried), 1)
    return f"{len(tried)} tried, {killed} killed ({share:.1f} %), {equivalent} of the survivors equivalent"


def _reasons(path: Path) -> dict[str, dict[str, Any]]:
    """Read the reason of each survivor, by its key."""
    tables = tomllib.loads(path.read_text()) if path.exists() else {}
    return {each["mutant"]: each for table in ("elsewhere", "survivor") for each in tables.get(table, [])}
