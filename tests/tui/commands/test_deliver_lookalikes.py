"""`mailhold deliver` skips copies whose sender only looks like another, and says how to deliver them."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.delivery.lookalikes import LOOKALIKE
from tests.store.delivery.test_lookalikes import letter
from tests.tui.commands.test_cli import Run, run

__all__ = ["run"]


def test_it_is_left_out_unless_it_is_asked_for(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    (tmp_path / "a.eml").write_bytes(letter("ceo@corp-ho1ding.example"))
    assert run("import", tmp_path / "a.eml").code == 0
    run("settings", "set", "relay=smtp://127.0.0.1:9", "local_domains=corp-holding.example")
    why = f"{LOOKALIKE}: corp-ho1ding.example ~ corp-holding.example, an own domain"
    order = ("deliver", 1, "--also", "it@corp.example")
    done = run(*order, "--dry-run")
    assert done.code == 1 and f"▲ Copy 1 is left out: {why}." in done.out
    assert "Left out: 1 copy (1 of look-alike senders)." in done.out
    done = run(*order)
    assert done.code == 1 and f"{why}: add --lookalikes to deliver it anyway" in done.err
    assert run("queue", "--json").json == []
    done = run(*order, "--dry-run", "--lookalikes")
    assert done.code == 1 and f"▲ Copy 1 is delivered anyway: {why}." in done.out
    assert run(*order, "--lookalikes").code == 0
    assert [each["copy_id"] for each in run("queue", "--json").json] == [1]


@pytest.mark.parametrize("polars", [True, False], ids=["with Polars", "without"])
def test_the_first_of_a_subject_counts_here_too(
    run: Run, tmp_path: Path, polars: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.catalogue.subjects.installed", lambda _name: polars)
    assert run("init").code == 0
    for name, sender in (("a.eml", "zoe@fernpay.example"), ("b.eml", "zoe@fempay.example")):
        (tmp_path / name).write_bytes(letter(sender))
        assert run("import", tmp_path / name).code == 0
    run("settings", "set", "relay=smtp://127.0.0.1:9")
    done = run("deliver", 1, 2, "--also", "it@corp.example")
    assert done.code == 1 and "fempay.example ~ fernpay.example, same subject as copy 1:" in done.err
    assert [each["copy_id"] for each in run("queue", "--json").json] == [1]
