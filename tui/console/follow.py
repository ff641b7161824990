"""Polls the store a few times a second, so that the console shows changes by others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from store.authority.settings import Settings, former_settings, read_settings
from store.campaigns.standing import Standing
from store.filters.saved import SavedFilter, read_saved_filters
from store.space.limits import usage
from store.terms.errors import StoreFormat, TamperedError, UnlockError
from store.terms.verdicts import Engine
from tui.console.campaign_reading import offered_count
from tui.terminal.words import counted

if TYPE_CHECKING:
    from store.campaigns.finder import Finder
    from store.campaigns.reading import StandingReader
    from store.catalogue.catalogue import Catalogue
    from store.catalogue.columns import Reading
    from store.delivery.releases import Releases
    from store.mail.outcome import Attention, Delivered
    from store.vault.vault import Vault

DISK_FULL = "The disk of this store is full: no new copies can be placed in Backup. Delete copies and empty the bin."
#: After a poll that found changes the pause is at least this many times as long as it took, so that a store in which
#: much happens costs at most a quarter of one CPU; but at most `MOST_REST` seconds, because a long poll has only waited
#: for the database.
REST, MOST_REST = 3, 5.0
#: Seconds between two polls while copies are loaded, which uses every CPU.
LOADING_REST = 0.3
#: Seconds after loading during which the finder does not start: the catalogue works on what it loaded.
FINDER_REST = 10.0


@dataclass(frozen=True)
class Facts:
    """The state of the store at one moment.

    `gone`: copies deleted since the previous facts; `back`: copies back from the bin since then; `copies_changed`: the
    list may look different now. `loaded` of `total` records are in the catalogue; `reading`: extra data being loaded
    for certain filters, or None. `problem`: what is wrong with a part of the store, or "". `used`, `maximum` and `free`
    are bytes, as in `store.space.limits.Usage`. `settings_problem`: why the settings cannot be read, or ""; if set,
    `settings` are the last known. `binned`: number of copies in the bin. `campaigns`: number of campaigns for which an
    act is offered. `standing` (the campaigns) and `saved` (the saved filters) stay the same object while nothing
    changes in them. `disk_full`: the store's disk has nearly no free space.
    """

    used: int
    maximum: int
    free: int
    oldest: int | None
    engines: Mapping[Engine | None, int]
    queue_length: int
    binned: int
    live: frozenset[int]
    outcomes: Mapping[int, Delivered]
    attention: Attention
    settings: Settings
    gone: list[int]
    back: list[int]
    copies_changed: bool
    loaded: int
    total: int
    complete: bool
    problem: str
    settings_problem: str = ""
    standing: Standing = field(default_factory=Standing)
    campaigns: int = 0
    reading: Reading | None = None
    saved: tuple[SavedFilter, ...] = ()
    disk_full: bool = False


class Follower:
    """Polls one store, and lets a `finder` look for campaigns, if given. Call `poll` in one worker thread only."""

    def __init__(
        self,
        vault: Vault,
        catalogue: Catalogue,
        finder: Finder | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._clock = clock
        #: By `clock`: before that moment only changes made by this console are worth a poll.
        self.rest_until = 0.0
        self._finder = finder
        self._catalogue = catalogue
        self._seen: tuple[object, ...] | None = None
        self._deleted: tuple[int, int] | None = None
        self._releases: Releases | None = None
        self._settings: Settings | None = None
        self._settings_problem = ""
        self._standing: StandingReader | None = None
        self._saved: tuple[SavedFilter, ...] = ()
        self._problem = ""
        self._complete_at = 0.0

    def poll(self) -> Facts | None:
        """Return the facts, or None if nothing changed since the last poll. Raises what the store raises."""
        vault, catalogue, began = self._vault, self._catalogue, self._clock()
        vault.require_there()  # An open file can be read even if another one is in its place.
        vault.erasing.finish(1)
        self._look_for_campaigns(began)
        changed = catalogue.refresh()
        reading = catalogue.reading
        progress = (catalogue.loaded, catalogue.total, catalogue.complete, reading, catalogue.read_changes)
        unfound = self._finder.problem if self._finder is not None else ""
        full = vault.read_only is None and vault.room.is_short()
        seen = (vault.change_token(), progress, catalogue.problem, len(catalogue.damaged), unfound, full)
        if not changed and seen == self._seen:
            return None
        copies_changed = changed or self._seen is None or seen[1] != self._seen[1]
        deleted, gone, back = self._gone()
        self._problem = catalogue.problem or _damage(len(catalogue.damaged)) or (DISK_FULL if full else "")
        settings = self._read_settings()
        releases = self._read_releases()
        catalogue.standing = self._read_standing()
        space = usage(vault)
        facts = Facts(
            used=space.used_bytes,
            maximum=space.max_bytes,
            free=space.free_bytes,
            oldest=space.oldest,
            engines=catalogue.engine_counts(),
            queue_length=releases.waiting,
            binned=space.binned,
            live=releases.live,
            outcomes=releases.outcomes,
            attention=releases.attention,
            settings=settings,
            gone=gone,
            back=back,
            copies_changed=copies_changed,
            loaded=progress[0],
            total=progress[1],
            complete=progress[2],
            problem=self._problem,
            settings_problem=self._settings_problem,
            standing=catalogue.standing,
            campaigns=offered_count(catalogue, catalogue.standing),
            reading=reading,
            saved=self._read_saved(),
            disk_full=full,
        )
        ended = self._clock()
        rest = min(REST * (ended - began), MOST_REST)
        self.rest_until = ended + max(rest, 0.0 if facts.complete else LOADING_REST)
        self._seen, self._deleted = seen, deleted
        return facts

    def _look_for_campaigns(self, now: float) -> None:
        """Let the finder work, but not while the catalogue loads or has just been loaded: both use every CPU."""
        if self._finder is None or self._standing is None or not self._catalogue.complete:
            return
        self._complete_at = self._complete_at or now
        if now - self._complete_at >= FINDER_REST:
            self._finder.look(self._standing)

    def _gone(self) -> tuple[tuple[int, int], list[int], list[int]]:
        """Return the newest tombstone and bin journal row, and the ids of copies deleted since the
        last poll (also into the bin) and of those back from the bin.

        The first poll returns no ids: nothing is marked yet.
        """
        vault = self._vault
        if self._deleted is None:
            return (vault.newest_tombstone(), vault.bin.newest_row()), [], []
        tombstone, gone = vault.tombstones_since(self._deleted[0])
        try:
            row, touched = vault.bin.touched_since(self._deleted[1])
        except TamperedError:  # `check` reports it; the catalogue compares all ids
            row, touched = vault.bin.newest_row(), []
        there = vault.present(touched) if touched else set()
        gone = gone + [copy_id for copy_id in touched if copy_id not in there]
        return (tombstone, row), gone, sorted(there)

    def _read_settings(self) -> Settings:
        """Read the settings; if that fails, keep the last known ones and note the problem."""
        self._settings_problem = ""
        try:
            self._settings = read_settings(self._vault)
        except (TamperedError, StoreFormat) as error:
            self._problem = self._settings_problem = str(error)
            self._settings = self._settings or former_settings(self._vault)
        return self._settings or Settings()

    def _read_saved(self) -> tuple[SavedFilter, ...]:
        """Read the saved filters; if that fails, keep the last known ones and note the problem."""
        try:
            saved = read_saved_filters(self._vault)
        except (TamperedError, StoreFormat) as error:
            self._problem = self._problem or str(error)
        else:
            self._saved = self._saved if saved == self._saved else saved
        return self._saved

    def _read_standing(self) -> Standing:
        """Read the campaigns; return an empty standing if the present keys cannot open them."""
        if self._standing is None:
            from store.campaigns.reading import StandingReader

            try:
                self._standing = StandingReader(self._vault)
            except UnlockError:
                return Standing()
        standing = self._standing.read()
        self._problem = self._problem or next(iter(standing.problems), "")
        if self._finder is not None:
            self._problem = self._problem or self._finder.problem
        return standing

    def _read_releases(self) -> Releases:
        if self._releases is None:
            from store.delivery.releases import Releases

            # Catalogue and follower share one cache of the deliveries.
            self._catalogue.releases = self._releases = Releases(self._vault)
        self._releases.read()
        self._problem = self._problem or _damaged_deliveries(self._releases.damaged)
        return self._releases


def _damaged_deliveries(number: int) -> str:
    if not number:
        return ""
    what = counted(number, "delivery is", "deliveries are")
    return f"{what} damaged or tampered with. See Message queue."


def _damage(number: int) -> str:
    if not number:
        return ""
    what = counted(number, "message copy is", "message copies are")
    return f"{what} damaged or tampered with and cannot be listed. Run `mailhold check`."
