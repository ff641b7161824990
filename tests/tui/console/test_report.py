"""The window of an outcome: each reason once, with its copies in a form that the commands take."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from store.terms.errors import CopyBinned, CopyMissing
from tui.console.dialogs import report
from tui.console.dialogs.report import ReportDialog, reasons

WHY = ["it is gone for good", "its delivery is not finished: cancel that delivery first", "\x1b[31mred"]


def copies_in(text: str) -> dict[str, list[int]]:
    """Read the text back: the ids of each reason, in the order shown."""
    found: dict[str, list[int]] = {}
    for block in text.split("\n\n"):
        words = " ".join(block.split())
        why, ids = re.fullmatch(r"▲ (.*) (?:copy|[\d,]+ copies:) ([\d, -]+)", words).groups()
        assert why not in found
        found[why] = [
            number for run in ids.split(", ") for number in range(int(run.split("-")[0]), int(run.split("-")[-1]) + 1)
        ]
    return found


@given(st.dictionaries(st.integers(1, 60_000) | st.integers(990, 1_010), st.sampled_from(WHY[:2]), min_size=1))
def test_each_reason_is_there_once_with_its_copies_ascending(failures: dict[int, str]) -> None:
    naive: dict[str, list[int]] = {}
    for copy_id in sorted(failures):
        naive.setdefault(failures[copy_id], []).append(copy_id)
    assert copies_in(reasons(failures.items())) == naive


def test_ids_are_ranges_without_separators() -> None:
    failures = [(number, WHY[0]) for number in (39950, *range(39910, 39900, -1))]
    assert reasons(failures) == f"▲ {WHY[0]}\n  11 copies: 39901-39910, 39950"
    assert reasons([(39950, WHY[0])]).endswith("\n  copy 39950")


def test_copies_that_are_gone_share_one_reason() -> None:
    binned = [(number, str(CopyBinned(number))) for number in range(1, 121)]
    missing = [(number, str(CopyMissing(number))) for number in range(200, 300)]
    broken = [(number, f"copy {number} does not verify: its body was changed") for number in (7, 70, 700)]
    other = [(70, "copy 700 does not verify"), (71, "copy 7 is 71 bytes")]
    assert copies_in(reasons([*binned, *missing, *broken, *other])) == {
        "it is in the bin: u in Bin brings it back": [*range(1, 121)],
        "it was deleted, removed by rotation, or never existed": [*range(200, 300)],
        "this copy does not verify: its body was changed": [7, 70, 700],
        "copy 700 does not verify": [70],
        "copy 7 is 71 bytes": [71],
    }


def test_a_very_long_list_says_how_many_more_and_how_far_they_go() -> None:
    odd = [(number, WHY[0]) for number in range(1, 40_000, 2)]
    words = " ".join(reasons(odd).split())
    assert words.startswith(f"▲ {WHY[0]} 20,000 copies: 1, 3, 5,")
    assert words.endswith(", 397, 399 and 19,800 more up to 39999")


def test_very_many_reasons_are_counted() -> None:
    many = reasons([(number, f"reason {number}") for number in range(1, 1_001)])
    assert many.count("▲") == report._REASONS + 1
    assert many.endswith("▲ 800 other reasons\n  800 copies: 201-1000")


def test_nothing_in_a_reason_reaches_the_terminal_unsafe() -> None:
    assert "\x1b" not in reasons([(1, WHY[2])])


def test_the_window_shows_them() -> None:
    dialog = ReportDialog("Deliver message", 4, "placed in queue", [(number, WHY[0]) for number in range(1, 108)])
    texts = [str(each.visual) for each in dialog.body()]  # type: ignore[attr-defined]
    assert texts == [
        "4 copies placed in queue, 107 were not placed in queue:",
        f"▲ {WHY[0]}\n  107 copies: 1-107",
    ]
