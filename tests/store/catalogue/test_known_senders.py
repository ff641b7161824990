"""The number of copies per known sender is loaded when a filter first needs it, and computed from the copies."""

from __future__ import annotations

from store.catalogue.catalogue import Catalogue
from store.filters.line import parse
from store.terms.findings import KnownSender
from store.terms.records import CopyRecord
from store.vault.vault import Vault


def test_it_is_answered_where_a_filter_asked_for_it(vault: Vault) -> None:
    known = (KnownSender(written_to=1), KnownSender(), None, KnownSender(0, 3), KnownSender(domain_other=4))
    ids = vault.put_many((b"x", CopyRecord(known=one), 1) for one in known)
    catalogue = Catalogue(vault)
    assert catalogue.known_senders(ids) is None
    catalogue.start()
    try:
        assert catalogue.wait_complete(60)
        assert catalogue.known_senders(ids) is None
        catalogue.wait_for(parse("known:yes"))
        assert catalogue.known_senders(ids) == 2
        assert catalogue.known_senders([*ids[1:], 99]) == 1
        assert catalogue.known_senders([]) == 0
    finally:
        catalogue.close()
