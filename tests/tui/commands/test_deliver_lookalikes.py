"""`mailhold deliver` leaves out copies whose sender only looks like another, and says how to deliver them."""

from __future__ import annotations

from pathlib import Path

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
    assert done.code == 1 and f"{why}: give --lookalikes to deliver it all the same" in done.err
    assert run("queue", "--json").json == []
    done = run(*order, "--dry-run", "--lookalikes")
    assert done.code == 1 and f"▲ Copy 1 goes all the same: {why}." in done.out
    assert run(*order, "--lookalikes").code == 0
    assert [each["copy_id"] for each in run("queue", "--json").json] == [1]
