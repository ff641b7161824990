"""The processes that `test_kill` runs and kills: an import that reports placed copies, and a delivery worker.

python -m tests.integration.kill_child import STORE KEY_FILE FOLDER

python -m tests.integration.kill_child worker STORE KEY_FILE
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from store.opening.opening import Unlock, open_store


def main(mode: str, location: str, key_file: str, *rest: str) -> None:
    vault = open_store(location, Unlock.key_file(Path(key_file)))
    if mode == "import":
        from store.files.mailbox import import_paths

        for path in sorted(Path(rest[0]).iterdir()):
            if import_paths(vault, [path]).imported == 1:
                print(path.name, flush=True)
    else:
        from store.delivery.worker import DeliveryWorker

        print("ready", flush=True)
        asyncio.run(DeliveryWorker(vault, owner="kill", poll=0.05).run(asyncio.Event()))


if __name__ == "__main__":
    main(*sys.argv[1:])
