"""Changes the rooms at chosen places, one at a time, and runs the tests that execute each: does one of them notice?

    python -m tests.mutation [--seed 1] [--count 400] [--in store/vault ...] [--again] [--control]

Which tests execute which lines is recorded in `.mutation/`, and again where a file changed. `--again` tries only what
survived or was never tried; `--control` leaves the modules as they are, so that every test must pass. The outcome
stands in `results.toml` beside this file, where each survivor has a reason.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tests.mutation import results
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.touched import Touched, current
from tests.mutation.trial import Trial, trial, warm

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".mutation"
ROOMS = [f"store/{room}" for room in ("sealing", "vault", "delivery", "space", "filters")]
#: Where tests are looked for that execute a room.
TESTS = [f"tests/{room}" for room in (*ROOMS, "store/authority", "store/enrolment")]
#: Seconds of a processor that one test may take while it is traced, and all that are run for one mutant.
_LONGEST, _ALL = 8.0, 60.0


def draw(rooms: list[str], seed: int, count: int) -> list[Mutant]:
    """Mutants of the files below `rooms`: each has a place of its own in the draw, whatever else there is."""
    every = [
        mutant
        for room in rooms
        for path in ([ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py")))
        for mutant in mutants_of(str(path.relative_to(ROOT)), ROOT)
    ]
    return sorted(every, key=lambda mutant: mutant.rank(seed))[:count]


def tests_of(mutant: Mutant, known: list[Touched]) -> list[tuple[str, float]]:
    """The tests that execute it, those of its own room first, the fastest first."""
    lines = set(mutant.lines)
    found = []
    for each in known:
        touched = each.lines.get(mutant.path, frozenset())
        if each.seconds <= _LONGEST and (touched if mutant.at_import else touched & lines):
            own = each.test.startswith(f"tests/{mutant.path.rpartition('/')[0]}/")
            found.append((not own, each.seconds, each.test))
    chosen: list[tuple[str, float]] = []
    for _, seconds, test in sorted(found):
        if sum(each for _, each in chosen) + seconds <= _ALL:
            chosen.append((test, seconds))
    return chosen


def tried(mutant: Mutant, known: list[Touched], *, control: bool) -> Trial:
    """Run its tests."""
    try:
        code = None if control else mutant.code(str(ROOT / mutant.path))
    except (SyntaxError, ValueError):
        return Trial("the compiler", 0.0)
    tests = tests_of(mutant, known)
    return trial(ROOT, mutant.path, code, tests) if tests else Trial("", 0.0)


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
    for at, mutant in enumerate(drawn, 1):
        if options.again and mutant.key in known and known[mutant.key].killer:
            continue
        outcome = tried(mutant, touched, control=options.control)
        word = f"killed by {outcome.killer}" if outcome.killer else "SURVIVED"
        print(f"{at}/{len(drawn)} {outcome.seconds:.1f} s {mutant.line} {mutant.key}: {word}", flush=True)
        if not options.control:
            known[mutant.key] = results.Tried(outcome.killer, outcome.seconds)
            results.keep(FOLDER / "verdicts.json", known)
    if not options.control:
        print(results.write(options.seed, drawn, known, results.RESULTS))


if __name__ == "__main__":
    main()
