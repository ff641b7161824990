"""Fixtures that every test may use: stores on both databases, and the corpus of real messages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import keys
from store.opening import Unlock, create_store, open_store
from store.vault import Vault

for _name in ("NO_COLOR", "TEXTUAL_THEME"):
    os.environ.pop(_name, None)

PASSPHRASE = "correct horse battery staple"
CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"


@pytest.fixture(autouse=True)
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id at its least cost: the tests open thousands of stores."""
    monkeypatch.setattr(keys, "ARGON2_COST", keys.Argon2Cost(64, 1, 1))


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The location of a new SQLite store. It opens with `PASSPHRASE`."""
    location = str(tmp_path / "mail.store")
    vault, _recovery = create_store(location, passphrase=PASSPHRASE)
    vault.close()
    return location


@pytest.fixture
def open_again(store: str) -> Iterator[Callable[[], Vault]]:
    """A function that opens `store` once more, as another process would."""
    opened: list[Vault] = []

    def again() -> Vault:
        opened.append(open_store(store, Unlock.passphrase(PASSPHRASE)))
        return opened[-1]

    yield again
    for vault in opened:
        vault.close()


@pytest.fixture
def vault(store: str) -> Iterator[Vault]:
    """`store`, open."""
    opened = open_store(store, Unlock.passphrase(PASSPHRASE))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real and malformed messages."""
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus of real messages at {CORPUS}")
    return CORPUS


@pytest.fixture(scope="session")
def corpus_files(corpus: Path) -> list[Path]:
    """Every file of the corpus, sorted."""
    return sorted(path for path in corpus.rglob("*") if path.is_file())
