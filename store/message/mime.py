"""The structure of a message: its parts as offsets into the bytes, found top-down by their boundaries. Cannot raise.

Nothing is copied or decoded, so even a 50 MB message takes only a few searches. An outer part's boundary ends its inner
parts. Depth, parts and boundary lines are limited; `Budget.problems` lists malformations and limits reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from store.mail.header_fields import past_folds
from store.message.headers import Block, scan_block
from store.message.params import Parameters, media_type, parse_parameters

DEPTH_LIMIT = 24
PART_LIMIT = 1000
#: Max problems listed: they are shown above a message's text, and must not push it out of sight.
PROBLEM_LIMIT = 20
_LINE_LIMIT = 20_000

_STRUCTURE = frozenset(
    (b"content-type", b"content-disposition", b"content-transfer-encoding", b"content-id", b"subject", b"from", b"date")
)
_IDENTITY = frozenset(("", "7bit", "8bit", "binary"))


@dataclass
class Budget:
    """The remaining limits for one message, and the problems found so far (each once)."""

    parts: int = PART_LIMIT
    lines: int = _LINE_LIMIT
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        if text not in self.problems and len(self.problems) <= PROBLEM_LIMIT:
            self.problems.append(text if len(self.problems) < PROBLEM_LIMIT else "not all problems are listed")


@dataclass(slots=True)
class Part:
    """A part: its header block, its body as ``start:end`` in the bytes, its declared type and encoding, its children.

    `children` are the parts of a multipart, or the one message in a message/rfc822.
    """

    block: Block
    start: int
    end: int
    type: str
    parameters: Parameters
    disposition: Parameters
    encoding: str
    depth: int
    children: list[Part] = field(default_factory=list)

    @property
    def is_message(self) -> bool:
        return self.type in ("message/rfc822", "message/global", "message/news")

    @property
    def name(self) -> str:
        """The claimed file name, decoded; "" if there is none. Hostile text."""
        return self.disposition.get("filename") or self.parameters.get("name")

    @property
    def is_attachment(self) -> bool:
        """Whether a mail program shows this as a file rather than as text of the message."""
        if self.type.startswith("multipart/") and self.children:
            return False
        if self.disposition.value == "attachment" or self.name:
            return True
        return self.type not in ("text/plain", "text/html", "text/enriched") and not self.type.startswith("multipart/")

    @property
    def charset(self) -> str:
        """The charset of this part, or of the first part in it that names one."""
        if not self.children:
            return self.parameters.get("charset")
        return next((named for part in self.walk() if (named := part.parameters.get("charset"))), "")

    def walk(self) -> Iterator[Part]:
        """Yield this part and all parts in it, in the order of the message."""
        stack = [self]
        while stack:
            part = stack.pop()
            yield part
            stack.extend(reversed(part.children))


def scan_structure(raw: bytes, block: Block, end: int, budget: Budget) -> Part:
    """Scan the parts of a message. `block` is its scanned header block; its body ends at `end`."""
    return _part(raw, block, end, "text/plain", 0, budget)


def _part(raw: bytes, block: Block, end: int, default: str, depth: int, budget: Budget) -> Part:
    budget.parts -= 1
    content_type = block.first(b"content-type")
    parameters = parse_parameters(content_type)
    disposition = parse_parameters(block.first(b"content-disposition"))
    encoding = block.first(b"content-transfer-encoding").split(b";")[0].strip(b" \t\"'").lower().decode("latin-1")
    kind = media_type(parameters, default)
    if content_type and kind != parameters.value:
        budget.problem("an invalid Content-Type is read as text/plain")
    if block.cut:
        budget.problem("a header block is too long: not all of it was read")
    if block.broken:
        budget.problem("a header block ends in a line that is not a field")
    part = Part(block, block.body, end, kind, parameters, disposition, encoding, depth)
    if kind.startswith("multipart/"):
        _multipart(raw, part, budget)
    elif part.is_message and encoding in _IDENTITY:
        nest_message(raw, part, part.start, budget)
    return part


def nest_message(raw: bytes, part: Part, start: int, budget: Budget) -> None:
    """Make the message at ``raw[start:part.end]`` the one child of this part."""
    if part.depth >= DEPTH_LIMIT or budget.parts <= 0:
        budget.problem("parts are nested too deeply: not all were read" if budget.parts > 0 else _TOO_MANY)
        return
    block = scan_block(raw, past_folds(raw, start, part.end), part.end, wanted=_STRUCTURE)
    part.children.append(_part(raw, block, part.end, "text/plain", part.depth + 1, budget))


_TOO_MANY = "there are too many parts: not all were read"


def _multipart(raw: bytes, part: Part, budget: Budget) -> None:
    boundary = part.parameters.get("boundary").rstrip().encode("latin-1", "replace")
    if not boundary:
        budget.problem("a multipart without a boundary is read as text")
        return
    if part.depth >= DEPTH_LIMIT:
        budget.problem("parts are nested too deeply: not all were read")
        return
    default = "message/rfc822" if part.type == "multipart/digest" else "text/plain"
    found = False
    opened = -1
    for line, after, closing in _delimiters(raw, part.start, part.end, boundary, budget):
        found = True
        if opened >= 0 and not _child(raw, part, opened, line, default, budget):
            return
        opened = -1 if closing else after
        if closing:
            return
    if not found:
        budget.problem("a multipart whose boundary is not found is read as text")
    elif opened >= 0:
        budget.problem("a multipart is truncated: its last boundary is missing")
        _child(raw, part, opened, part.end, default, budget)


def _child(raw: bytes, part: Part, start: int, end: int, default: str, budget: Budget) -> bool:
    if budget.parts <= 0:
        budget.problem(_TOO_MANY)
        return False
    end = max(start, end)
    block = scan_block(raw, past_folds(raw, start, end), end, wanted=_STRUCTURE, top=False)
    part.children.append(_part(raw, block, end, default, part.depth + 1, budget))
    return True


def _delimiters(raw: bytes, start: int, end: int, boundary: bytes, budget: Budget) -> Iterator[tuple[int, int, bool]]:
    """Yield each boundary line: end of the text before it, start of the part after it, whether it is the
    closing one.
    """
    mark = b"--" + boundary
    line = start if raw.startswith(mark, start, end) else _next(raw, mark, start, end)
    while line >= 0:
        budget.lines -= 1
        if budget.lines < 0:
            budget.problem(_TOO_MANY)
            return
        after = line + len(mark)
        closing = raw.startswith(b"--", after, end)
        rest = after + 2 if closing else after
        newline = raw.find(b"\n", rest, end)
        stop = newline if newline >= 0 else end
        if stop - rest < 200 and not raw[rest:stop].strip(b" \t\r"):
            before = line - 1 if line > start else line
            before -= before > start and raw.startswith(b"\r", before - 1)
            yield before, min(stop + 1, end), closing
        line = _next(raw, mark, max(stop, rest), end)


def _next(raw: bytes, mark: bytes, start: int, end: int) -> int:
    found = raw.find(b"\n" + mark, max(start, 0), end)
    return found + 1 if found >= 0 else -1
