"""Parses terminal input into keys: an Esc is always a key of its own, and pasted text never contains keys.

Textual's parser waits a tenth of a second after an Esc and takes the next character as a key with Alt, or drops the Esc
(before Enter, Tab and Space). A network may deliver keys together that were typed apart: an Esc that cancels would be
lost and the next key would count. No key of Mailhold uses Alt, so each Esc that begins no sequence is reported at once.
Textual's parser also takes characters after an Esc in pasted text for keys; this one does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from textual import events
from textual.message import Message

from tui.console.textual_private import BRACKETED_PASTE_END, BRACKETED_PASTE_START, OpenParser

_ESC = "\x1b"
#: Splits input before each Esc.
_PIECES = re.compile(f"{_ESC}[^{_ESC}]*|[^{_ESC}]+")
#: Characters that continue a sequence after Esc, such as that of an arrow key; any other is a key of its own.
_GOES_ON = ("[", "O")


class KeyParser(OpenParser):
    """Textual's parser, but it never joins an Esc with the next character, and finds no keys in pasted text."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._pasting = False
        #: The last input handed on: it may end with an Esc or the beginning of a paste marker.
        self._tail = ""
        self._held = ""

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the messages that `data` makes; "" is the end of the input."""
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
                yield from self.stop_waiting()  # This Esc ends an unfinished sequence: its characters are keys.
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
    """Return the longest end of `text` that is a beginning of `sign`."""
    return next((sign[:size] for size in range(len(sign) - 1, 0, -1) if text.endswith(sign[:size])), "")
