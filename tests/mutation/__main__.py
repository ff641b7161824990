"""Mutate the store's rooms at drawn places, one at a time, and run the tests that execute each place: does one fail?

    python -m tests.mutation [--seed 1] [--count 400] [--in store/vault ...] [--again] [--control]

Which tests execute which lines is recorded in `.mutation/`, and recorded again when a file changed. `--again` tries
only mutants that survived or were never tried; `--control` leaves the modules unchanged, so that every test must pass.
The outcome is in `results.toml` in this folder, with a reason for each survivor.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from types import CodeType

from tests.mutation import results
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.touched import Touched, current
from tests.mutation.trial import Collected, Trial, imported, warm

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".mutation"
ROOMS = [f"store/{room}" for room in ("sealing", "vault", "delivery", "space", "filters")]
#: Folders of the tests that may execute a room.
_BESIDE = [f"store/{room}" for room in ("authority", "backing_up", "enrolment", "intake", "mail", "opening")]
TESTS = [f"tests/{room}" for room in (*ROOMS, *_BESIDE)]
#: CPU seconds allowed for one traced test, and for all tests of one mutant.
_LONGEST, _ALL = 8.0, 30.0


def draw(rooms: list[str], seed: int, count: int) -> list[Mutant]:
    """Draw mutants of the files below `rooms`; a mutant's rank in the draw does not depend on the other mutants."""
    every = [
        mutant
        for room in rooms
        for path in ([ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py")))
        for mutant in mutants_of(str(path.relative_to(ROOT)), ROOT)
    ]
    return sorted(every, key=lambda mutant: mutant.rank(seed))[:count]


def tests_of(mutant: Mutant, known: list[Touched]) -> list[tuple[str, float]]:
    """Return the tests that execute it: those of its own room first, then by speed.

    Code that runs on import can affect any test of the room, and every test that executes something of the file.
    """
    lines = set(mutant.lines)
    found = []
    for each in known:
        touched = each.lines.get(mutant.path, frozenset())
        own = each.test.startswith(f"tests/{mutant.path.rpartition('/')[0]}/")
        if each.seconds <= _LONGEST and (own or touched if mutant.at_import else touched & lines):
            found.append((not own, each.seconds, each.test))
    chosen: list[tuple[str, float]] = []
    for _, seconds, test in sorted(found):
        if sum(each for _, each in chosen) + seconds <= _ALL:
            chosen.append((test, seconds))
    return chosen


def code_of(mutant: Mutant) -> CodeType | None:
    """Compile the changed module; return None if the compiler refuses it."""
    try:
        return mutant.code(str(ROOT / mutant.path))
    except (SyntaxError, ValueError):
        return None


def tried(at: int, mutant: Mutant, code: CodeType | None, known: list[Touched], collected: Collected) -> Trial:
    """Run a mutant's tests."""
    tests = tests_of(mutant, known)
    if not tests:
        return Trial("", 0.0)
    outcome = None if mutant.at_import else collected.trial(at, tests)
    return outcome or imported(ROOT, mutant.path, code, tests)


def commit() -> str:
    """Return the commit that is checked out, "" outside of a checkout."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--in", dest="rooms", nargs="+", default=ROOMS, metavar="PATH")
    parser.add_argument("--again", action="store_true", help="only what survived or was never tried")
    parser.add_argument("--control", action="store_true", help="change nothing: every test must pass")
    options = parser.parse_args()
    os.environ.setdefault("CI", "1")
    FOLDER.mkdir(exist_ok=True)
    drawn = draw(options.rooms, options.seed, options.count)
    touched = current(FOLDER / "touched.json", ROOT, ROOMS, TESTS)
    known = results.verdicts(FOLDER / "verdicts.json")
    warm(ROOT)
    codes = [code_of(mutant) for mutant in drawn]
    files = sorted({each.test.partition("::")[0] for each in touched})
    collected = Collected(ROOT, files, [None] * len(codes) if options.control else codes)
    for at, mutant in enumerate(drawn):
        if options.again and mutant.key in known and known[mutant.key].killer:
            continue
        if options.control:
            outcome = tried(at, mutant, None, touched, collected)
        elif codes[at] is None:
            outcome = Trial("the compiler", 0.0)
        else:
            outcome = tried(at, mutant, codes[at], touched, collected)
        word = f"killed by {outcome.killer}" if outcome.killer else "SURVIVED"
        print(f"{at + 1}/{len(drawn)} {outcome.seconds:.1f} s {mutant.line} {mutant.key}: {word}", flush=True)
        if not options.control:
            known[mutant.key] = results.Tried(outcome.killer, outcome.seconds)
            results.keep(FOLDER / "verdicts.json", known)
    collected.close()
    if not options.control:
        others = draw(ROOMS, options.seed, sys.maxsize)
        print(results.write(options.seed, drawn, known, commit(), results.RESULTS, others))


if __name__ == "__main__":
    main()
