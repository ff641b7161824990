"""Convert HTML to text with its links, and mark hidden text. Nothing is fetched, run or followed.

lexbor builds the tree, so broken markup gives the tree that a browser would build. It is walked without recursion. Runs
in a child process: hostile markup can take quadratic time in any parser.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from store.message.blank_lines import shortened
from store.message.links import URL_LIMIT, Link, examine, links_in_text, urls_in_text
from store.message.style import Look, Sheet, look_of

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

#: Max characters of markup read and of text made, nodes walked, and links kept.
MARKUP_LIMIT = 4_000_000
TEXT_LIMIT = 1_000_000
NODE_LIMIT = 200_000
LINK_LIMIT = 500
_NEST_LIMIT = 2000
_SHOWN_LIMIT = 300
_CAPTURED = 200
_BREAKS = 3

_SILENT = frozenset(
    (
        "script", "style", "template", "head", "title", "object", "embed", "applet", "noembed", "noframes", "iframe",
        "audio", "video", "svg", "math", "datalist", "select", "base", "meta", "link",
    )
)  # fmt: skip
_BLOCKS = frozenset(
    (
        "address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt", "fieldset",
        "figcaption", "figure", "footer", "form", "header", "li", "main", "nav", "ol", "pre", "section", "table",
        "tr", "ul", "caption", "details", "summary", "tbody", "thead", "tfoot", "legend", "dir", "menu",
    )
)  # fmt: skip
_PARAGRAPHS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6"))
_TAGS = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})")
_CLOSED_BY_THEMSELVES = frozenset(
    (
        "p", "li", "td", "tr", "th", "dt", "dd", "br", "hr", "img", "input", "meta", "link", "area", "base", "col",
        "wbr", "option", "tbody", "thead", "tfoot", "source", "embed", "param", "track", "html", "body", "head",
    )
)  # fmt: skip
_STRIP_TAGS = re.compile(
    r"(?s)<(?:script|style)\b.{0,100000}?</(?:script|style)\s*>|<!--.{0,100000}?-->|<[^>]{0,10000}>"
)
_INVISIBLE = re.compile(
    "[\\s\u00a0\u00ad\u034f\u200b-\u200f\u2007\u2060\u2800\u3164\u115f\u1160\ufeff\u061c\u180e\u17b4\u17b5]+"
)
_MANY_ATTRIBUTES = re.compile(r"<[a-zA-Z](?:[^>\s/]*+[\s/]++){2000}")
_REFRESH = re.compile(r"(?i)url\s*=\s*[\"']?\s*([^\"'\s>][^\"'>]*)")


@dataclass
class Reading:
    """The result of reading HTML: text, hidden character ranges in it, links, and oddities in words."""

    text: str = ""
    hidden: list[tuple[int, int]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    truncated: bool = False


def read_html(markup: str) -> Reading:
    """Read an HTML body into text, links and oddities, within this module's limits. Slow only on hostile markup."""
    reading = Reading(truncated=len(markup) > MARKUP_LIMIT)
    markup = markup[:MARKUP_LIMIT]
    if _nesting(markup) > _NEST_LIMIT:
        return strip_html(markup, "is nested too deeply")
    if _MANY_ATTRIBUTES.search(markup):
        return strip_html(markup, "has a tag with too many attributes")
    from selectolax.lexbor import LexborHTMLParser

    # The parser rejects lone surrogates.
    parser = LexborHTMLParser(markup.encode("utf-8", "replace").decode())
    if parser.root is not None:
        _Walk(reading).run(parser.root)
    return reading


def strip_html(markup: str, why: str) -> Reading:
    """Strip the tags of HTML that would take too long to parse. Linear time.

    Every URL in the markup counts as a link, in text and in tags.
    """
    markup = markup[:MARKUP_LIMIT]
    text = html.unescape(_STRIP_TAGS.sub(" ", markup))
    return Reading(
        text=text[:TEXT_LIMIT],
        links=links_in_text(html.unescape(markup), LINK_LIMIT),
        problems=[f"the HTML {why}: only the tags were stripped; hidden text and misleading links are NOT detected"],
        truncated=len(text) > TEXT_LIMIT,
    )


def _nesting(markup: str) -> int:
    """Compute an upper bound on the nesting of tags, in linear time (the parser's is not)."""
    depth = deepest = 0
    for slash, name in _TAGS.findall(markup):
        if name.lower() not in _CLOSED_BY_THEMSELVES:
            depth = max(0, depth - 1) if slash else depth + 1
            deepest = max(deepest, depth)
    return deepest


class _Writer:
    """Collects text: collapses white space as a browser does, adds the breaks of blocks, marks hidden ranges.

    Spaces and breaks are written when text follows, so a hidden range ends before them.
    """

    def __init__(self, reading: Reading) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.space = False
        self.breaks = 0
        self.hidden_since = -1
        self.reading = reading
        self.captures: list[tuple[list[str], bool]] = []
        #: Ranges of text outside links, and why each is hidden ("" = it is not). Adjacent ranges are joined.
        self.prose: list[tuple[int, int, str]] = []

    @property
    def full(self) -> bool:
        return self.length >= TEXT_LIMIT

    def newline(self, count: int) -> None:
        """Have at least `count` line breaks before the next text."""
        self.breaks = max(self.breaks, count)

    def line(self) -> None:
        """Add one line break."""
        self.breaks = min(self.breaks + 1, _BREAKS)

    def text(self, text: str, hidden: str, keep_space: bool, *, prose: bool = False) -> None:
        """Add one text node; `prose` if it is the message's own text, not made from an attribute or tag."""
        if hidden:
            text = _INVISIBLE.sub(" ", text)
            if text == " ":
                return
        if keep_space:
            self._put(shortened(text), text, hidden, prose)
            return
        words = " ".join(text.split())
        if not words:
            self.space = self.space or bool(text)
            return
        self.space = self.space or text[0].isspace()
        self._put(words, text, hidden, prose)
        self.space = text[-1].isspace()

    def note(self, text: str) -> None:
        """Write a label of ours (a link's number, say), outside hidden ranges and links' texts."""
        self.end_hidden()
        self._write(text)

    def end_hidden(self) -> None:
        """Close the open hidden range, if any."""
        if self.hidden_since >= 0:
            self._write("]")
            self.reading.hidden.append((self.hidden_since, self.length))
            self.hidden_since = -1
            self.space = True

    def _put(self, words: str, text: str, hidden: str, prose: bool) -> None:
        for captured, also_hidden in self.captures:
            if (also_hidden or not hidden) and len(captured) < _CAPTURED:
                captured.append(text)
        if not hidden:
            self.end_hidden()
        if self.length:
            self._write("\n" * self.breaks or (" " if self.space or (hidden and self.hidden_since < 0) else ""))
        self.breaks = 0
        self.space = False
        if hidden and self.hidden_since < 0:
            self.hidden_since = self.length
            self._write(f"[hidden text ({hidden}): ")
        start = self.length
        self._write(words)
        if prose and not self.captures:
            joined = self.prose and self.prose[-1][1:] == (start, hidden)
            self.prose.append((self.prose.pop()[0] if joined else start, self.length, hidden))

    def _write(self, text: str) -> None:
        text = text[: max(0, TEXT_LIMIT - self.length)]
        self.pieces.append(text)
        self.length += len(text)


@dataclass(slots=True)
class _Open:
    """An element whose children are being walked."""

    node: LexborNode
    tag: str
    look: Look
    keep_space: bool
    target: str = ""


class _Walk:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.out = _Writer(reading)
        self.sheet = Sheet()
        self.base = ""
        self.images = 0
        self.seen: dict[str, int] = {}

    def run(self, root: LexborNode) -> None:
        stack = [_Open(root, "", Look(), False)]
        node = root.first_child
        count = 0
        for style in root.css("style")[:20]:
            self.sheet.read(style.text() or "")
        while stack and not self.out.full:
            if node is None:
                self._leave(closed := stack.pop())
                node = closed.node.next if stack else None
                continue
            count += 1
            if count > NODE_LIMIT:
                self.reading.truncated = True
                break
            tag = (node.tag or "").lower()
            if tag == "-text":
                top = stack[-1]
                self.out.text(node.text_content or "", top.look.hidden, top.keep_space, prose=True)
            elif tag and not tag.startswith(("-", "_", "!")):
                opened = self._enter(node, tag, stack[-1])
                if opened is not None:
                    stack.append(opened)
                    node = node.first_child
                    continue
            node = node.next
        self.reading.truncated |= self.out.full
        self.out.end_hidden()
        text = self.reading.text = "".join(self.out.pieces)
        for start, end, hidden in self.out.prose:
            for shown, target in urls_in_text(text, start, end):
                self._link(shown, target, Look(hidden))
        if self.images:
            self.reading.problems.append(
                f"the HTML refers to {self.images} remote image{'s' if self.images > 1 else ''}, not fetched"
            )

    def _enter(self, node: LexborNode, tag: str, outer: _Open) -> _Open | None:
        """Open an element; return None if its content is not text."""
        attributes: dict[str, str | None] = node.attributes or {}
        if tag in _SILENT:
            self._silent(tag, attributes)
            if tag != "head":
                return None
        out = self.out
        look = look_of(tag, attributes, self.sheet, outer.look)
        if tag == "br":
            out.line()
        elif tag in _PARAGRAPHS:
            out.newline(2)
        elif tag in _BLOCKS:
            out.newline(1)
            if tag == "li":
                out.text("•", look.hidden, False)
                out.space = True
        elif tag in ("td", "th"):
            out.space = True
        elif tag == "hr":
            out.newline(1)
            if not look.hidden:
                out.text("────────", "", False)
            out.newline(1)
        elif tag == "img":
            self._image(attributes, look)
        elif tag in ("input", "button"):
            label = attributes.get("value") or attributes.get("placeholder") or ""
            if (attributes.get("type") or "").lower() != "hidden" and tag == "input":
                out.text(f"[input: {label}]", look.hidden, False)
        if tag == "form" and attributes.get("action"):
            self._link("[form]", attributes["action"] or "", look)
        opened = _Open(node, tag, look, outer.keep_space or tag in ("pre", "textarea", "listing", "plaintext"))
        if tag in ("a", "area"):
            target = (attributes.get("href") or "").strip()
            if target and not target.startswith("#"):
                opened.target = target
                out.captures.append(([], bool(look.hidden)))
        return opened

    def _silent(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "base":
            self.base = self.base or (attributes.get("href") or "").strip()[:URL_LIMIT]
        elif tag == "meta" and (attributes.get("http-equiv") or "").lower() == "refresh":
            if target := _REFRESH.search(attributes.get("content") or ""):
                self._link("[refresh]", target[1], Look())
                self._problem("the HTML redirects to another page automatically")
        elif tag in ("iframe", "object", "embed", "applet"):
            target_url = attributes.get("src") or attributes.get("data") or ""
            if target_url:
                self._link(f"[{tag}]", target_url, Look())
            self._problem(f"the HTML contains <{tag}>")
        elif tag == "script":
            self._problem("the HTML contains a script")

    def _image(self, attributes: dict[str, str | None], look: Look) -> None:
        source = (attributes.get("src") or "").strip().lower()
        if source.startswith(("http:", "https:", "//", "ftp:")):
            self.images += 1
        label = " ".join((attributes.get("alt") or "").split())[:200]
        if label:
            self.out.text(f"[image: {label}]", look.hidden, False)

    def _leave(self, element: _Open) -> None:
        out = self.out
        if element.target:
            captured, _ = out.captures.pop()
            number = self._link(" ".join("".join(captured).split()), element.target, element.look)
            if number:
                out.note(f" [{number}]")
        if element.tag in _PARAGRAPHS:
            out.newline(2)
        elif element.tag in _BLOCKS:
            out.newline(1)
        elif element.tag in ("td", "th"):
            out.space = True

    def _link(self, shown: str, target: str, look: Look) -> int:
        """Keep a link; return its number (from 1), or 0 if there are too many."""
        if self.base and ":" not in target.split("/", 1)[0]:
            target = _join(self.base, target)
        key = f"{shown}\0{target}"
        if key in self.seen:
            return self.seen[key]
        if len(self.reading.links) >= LINK_LIMIT:
            self._problem("not all links are listed")
            return 0
        link = examine(shown[:_SHOWN_LIMIT], target)
        if look.hidden:
            reason = f"hidden link ({look.hidden})" + (f"; {link.reason}" if link.reason else "")
            link = Link(link.text, link.target, link.defanged, link.mismatch, link.punycode, reason)
        self.reading.links.append(link)
        self.seen[key] = len(self.reading.links)
        return self.seen[key]

    def _problem(self, text: str) -> None:
        if text not in self.reading.problems:
            self.reading.problems.append(text)


def _join(base: str, target: str) -> str:
    try:
        return urljoin(base, target)
    except ValueError:
        return target
