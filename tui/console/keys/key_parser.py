"""What a terminal sends, as keys: an Esc is always an Esc, and what is pasted is only ever text.

Textual's parser waits a tenth of a second after an Esc, and takes what comes meanwhile for one key with Alt, or drops
the Esc (before Enter, Tab and Space). A network joins what was typed apart, so an Esc that cancels would be lost, and
the key behind it would count. No key of Mailhold has an Alt, so each Esc that begins no sequence is told at once. It
also takes characters behind an Esc in pasted text for keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from textual import events
from textual.message import Message

from tui.console.textual_private import BRACKETED_PASTE_END, BRACKETED_PASTE_START, OpenParser

_ESC = "\x1b"
#: Each piece begins with an Esc, but for the first.
_PIECES = re.compile(f"{_ESC}[^{_ESC}]*|[^{_ESC}]+")
#: Behind an Esc these go on to a sequence, as that of an arrow key; anything else is a key of its own.
_GOES_ON = ("[", "O")


class KeyParser(OpenParser):
    """Textual's parser, but that it neither joins an Esc with what follows nor finds keys in what is pasted."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._pasting = False
        #: The end of what was handed on: an Esc or the beginning of the sign of a paste may stand there.
        self._tail = ""
        self._held = ""

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the messages that `data` makes; "" stands for the end of the input."""
        if not data:
            yield from super().feed("")
        while data:
            if self._pasting:
                text, end, data = (self._held + data).partition(BRACKETED_PASTE_END)
                self._held = "" if end else _begun(text, BRACKETED_PASTE_END)
                text = text[: len(text) - len(self._held)].replace(_ESC, "")
                self._pasting = not end
                if text or end:
                    yield from super().feed(text + end)
                continue
            seen = self._tail + data
            at = seen.find(BRACKETED_PASTE_START)
            self._pasting = at >= 0
            typed = data[: at + len(BRACKETED_PASTE_START) - len(self._tail)] if self._pasting else data
            yield from self._typed(typed)
            self._tail = "" if self._pasting else seen[1 - len(BRACKETED_PASTE_START) :]
            data = data[len(typed) :]

    def _typed(self, data: str) -> Iterator[Message]:
        if self._tail.endswith(_ESC) and not data.startswith((_ESC, *_GOES_ON)):
            yield from self.stop_waiting()
        for piece in _PIECES.findall(data):
            if piece[0] == _ESC:
                yield from self.stop_waiting()  # A sequence that was begun ends here: what there is of it are keys.
                if len(piece) > 1 and piece[1] not in _GOES_ON:
                    yield from super().feed(_ESC)
                    yield from self.stop_waiting()
                    piece = piece[1:]
            yield from super().feed(piece)

    def keys_of(self, sequence: str, alt: bool) -> Iterable[events.Key]:
        if alt:
            yield events.Key("escape", _ESC)
        yield from super().keys_of(sequence, False)


def _begun(text: str, sign: str) -> str:
    """Return the longest end of `text` with which `sign` begins."""
    return next((sign[:size] for size in range(len(sign) - 1, 0, -1) if text.endswith(sign[:size])), "")
