"""A store that is older than what its gateway saw: told once, and again when an operator accepted it."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

from store.authority.audit import record_event
from store.backing_up.restoring import restore
from store.database.modes import Use
from store.enrolment.enrolment import enroll, open_with_credentials
from store.gateway.put_back import PutBack
from store.opening.opening import Unlock, open_store
from tests.conftest import PASSPHRASE


def test_told_once_and_again_when_it_is_accepted(store: str, tmp_path: Path) -> None:
    unlock = Unlock.passphrase(PASSPHRASE)
    with closing(open_store(store, unlock)) as vault:
        enroll(vault, "mx1", tmp_path / "mx1")
    shutil.copy2(store, tmp_path / "kept")
    with closing(open_with_credentials(store, tmp_path / "mx1", tmp_path / "seen")) as gateway:
        record_event(gateway, "lost", operator="", detail="mx1")
    for path in tmp_path.glob(f"{Path(store).name}-*"):
        path.unlink()
    shutil.copy2(tmp_path / "kept", store)
    said: list[str] = []
    told: list[str] = []
    with closing(open_with_credentials(store, tmp_path / "mx1", tmp_path / "seen")) as gateway:

        def say(what: str, **_fields: Any) -> None:
            said.append(what)

        look = PutBack(gateway, say, lambda action, _detail: told.append(action)).look
        for _ in range(3):
            look()
        assert said == ["the store is older than what was seen of it"] and told == ["store older"]
        with closing(open_store(store, unlock, Use.EITHER)) as vault:
            restore(vault)
        with gateway.reading():
            gateway.witness.require_current()
        for _ in range(3):
            look()
        assert said[1:] == ["the store is accepted"] and told[1:] == ["store in use again"]
