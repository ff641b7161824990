"""The window that asks for the folder to save message copies in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Static

from store.terms.errors import SaveError
from tui.console.dialogs.base import Dialog
from tui.console.dialogs.chosen import Summary
from tui.console.tasks import run_in_thread
from tui.console.widgets.controls import Field, PushButton
from tui.terminal.words import copies, counted


class FolderSuggester(Suggester):
    """Completes a folder's path like a shell: the first folder that begins with the typed text."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        head, _, part = value.rpartition("/")
        if not head and not value.startswith("/"):
            return None
        names = await run_in_thread(lambda: _folders(head or "/", part), name="folder suggestion")
        return f"{head}/{names[0]}" if names else None


def _folders(folder: str, part: str) -> list[str]:
    """List the folders in `folder` whose names begin with `part`, sorted.

    Hidden ones only if `part` begins with a dot.
    """
    try:
        with os.scandir(Path(folder).expanduser()) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(part) and entry.is_dir()]
    except (OSError, RuntimeError, ValueError):
        return []
    return sorted(name for name in names if name.isprintable() and (part or not name.startswith(".")))


def writable_folder(text: str) -> Path:
    """Resolve the folder that `text` names. Raises `SaveError` if it is not a folder or not writable."""
    if not text.strip() or "\0" in text:
        raise SaveError("Enter the folder to save to.")
    try:
        folder = Path(text.strip()).expanduser().absolute()
        if not folder.exists():
            raise SaveError(f"There is no folder {folder}. Create it first, or enter another.")
        if not folder.is_dir():
            raise SaveError(f"{folder} is a file, not a folder. Enter a folder.")
    except (OSError, RuntimeError) as error:
        raise SaveError(f"The folder cannot be read: {error}. Enter another.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SaveError(f"You may not write to {folder}. Enter another, or change its permissions.")
    return folder


class SaveDialog(Dialog[Path]):
    """Asks for the folder to save `count` copies to; returns it, or None.

    `dangerous` copies are infected or probably infected, which is warned about; `outside` are marked but not shown by
    the filter; `summary` says which copies are concerned.
    """

    heading = "Save message"
    first_focus = "#folder"

    def __init__(
        self, count: int, *, folder: Path, dangerous: int = 0, outside: int = 0, summary: Summary | None = None
    ) -> None:
        super().__init__()
        self.count = count
        self.folder = folder
        self.dangerous = dangerous
        self.outside = outside
        self.summary = summary

    def body(self) -> Iterable[Widget]:
        plural = self.count != 1
        if self.summary is not None:
            yield from self.summary.lines()
        yield Static(f"{copies(self.count)} to the folder", markup=False)
        field = Field(str(self.folder), id="folder")
        field.suggester = FolderSuggester()
        yield field
        yield Static(
            f"{'Each copy is' if plural else 'The copy is'} written byte for byte as an .eml file that only you can "
            "read, under a name of its own; no file is overwritten.",
            markup=False,
            classes="note gap",
        )
        if self.outside:
            text = f"{counted(self.outside, 'marked copy is', 'marked copies are')} outside the filter shown."
            yield Static(f"▲ {text}", markup=False, classes="warning gap")
        if self.dangerous:
            subject = counted(self.dangerous, "of them is", "of them are") if plural else "It is"
            yield Static(
                f"▲ {subject} infected or probably infected. Saving infected and probably infected messages on the "
                "hard drive poses a security threat to this computer.",
                markup=False,
                classes="danger gap",
            )

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("Save", id="ok", danger=bool(self.dangerous))
        yield PushButton("Cancel", id="cancel")

    def accept(self) -> None:
        self.run_worker(self._accept(), exclusive=True)

    async def _accept(self) -> None:
        text = self.query_one("#folder", Field).value
        try:
            folder = await run_in_thread(lambda: writable_folder(text), name="folder check")
        except SaveError as error:
            self.complain(str(error), "#folder")
        else:
            self.dismiss(folder)
