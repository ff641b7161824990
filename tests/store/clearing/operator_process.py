"""One of the five operators of `test_five_operators`: clears, peels off and undoes at random.

python -m tests.store.clearing.operator_process STORE NAME ACTS     prints "ready" and

its PostgreSQL server process id, waits for a line, then prints each batch
"""

from __future__ import annotations

import random
import sys

from store.campaigns.marks import peel
from store.campaigns.reading import StandingReader
from store.clearing.checked import checked
from store.clearing.clearing import clear
from store.database.connection import is_url, run
from store.helpers.clock import now_ms
from store.opening.opening import Unlock, open_store
from store.terms.errors import UsageError
from store.undoing.undoing import carry_out, next_plan
from store.vault import bin as bin_module
from tests.conftest import PASSPHRASE

#: Copies per batch of a deletion: small, so that other operators act in between.
bin_module._LEAST, bin_module._MOST = 15, 30


def main(location: str, name: str, acts: int) -> None:
    """Perform this many acts, drawn at random for this operator."""
    vault = open_store(location, Unlock.passphrase(PASSPHRASE))
    reader, rng = StandingReader(vault), random.Random(name)
    with vault.reading():
        backend = run(vault.db, "SELECT pg_backend_pid()").fetchone()[0] if is_url(location) else 0
    print(f"ready {backend}", flush=True)
    sys.stdin.readline()
    for act in range(acts):
        campaigns = reader.read().campaigns
        what = rng.random() if act else 0.0  # All begin with a deletion.
        if what < 0.45:
            chosen = [one.id for one in rng.sample(campaigns, rng.randrange(1, len(campaigns)))]
            found = checked(vault, reader.read(), chosen, now=now_ms())
            clear(vault, found, operator=name, standing=reader.read, progress=lambda done, _of: print(done, flush=True))
        elif what < 0.8:
            one = rng.choice(campaigns)
            there = sorted(vault.present(one.copies))
            if len(there) > 1:
                try:
                    peel(vault, one.id, rng.sample(there, min(len(there) - 1, 12)), there[0], operator=name)
                except UsageError:
                    continue  # only the copy that stays was drawn
        elif (plan := next_plan(vault, name)) is not None:
            carry_out(vault, plan, operator=name)
    vault.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
