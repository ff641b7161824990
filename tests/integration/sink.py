"""A listener in its own thread, whose judge the test can replace."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from store.intake.sink import SinkServer
from store.mail.incoming import Accept, Incoming, Outcome

MAX_SIZE = 50_000_000


class Sink:
    """A listener. `options` are those of SinkServer. It listens on the loopback port `port`, and on `path` if given."""

    def __init__(self, *, path: Path | None = None, port: int = 0, **options: Any) -> None:
        self.judge: Callable[[Incoming], Outcome | Sequence[Outcome]] = lambda _incoming: Accept()
        self.seen: list[Incoming] = []
        self.loop = asyncio.new_event_loop()
        self.server = SinkServer(self._handle, max_size=MAX_SIZE, **options)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port: int = self.call(self.server.listen_tcp("127.0.0.1", port))
        if path is not None:
            self.call(self.server.listen_unix(path, mode=0o666))

    async def _handle(self, incoming: Incoming) -> Outcome | Sequence[Outcome]:
        self.seen.append(incoming)
        return self.judge(incoming)

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run `coroutine` in the listener's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def stop(self) -> None:
        self.call(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
