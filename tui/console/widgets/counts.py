"""The counts beside the filter line: copies listed, in Backup, marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui.console.widgets.pages import Result

if TYPE_CHECKING:
    from store.catalogue.columns import Reading


def loading_words(loaded: int, total: int, complete: bool, reading: Reading | None) -> tuple[str, str]:
    """Return what is being loaded ("" for the copies themselves) and the loaded share; both "" once all is loaded."""
    if not complete:
        return "", f"{100 * loaded // max(1, total)} %"
    return ("", "") if reading is None else (reading.what, reading.share)


def counts_line(
    result: Result,
    *,
    filtered: bool,
    problem: bool,
    loading: tuple[str, str],
    range_count: int,
    marked: int,
    outside: int,
    gone: int,
    zone: str,
    wide: bool,
) -> Content:
    """Write the counts for a list that shows `result`, in few words unless `wide`.

    `problem`: the filter line cannot be read; `loading`: from `loading_words`; `range_count`: rows in a range that is
    not ended; `outside`: marked copies that are not listed; `gone`: further marked copies that others deleted.
    """
    total = f"{result.total:,}"
    if filtered:
        shown = f"{result.count:,}{'+' if result.partial else ''} {'shown of' if wide else 'of'} {total}"
    else:
        shown = f"{total} {'copy' if result.total == 1 else 'copies'}"
    parts = [Content("▲ not read").stylize("$danger")] if problem else []
    parts.append(Content(shown))
    what, share = loading
    if share:
        parts.append(Content(f"reading {what} {share}" if what and wide else f"reading {share}").stylize("$muted"))
    if result.unread:
        parts.append(Content(f"{result.unread:,} not indexed").stylize("$warning"))
    if range_count:
        parts.append(Content(f"range of {range_count:,}").stylize("$accent"))
    if marked:
        hidden = f", {outside:,} not shown" if outside and wide else ""
        text = f"● {marked:,} marked{hidden}" if wide else f"● {marked:,}"
        parts.append(Content(text).stylize("bold $accent"))
    if gone:
        parts.append(Content(f"{gone:,} marked {'is' if gone == 1 else 'are'} gone" if wide else f"{gone:,} gone"))
    if wide:
        parts.append(Content(zone).stylize("$muted"))
    return Content("   " if wide else " ").join(parts)
