"""What campaigns are called, and what their keys stand for: spelled out of a few of their copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from store.authority.settings import settings_or_former
from store.campaigns.grouping import Handle
from store.campaigns.in_child import spelled_in_child
from store.campaigns.keys import Kind, kind_of
from store.campaigns.making import Context
from store.terms.errors import CopyMissing, TamperedError
from store.vault.vault import Vault

#: So many copies are spelled to find the texts of a campaign's keys, and so many at least for its title.
_SPELLED, _TITLED = 8, 3


class Speller:
    """Finds titles and texts. `known`: texts of keys that were spelled before."""

    def __init__(self, vault: Vault, known: dict[int, str], stop: Callable[[], None]) -> None:
        self._vault, self._known, self._stop = vault, known, stop
        self._own = tuple(domain.lower() for domain in settings_or_former(vault).local_domains)

    def spelled(self, handle: Handle) -> tuple[str, dict[int, str]]:
        """The title, and the texts of the keys of seed and evidence, as far as copies tell them. NOT safe."""
        wanted = {handle.seed.key, *(one.key for one in handle.evidence)}
        texts = {key: self._known[key] for key in wanted if key in self._known}
        subjects: Counter[str] = Counter()
        for number, copy_id in enumerate(_exemplars(handle)):
            if number >= _TITLED and len(texts) == len(wanted):
                break
            self._stop()
            found = self._texts(copy_id)
            texts.update((key, found[key]) for key in wanted if key in found)
            subjects.update(text for key, text in found.items() if _is_subject(key))
        # As often as another: the first in the alphabet, so that it does not change by itself.
        title = min(subjects, key=lambda text: (-subjects[text], text), default="")
        return title or texts.get(handle.seed.key, ""), texts

    def _texts(self, copy_id: int) -> dict[int, str]:
        try:
            [row] = self._vault.rows_of([copy_id]) or [self._vault.row(copy_id)]
            copy, place, body_key = self._vault.open_row(row)
            raw = self._vault.open_body(place, body_key, copy.record.sha256)
        except (CopyMissing, TamperedError):
            return {}
        return spelled_in_child(raw, Context(copy.record.client_address, self._own))


def _exemplars(handle: Handle) -> list[int]:
    """Copies that fit best, spread over the handle."""
    best = sorted(range(len(handle.copies)), key=lambda place: -handle.fits[place])[
        : max(_SPELLED, len(handle.fits) // 4)
    ]
    best.sort()
    step = max(1, len(best) // _SPELLED)
    return [handle.copies[place] for place in best[::step][:_SPELLED]]


def _is_subject(key: int) -> bool:
    try:
        return kind_of(key) is Kind.SUBJECT
    except ValueError:
        return False
