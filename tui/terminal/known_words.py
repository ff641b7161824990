"""The message view's line about what was known of a copy at intake: sender, client, scores. NOT safe for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tui.terminal.words import counted

if TYPE_CHECKING:
    from store.terms.findings import Finding, KnownSender
    from store.terms.records import CopyRecord

#: Most symbols named per scanner.
_NAMED = 4


def known_words(record: CopyRecord) -> str:
    """Write ``sender: 4 let through before, nobody here wrote to it; client mx.example.net
    [192.0.2.7]; score 14.2: BAD …``.

    "" if nothing but the client's address is known.
    """
    if record.known is None and not (record.findings or record.authentication or record.client_name):
        return ""
    return "; ".join(_parts(record))


def _parts(record: CopyRecord) -> Iterator[str]:
    if record.known is not None:
        yield f"sender: {_sender(record.known)}"
    if record.authentication:
        said = dict.fromkeys(f"{each.method} {each.result}" for each in record.authentication)
        yield ", ".join(said)
    if record.client_name or record.client_address:
        named = record.client_name if record.client_name != record.client_address else ""
        address = f"[{record.client_address.strip('[]')}]" if named and record.client_address else record.client_address
        yield f"client {' '.join(filter(None, (named, address)))}"
    scored = [each for each in record.findings if each.score is not None or each.symbols]
    for finding in scored:
        yield _finding(finding, named=len(scored) > 1)


def _sender(known: KnownSender) -> str:
    words = [f"{known.address:,} let through before" if known.address else "none let through before"]
    if known.address_authenticated and known.address_other:
        words[0] += f" ({known.address_authenticated:,} authenticated)"
    elif known.address_authenticated:
        words[0] += " (authenticated)"
    if known.domain > known.address:
        words.append(f"{known.domain:,} of its domain")
    wrote = counted(known.written_to, "message was sent to it from here", "messages were sent to it from here")
    words.append(wrote if known.written_to else "nobody here wrote to it")
    return ", ".join(words)


def _finding(finding: Finding, *, named: bool) -> str:
    symbols = [name for name, _ in finding.symbols[:_NAMED]] + ["…"] * (len(finding.symbols) > _NAMED)
    score = f"score {finding.score:.1f}" if finding.score is not None else ""
    if score and finding.required is not None:
        score += f" of {finding.required:.1f}"
    head = f"{finding.scanner} {score}".strip() if named or not score else score
    return f"{head}: {' '.join(symbols)}" if symbols else head
