"""Torture stores and report which laws held. Exits with 1 at the first broken law, and says how to repeat that run.

    python -m tests.torture [--minutes 2] [--seed 1] [--only NAME ...] [--strict]

README.md in this folder describes each torture and gives figures.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.postgres import Missing
from tests.torture import processes
from tests.torture.clocks import CLOCKS
from tests.torture.conservation import CONSERVATION
from tests.torture.io_faults import IO_FAULTS
from tests.torture.kills import KILLS
from tests.torture.running import Broken, Figure, Run, Torture, table
from tests.torture.small_disks import SMALL_DISKS

TORTURES: dict[str, Torture] = {
    "conservation": CONSERVATION,
    "kills": KILLS,
    "io_faults": IO_FAULTS,
    "small_disks": SMALL_DISKS,
    "clocks": CLOCKS,
}


def tortured(name: str, seed: int, seconds: float) -> Figure:
    """Run one torture for about this long."""
    torture = TORTURES[name]
    # Other users cannot enter pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix=f"mailhold-torture-{name}-"))
    began = time.monotonic()
    run = Run(random.Random(f"{seed} {name}"), began + seconds, folder)
    problem = skipped = ""
    try:
        torture.work(run)
    except Broken as error:
        problem = str(error)
    except (Missing, pytest.skip.Exception) as error:
        skipped = str(error)
    if problem:
        problem += f"\n  What is left of it lies in {folder}."
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return Figure(name, dict(run.counts), time.monotonic() - began, torture.law, problem, skipped)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=2.0, help="in all, more or less (2)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=[*TORTURES], default=[*TORTURES], metavar="NAME")
    parser.add_argument("--strict", action="store_true", help="what cannot be run here is a failure")
    options = parser.parse_args()
    processes.load()
    figures: list[Figure] = []
    whole = sum(TORTURES[name].weight for name in options.only)
    for name in options.only:
        figures.append(tortured(name, options.seed, options.minutes * 60 * TORTURES[name].weight / whole))
        print(figures[-1].line(), flush=True)
        if figures[-1].problem or (options.strict and figures[-1].skipped):
            again = f"--minutes {options.minutes:g} --seed {options.seed} --only {name}"
            print(f"  Again: python -m tests.torture {again}")
            break
    print(f"\n{table(figures)}")
    return 1 if any(each.problem or (options.strict and each.skipped) for each in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
