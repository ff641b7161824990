"""Have PostgreSQL free the space of removed copies while mail keeps coming in, in a thread of its own.

SQLite needs none of this: it reuses the pages of deleted rows at once.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from store.database.connection import PostgresStore, translated
from store.database.vacuuming import vacuum
from store.terms.errors import MailholdError
from store.vault.vault import Vault

#: Bytes removed between two runs: this share of the maximum size, but at least `_LEAST_BYTES`.
_SHARE, _LEAST_BYTES = 32, 4 * 1024 * 1024


class Reclaiming:
    """Frees the space of what one vault's rotation removed. Call `removed` under the writer's lock."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._bytes = 0
        self._thread: threading.Thread | None = None

    def removed(self, size: int, maximum: int) -> None:
        """Note that copies of `size` bytes were removed; start to free space if that has become much.

        `maximum` is the store's maximum size (bytes).
        """
        if not isinstance(self._vault.db, PostgresStore):
            return
        self._bytes += size
        if self._bytes < max(_LEAST_BYTES, maximum // _SHARE) or (self._thread is not None and self._thread.is_alive()):
            return
        thread = threading.Thread(target=self._free, name="vacuum", daemon=True)
        # If the system has no thread left, the copies are stored all the same; the next removal tries again.
        with suppress(RuntimeError):
            thread.start()
            self._bytes, self._thread = 0, thread

    def wait(self) -> None:
        """Wait until a run that was started has ended."""
        if self._thread is not None:
            self._thread.join()

    def _free(self) -> None:
        db = self._vault.db
        # If it fails, the next run frees this run's space as well, and so does the server's own VACUUM.
        with suppress(MailholdError):
            try:
                with translated(self._vault.location):
                    vacuum(db)
            finally:
                with translated(self._vault.location):
                    db.close()
