"""Values that a filter needs beyond the records (campaigns, links, files), read for a few copies without Polars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from store.campaigns.standing import Standing
from store.catalogue.column_fields import CAMPAIGN_FIELDS, Source, sources_of
from store.filters.model import Beside, MessageFilter
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.campaigns.traits import Texts
    from store.vault.vault import Vault


def besides(vault: Vault, standing: Standing, flt: MessageFilter, ids: Sequence[int]) -> dict[int, Beside]:
    """Return the `beside` argument of `flt.matches` for each copy id; {} if the filter needs none.

    Raises StoreUnavailable. Raises UnlockError if traits are needed and the key is not an operator's.
    """
    fields = flt.asks()
    needs_texts = Source.BODY in sources_of(fields)
    if not needs_texts and fields.isdisjoint(CAMPAIGN_FIELDS):
        return {}
    texts = _texts(vault, ids) if needs_texts else {}
    found = {}
    for copy_id in ids:
        place = standing.place(copy_id)
        one = standing.campaign(place.campaign) if place is not None else None
        campaigns = frozenset({one.id, *one.parts}) if one is not None else frozenset[int]()
        odd = place is not None and bool(place.reasons)
        made = texts.get(copy_id)
        links, files = (made.links, made.files) if made is not None else ((), ())
        found[copy_id] = Beside(campaigns, odd, links, files, looked=made is not None or not needs_texts)
    return found


def _texts(vault: Vault, ids: Sequence[int]) -> dict[int, Texts]:
    """Read the copies' link and file texts; skip damaged ones."""
    from store.campaigns.indexing import traits_of
    from store.campaigns.packing import texts_of

    found = {}
    for copy_id, data in traits_of(vault).read(ids, on_error=lambda _copy_id, _error: None).items():
        try:
            found[copy_id] = texts_of(data, f"the traits of copy {copy_id}")
        except TamperedError:
            continue
    return found
