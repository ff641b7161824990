"""What the console polls a few times a second, so that it shows what others did to the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.verdicts import Engine

if TYPE_CHECKING:
    from store.catalogue import Catalogue
    from store.settings import Settings
    from store.vault import Vault


@dataclass(frozen=True)
class Facts:
    """The store at one moment. `gone` are the copies deleted since the facts before; `copies_changed` says whether the
    list may look different now; `loaded` of `total` records are in the catalogue."""

    used: int
    maximum: int
    oldest: int | None
    engines: Mapping[Engine | None, int]
    queue_length: int
    live: frozenset[int]
    released: Mapping[int, tuple[str, int]]
    settings: Settings
    gone: list[int]
    copies_changed: bool
    loaded: int
    total: int
    complete: bool


class Follower:
    """Polls one store. `poll` belongs to one worker thread."""

    def __init__(self, vault: Vault, catalogue: Catalogue) -> None:
        self._vault = vault
        self._catalogue = catalogue
        self._token: object = None
        self._progress: tuple[int, int, bool] | None = None
        self._tombstone: int | None = None
        self._releases: object = None
        self._released: dict[int, tuple[str, int]] = {}

    def poll(self) -> Facts | None:
        """The facts, or None where nothing changed since the poll before. Raises what the store raises."""
        from store.delivery.listing import live_copies, released_copies, released_token
        from store.settings import read_settings

        vault, catalogue = self._vault, self._catalogue
        changed = catalogue.refresh()
        progress = (catalogue.loaded, catalogue.total, catalogue.complete)
        token = vault.change_token()
        if not changed and token == self._token and progress == self._progress:
            return None
        copies_changed = changed or progress != self._progress
        # The first time it is only asked where the tombstones end: nothing can be marked yet.
        since = 0 if self._tombstone is None else self._tombstone
        tombstone, gone = vault.tombstones_since(since)
        usage = vault.usage()
        live = live_copies(vault)
        if (releases := released_token(vault)) != self._releases:
            self._releases, self._released = releases, released_copies(vault)
        settings = read_settings(vault)
        facts = Facts(
            used=usage.used_bytes,
            maximum=usage.max_bytes,
            oldest=usage.oldest,
            engines=catalogue.engine_counts(),
            queue_length=len(live),
            live=live,
            released=self._released,
            settings=settings,
            gone=[] if self._tombstone is None else gone,
            copies_changed=copies_changed,
            loaded=progress[0],
            total=progress[1],
            complete=progress[2],
        )
        self._token, self._progress, self._tombstone = token, progress, tombstone
        return facts
