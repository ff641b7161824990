"""A catalogue that tightened its texts lets go of the former ones."""

from __future__ import annotations

import pytest

from store.catalogue import sections
from store.catalogue.catalogue import Catalogue
from store.terms.records import CopyRecord
from store.vault.vault import Vault


def test_tightening_is_a_change_once(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.put(b"x", CopyRecord(from_="a@b.example"))
    catalogue = Catalogue(vault)
    try:
        catalogue.start()
        assert catalogue.wait_complete(60)
        follower = catalogue._follower
        assert follower is not None
        while catalogue.refresh():
            pass
        monkeypatch.setattr(sections, "loose", lambda _frame, _name: True)
        catalogue._tighten(follower)
        assert catalogue.refresh() and not catalogue.refresh()
    finally:
        catalogue.close()
