"""A milter that stores nothing, in a process of its own: what ours is measured against.

python -m tests.integration.null_milter SOCKET accept|discard
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from store.intake.milter.server import MilterServer
from store.mail.incoming import Accept, Discard, Incoming, Outcome


async def main(path: Path, outcome: Outcome) -> None:
    async def answer(_incoming: Incoming) -> Outcome:
        return outcome

    server = MilterServer(answer, max_size=64 << 20)
    await server.listen_unix(path, mode=0o666)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Discard() if sys.argv[2] == "discard" else Accept()))
