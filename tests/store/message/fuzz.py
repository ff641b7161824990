"""Mutate real messages for a given time: ``python -m tests.store.message.fuzz SECONDS [SEED]``.

Messages that raise or take over a second are written to ``.fuzz/``, to be reduced and kept in ``tests/data/messages``.
"""

from __future__ import annotations

import hashlib
import sys
import time
import traceback
from pathlib import Path
from random import Random

from tests.conftest import CORPUS
from tests.store.message.mutations import mutated, read_whole

_ROOM = Path(".fuzz")
#: Messages that a run begins with: the corpus, for those who have it, and those kept from earlier runs.
_BEGIN = (CORPUS, Path(__file__).resolve().parents[2] / "data" / "messages")
_SLOW = 1.0


def main(seconds: float, seed: int) -> int:
    """Fuzz for this many seconds; return the number of messages found."""
    random = Random(seed)
    raws = [path.read_bytes() for folder in _BEGIN for path in sorted(folder.rglob("*.eml"))]
    until = time.monotonic() + seconds
    found: set[str] = set()
    runs = 0
    while time.monotonic() < until:
        raw = mutated(random.choice(raws), raws, random)
        runs += 1
        began = time.process_time()
        try:
            read_whole(raw)
            if time.process_time() - began < _SLOW:
                continue
            where = f"slow {len(raw)}"
        except Exception as error:
            where = f"{type(error).__name__} {traceback.extract_tb(error.__traceback__)[-1][:2]}"
        if where not in found:
            found.add(where)
            _ROOM.mkdir(exist_ok=True)
            path = _ROOM / f"{hashlib.sha256(raw).hexdigest()[:12]}.eml"
            path.write_bytes(raw)
            print(f"{where}: {path}", flush=True)
    print(f"{runs:,} messages, {len(found)} findings, seed {seed}")
    return len(found)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1) > 0)
