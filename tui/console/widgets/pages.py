"""The rows of a result, fetched page by page in a thread, and cached."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from functools import partial
from typing import Protocol

from store.terms.records import Row

#: Rows per page.
PAGE = 200
_KEPT = 32
#: Seconds for which painting waits for a page. A page takes 1 ms, so placeholders rarely flicker.
_PATIENCE = 0.012


class Result(Protocol):
    """The part of a catalogue's selection that the list needs."""

    @property
    def count(self) -> int: ...

    @property
    def total(self) -> int: ...

    @property
    def partial(self) -> bool: ...

    @property
    def high_water(self) -> int: ...

    @property
    def unread(self) -> int: ...

    @property
    def returned(self) -> frozenset[int]: ...

    def rows(self, start: int, stop: int, *, identifiers: bool = True) -> Sequence[Row]: ...

    def ids(self, start: int = 0, stop: int | None = None) -> list[int]: ...

    def position(self, copy_id: int) -> int | None: ...

    def among(self, ids: Iterable[int]) -> set[int]: ...


class Pages:
    """The rows of an immutable result.

    `arrived` is called in the fetching thread when a missing page has been fetched.
    """

    def __init__(self, result: Result, pool: ThreadPoolExecutor, arrived: Callable[[Pages], None]) -> None:
        self.result = result
        self._pool = pool
        self._arrived = arrived
        self._pages: OrderedDict[int, Sequence[Row]] = OrderedDict()
        self._asked: dict[int, Future[Sequence[Row]]] = {}
        self._lock = threading.Lock()

    def load(self, start: int, stop: int) -> None:
        """Fetch the pages of these rows in the calling thread: that of the worker that made the result."""
        last = max(0, min(stop, self.result.count) - 1)
        for page in range(max(0, start) // PAGE, last // PAGE + 1):
            if page not in self._pages:
                self._keep(page, self._fetch(page))

    def row(self, index: int) -> Row | None:
        """Return a row, without its identifiers; None while it is being fetched."""
        rows = self._page(index // PAGE)
        place = index % PAGE
        return rows[place] if rows is not None and place < len(rows) else None

    def whole(self, index: int) -> Row | None:
        """Return a row with its identifiers, which `row` leaves out. Takes some milliseconds."""
        return next(iter(self.result.rows(index, index + 1)), None)

    def expect(self, start: int, stop: int) -> None:
        """Start fetching the pages of these rows, without waiting: cursor steps will need them next."""
        last = min(stop, self.result.count) - 1
        for page in range(max(0, start) // PAGE, last // PAGE + 1):
            with self._lock:
                if page in self._pages or page in self._asked:
                    continue
                future = self._asked[page] = self._pool.submit(self._fetch, page)
            future.add_done_callback(partial(self._late, page))

    def around(self, index: int) -> Sequence[Row]:
        """Return the rows of the page that contains a row; () if it is not loaded."""
        return self._pages.get(index // PAGE, ())

    def _page(self, page: int) -> Sequence[Row] | None:
        with self._lock:
            if page in self._pages:
                self._pages.move_to_end(page)
                return self._pages[page]
            if page in self._asked:
                return None
            future = self._asked[page] = self._pool.submit(self._fetch, page)
        try:
            rows = future.result(_PATIENCE)
        except TimeoutError:
            future.add_done_callback(partial(self._late, page))
            return None
        except Exception:  # the store is gone or damaged: keep placeholders; the next poll reports the error
            self._asked.pop(page, None)
            return None
        self._keep(page, rows)
        return rows

    def _fetch(self, page: int) -> Sequence[Row]:
        return self.result.rows(page * PAGE, (page + 1) * PAGE, identifiers=False)

    def _keep(self, page: int, rows: Sequence[Row]) -> None:
        with self._lock:
            self._asked.pop(page, None)
            self._pages[page] = rows
            while len(self._pages) > _KEPT:
                self._pages.popitem(last=False)

    def _late(self, page: int, future: Future[Sequence[Row]]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._asked.pop(page, None)
            return
        self._keep(page, future.result())
        self._arrived(self)
