"""A milter that stores nothing and lets everything pass, in a process of its own: what ours is measured against.

python -m tests.integration.null_milter SOCKET
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from store.intake.incoming import Accept, Incoming, Outcome
from store.intake.milter.server import MilterServer


async def _accept(_incoming: Incoming) -> Outcome:
    return Accept()


async def main(path: Path) -> None:
    server = MilterServer(_accept, max_size=64 << 20)
    await server.listen_unix(path, mode=0o666)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
