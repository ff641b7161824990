"""Titles of campaigns and texts of their keys, read from a few of their copies."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection

from store.authority.settings import settings_or_former
from store.campaigns.grouping import Handle
from store.campaigns.in_child import spelled_in_child
from store.campaigns.indexing import read_traits
from store.campaigns.keys import Kind, kind_of
from store.campaigns.making import Context, without_prefixes
from store.terms.errors import CopyMissing, TamperedError
from store.terms.folding import fold
from store.vault.vault import Vault

#: Number of best-fitting copies read for a title, and number of copies searched for a key that those lack.
_SPELLED, _SAMPLE = 3, 300


#: Letters of scripts that are written without blanks between words: Thai to Burmese, Khmer, kana, Chinese characters.
_CLOSE = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
_OPENED = re.compile(f"(?<={_CLOSE}) (?={_CLOSE})")


#: Kinds of keys that are made of words, in which folding turns each number into 0.
_OF_WORDS = frozenset({Kind.SUBJECT, Kind.SUBJECT_PAIR, Kind.SENTENCE, Kind.WORDS})


def readable(text: str, kind: Kind | None) -> str:
    """Undo what folding does for comparison: close up ``会 議 の 議 事 録``, and write `#` for a number."""
    text = _OPENED.sub("", text)
    return text.replace("0", "#") if kind in _OF_WORDS else text


_DIGITS = re.compile(r"\d+")


def with_signs(subject: str) -> str:
    """Write a subject as it was, where folding cut its words at signs of their letters, as in Hindi; else ""."""
    if not any(unicodedata.category(character) in ("Mn", "Mc") for character in fold(subject)):
        return ""
    return " ".join(_DIGITS.sub("#", without_prefixes(subject)).lower().split())


class Speller:
    """Finds titles and texts. `known`: texts of keys found earlier."""

    def __init__(self, vault: Vault, known: dict[int, str], stop: Callable[[], None]) -> None:
        self._vault, self._known, self._stop = vault, known, stop
        self._own = tuple(domain.lower() for domain in settings_or_former(vault).local_domains)

    def spelled(self, handle: Handle) -> tuple[str, dict[int, str]]:
        """Return a handle's title, and the texts of the keys of its seed and evidence as far as found. NOT safe."""
        wanted = {handle.seed.key, *(one.key for one in handle.evidence)}
        texts = {key: self._known[key] for key in wanted if key in self._known}
        subjects: Counter[str] = Counter()
        for copy_id in _exemplars(handle, self._vault.present):
            self._spell(copy_id, wanted, texts, subjects)
        # For keys that those copies lack, read other copies that have them.
        for copy_id in self._having(handle, wanted.difference(texts)):
            if not wanted <= texts.keys():
                self._spell(copy_id, wanted, texts, subjects)
        # Equally frequent subjects are ordered alphabetically, so that the title is stable.
        title = min(subjects, key=lambda text: (-subjects[text], text), default="")
        keys = [handle.seed, *handle.evidence]
        others = [text for one in keys if any(map(str.isalpha, text := texts.get(one.key, "")))]
        return title or next(iter(others), texts.get(handle.seed.key, "")), texts

    def _spell(self, copy_id: int, wanted: set[int], texts: dict[int, str], subjects: Counter[str]) -> None:
        self._stop()
        found, subject = self._texts(copy_id)
        found = {key: readable(text, _kind(key)) for key, text in found.items()}
        texts.update((key, found[key]) for key in wanted if key in found)
        title = with_signs(subject)
        subjects.update(title or text for key, text in found.items() if _kind(key) is Kind.SUBJECT)

    def _having(self, handle: Handle, lacking: set[int]) -> list[int]:
        """Choose a copy for each lacking key, as far as a sample has one."""
        if not lacking:
            return []
        copies = [*handle.copies, *(one.copy for one in handle.odd)]
        step = max(1, len(copies) // _SAMPLE)
        having: dict[int, int] = {}
        for copy_id, (traits, _) in read_traits(self._vault, copies[::step]).items():
            keys = lacking.intersection(traits.content).union(lacking.intersection(traits.payload))
            for key in keys.union(lacking.intersection(traits.origin)):
                having.setdefault(key, copy_id)
        return list(dict.fromkeys(having.values()))

    def _texts(self, copy_id: int) -> tuple[dict[int, str], str]:
        """Read the texts of a copy's keys, and its subject."""
        try:
            [row] = self._vault.rows_of([copy_id]) or [self._vault.row(copy_id)]
            copy, place, body_key = self._vault.open_row(row)
            raw = self._vault.open_body(place, body_key, copy.record.sha256)
        except (CopyMissing, TamperedError):
            return {}, ""
        return spelled_in_child(raw, Context(copy.record.client_address, self._own)), copy.record.subject


def _exemplars(handle: Handle, present: Callable[[list[int]], Collection[int]]) -> list[int]:
    """Choose copies that fit best, spread over the handle; odd ones too if few fit (in stolen threads).

    Of copies that are not `present` any more nothing can be read: others are chosen in their place.
    """
    fitting = sorted(range(len(handle.copies)), key=lambda place: -handle.fits[place])
    found: list[int] = []
    for among in (fitting[: max(_SPELLED, len(fitting) // 4)], fitting):
        best = [handle.copies[place] for place in sorted(among)]
        there = present(best)
        best = [copy_id for copy_id in best if copy_id in there]
        found = best[:: max(1, len(best) // _SPELLED)]
        if found:
            break
    return [*found, *(one.copy for one in handle.odd)][:_SPELLED]


def _kind(key: int) -> Kind | None:
    """Return the kind of a key; None for a number unknown to this version of Mailhold."""
    try:
        return kind_of(key)
    except ValueError:
        return None
