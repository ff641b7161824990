"""Rows of one result, fetched a page at a time by a thread and kept while they are near."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from functools import partial
from typing import Protocol

from store.terms.records import Row

#: Rows a page.
PAGE = 200
_KEPT = 32
#: How long a paint waits for a page before it draws placeholders: a page takes 1 ms, and so there is no flicker.
_PATIENCE = 0.012


class Result(Protocol):
    """What the list needs of a catalogue's selection."""

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

    def rows(self, start: int, stop: int) -> Sequence[Row]: ...

    def ids(self, start: int = 0, stop: int | None = None) -> list[int]: ...

    def position(self, copy_id: int) -> int | None: ...

    def among(self, ids: Iterable[int]) -> set[int]: ...


class Pages:
    """The rows of one immutable result. `arrived` is told, from the fetching thread, that a missing page has come."""

    def __init__(self, result: Result, pool: ThreadPoolExecutor, arrived: Callable[[Pages], None]) -> None:
        self.result = result
        self._pool = pool
        self._arrived = arrived
        self._pages: OrderedDict[int, Sequence[Row]] = OrderedDict()
        self._asked: dict[int, Future[Sequence[Row]]] = {}
        self._lock = threading.Lock()

    def load(self, start: int, stop: int) -> None:
        """Fetch the pages of these rows in the calling thread; for the worker that made the result."""
        last = max(0, min(stop, self.result.count) - 1)
        for page in range(max(0, start) // PAGE, last // PAGE + 1):
            if page not in self._pages:
                self._keep(page, self._fetch(page))

    def row(self, index: int) -> Row | None:
        """Return a row; None while it is being fetched."""
        rows = self._page(index // PAGE)
        place = index % PAGE
        return rows[place] if rows is not None and place < len(rows) else None

    def expect(self, start: int, stop: int) -> None:
        """Have the pages of these rows fetched, without waiting: the next steps will want them."""
        last = min(stop, self.result.count) - 1
        for page in range(max(0, start) // PAGE, last // PAGE + 1):
            with self._lock:
                if page in self._pages or page in self._asked:
                    continue
                future = self._asked[page] = self._pool.submit(self._fetch, page)
            future.add_done_callback(partial(self._late, page))

    def around(self, index: int) -> Sequence[Row]:
        """Return the rows of the page that holds a row, as far as they are there."""
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
        except Exception:  # the store is gone or damaged: the rows stay placeholders, and the next poll reports it
            self._asked.pop(page, None)
            return None
        self._keep(page, rows)
        return rows

    def _fetch(self, page: int) -> Sequence[Row]:
        return self.result.rows(page * PAGE, (page + 1) * PAGE)

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
