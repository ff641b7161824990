"""A scripted operator clears a small wave by keyboard: its cost, and the copies that are never lost."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.benchmarks.clearing import Account, drive, stored
from tests.waves.wave import Size, make
from tui.demo.receiver import Receiver

WAVE = Size(500, 5, 15, 3, 10)


@pytest.fixture(scope="module")
def wave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wave")
    make(folder, 77, WAVE)
    return folder


@pytest.mark.parametrize("known", [0.0, 0.8])
async def test_an_operator_clears_a_wave_in_few_keys_and_loses_no_aimed_copy(
    wave: Path, known: float, tmp_path: Path
) -> None:
    receiver = Receiver(tmp_path / "received")
    receiver.start()
    try:
        vault, truth = stored(tmp_path, wave, known, f"smtp://127.0.0.1:{receiver.port}")
        account = Account(truth)
        with closing(vault):
            await drive(vault, account)
            assert len(vault.ids()) == len(truth) - account.deleted.total()
    finally:
        receiver.stop()
    assert account.done > 0.6
    assert account.deleted["aimed"] == 0
    assert account.released["aimed"] == account.released["campaign"] == 0
    assert bool(account.released["good"]) is bool(known)
    assert account.acts <= 10


async def test_every_act_on_a_campaign_comes_back(wave: Path, tmp_path: Path) -> None:
    vault, truth = stored(tmp_path, wave, 0.0, "")
    account = Account(truth)
    with closing(vault):
        await drive(vault, account, back=True)
        assert account.acts > 2
        assert sorted(vault.ids()) == sorted(truth)
