"""The vault calls the space upkeep that it was given after puts and deletions."""

from __future__ import annotations

from store.opening.opening import Unlock, open_store
from store.space.rotation import Rotation
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.upkeep import NoUpkeep, Upkeep
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE


class Recorder:
    """Reports after each put the excess (bytes), and records whether it was called in a transaction."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.over = [0]
        self.told: list[tuple[str, int, bool]] = []

    def after_put(self, used: int) -> int:
        self.told.append(("put", used, self.vault.db.in_transaction()))
        over = self.over.pop(0)
        if over < 0:
            raise StoreUnavailable("The store is busy.")
        return over

    def after_delete(self) -> None:
        self.told.append(("deleted", 0, self.vault.db.in_transaction()))


def test_it_is_told_in_the_transaction_and_again_while_there_is_too_much(any_vault: Vault) -> None:
    made: list[Recorder] = []

    def make(vault: Vault) -> Recorder:
        made.append(Recorder(vault))
        return made[0]

    vault = Vault(any_vault.location, any_vault.db, any_vault.models, any_vault.keys, make)
    [recorder] = made
    first = vault.put(b"x" * 100, CopyRecord())
    used = vault.count().used_bytes
    recorder.over = [7, -1]  # A failure after the commit does not fail a put: the copy is durable.
    second = vault.put(b"y" * 100, CopyRecord())
    assert vault.ids() == [first, second]
    both = vault.count().used_bytes
    assert recorder.told == [("put", used, True), ("put", both, True), ("put", both, False)]
    vault.delete([first], cause="rotated")
    assert len(recorder.told) == 3
    vault.delete([first, second])
    assert recorder.told[3:] == [("deleted", 0, False)]
    vault.epoch_writer.drop()


def test_who_opens_a_store_hands_in_the_rotation_and_a_reader_has_none(any_vault: Vault) -> None:
    opened = open_store(any_vault.location, Unlock.passphrase(PASSPHRASE))
    reader = Vault.from_key_material(any_vault.location, any_vault.worker_key_material())
    try:
        kinds: list[Upkeep] = [opened._upkeep, reader._upkeep]
        assert [type(kind) for kind in kinds] == [Rotation, NoUpkeep]
    finally:
        opened.close()
        reader.close()
