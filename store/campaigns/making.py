"""Makes the traits of a message from the output of its parser. Runs in a limited child (`store.campaigns.in_child`).

Only text that a reader sees counts; attached messages are not opened. Cannot raise on any parsed message.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from zlib import crc32

import msgspec

from store.campaigns.keys import Kind, Trait, strands
from store.campaigns.shapes import file_shape, host_shape, mark_shape, path_shape, program_shape
from store.campaigns.traits import FileShape, Made, Texts, Traits
from store.message.links import read_url
from store.message.parsed import ParsedAttachment, ParsedMessage
from store.terms.folding import fold, plain_words, words
from store.terms.sender import addresses, organisation

#: Limits per message: characters of visible text read; keys of word triples, sentences, contacts and links; files. Then
#: what is kept for the filter: domains, files, characters of a name.
READ_LIMIT, TRIPLES, SENTENCES, CONTACTS, LINKS, FILES = 12_000, 60, 16, 8, 12, 8
DOMAINS_KEPT, FILES_KEPT, NAME_KEPT = 20, 10, 120
_LEAST_WORDS = 4
_PAIRS = 12

#: Left out of the words: links (they have traits of their own), and notes that the HTML reader inserts (link numbers,
#: image placeholders).
_URL = re.compile(r"\b(?:https?|ftp)://\S+|\bwww\.\S+", re.I)
_NOTE = re.compile(r"\[\d{1,3}\]|\[image: ")
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]+(?:\s+|\Z)|\n\s*\n")
_LINE_END = re.compile(r"[.!?\u3002\uff01\uff1f]+(?:\s+|\Z)|\n+")
_TICKER = re.compile(r"\$([A-Z]{2,5})\b|\b(?:NASDAQ|NYSE|OTC\w*|ISIN|WKN)\s?[:.]\s?([A-Z0-9]{2,12})\b")
_WALLET = re.compile(r"\b(?:bc1[a-z0-9]{20,60}|0x[0-9a-fA-F]{40}|[13][1-9A-HJ-NP-Za-km-z]{25,34})\b")
_PHONE = re.compile(r"(?<![\w./-])(?:\+|00|0|\(|1[-. ]8)[\d() ./-]{6,22}\d(?![\w-])")
_COLOUR = re.compile(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")
_REPLY = re.compile(r"\s*(?:re|aw|sv|antw|odp|rif|ynt|res|vs|ref|回复|答复|回覆|ответ)\s*(?:\[\d+\])?\s*[:：]", re.I)
_PREFIXES = re.compile(
    r"\s*(?:(?:re|aw|sv|antw|odp|rif|res|vs|fw|fwd|wg|tr|i|rv|enc)\s*(?:\[\d+\])?\s*[:：]\s*)+", re.I
)
_QUOTED_LINES = re.compile(r"(?m)^[ \t]*>.*\n[ \t]*>")
_QUOTED_LINE = re.compile(r"(?m)^[ \t]*>.*$")
_QUOTE_HEAD = re.compile(
    r"(?im)^\W*-{2,}\s?(?:original message|ursprüngliche nachricht|message d'origine|mensaje original|messaggio "
    r"originale|oorspronkelijk bericht|пересылаемое сообщение|исходное сообщение)\s?-{2,}"
    r"|^(?:on|am|le|el|il|op|em|den)\b[^\n]{5,200}?(?:\n[^\n]{0,100}?)?\b(?:wrote|schrieb|a écrit|escribió|ha scritto"
    r"|schreef|escreveu|skrev)\b[^\n]{0,80}:[ \t]*$"
    r"|^(?:from|von|de|da|van|от)\s?:[^\n]+\n+(?:(?:to|an|à|para|a|aan)\s?:[^\n]+\n+)?"
    r"(?:sent|gesendet|envoyé|enviado|inviato|verzonden|date|datum|fecha|data|отправлено)\s?:"
)
_QUOTE_MARKUP = re.compile(r"(?i)<blockquote[^>]{0,200}?(?:type=.?cite|gmail_quote)|<div[^>]{0,100}?gmail_quote")
_LIST_FIELDS = frozenset(("list-id", "list-unsubscribe", "list-post", "list-help", "list-owner"))
_PROGRAMS = ("x-mailer", "user-agent", "x-php-originating-script")
_LIST_ID = re.compile(r"<([^<>\s]{1,200})>")
_BOUNDARY = re.compile(r"(?i)boundary\s*=\s*\"?([^\";\s]{1,100})")


class Context(msgspec.Struct, frozen=True, array_like=True):
    """The inputs of a message's traits besides the message: client address, and own domains (lower case)."""

    client_address: str = ""
    own_domains: tuple[str, ...] = ()


def made_of(parsed: ParsedMessage, context: Context, markups: Sequence[str] = ()) -> Made:
    """Make the traits and texts of a message. `markups`: its HTML parts, as markup."""
    return drawn(parsed, context, markups)[0]


def drawn(parsed: ParsedMessage, context: Context, markups: Sequence[str] = ()) -> tuple[Made, list[Trait]]:
    """Do `made_of`, and also return the texts that its keys are hashed from."""
    headers = _first_of(parsed.headers)
    visible = _visible(parsed)
    subject = headers.get("subject", "")
    sender, origin, kit, list_id = _origin(headers, context)
    links, domains = _links(parsed)
    files = [each for each in parsed.attachments if not each.depth]
    own, quotes = _own(visible, markups)
    traits: list[Trait] = [
        *_subject(subject),
        *_text(own, parsed.text_source == "html"),
        *_contacts(own),
        *links,
        *_files(files),
        *_colours(markups),
        *origin,
    ]
    made = Traits(
        *strands(traits),
        bool(headers.get("in-reply-to") or headers.get("references")),
        not _LIST_FIELDS.isdisjoint(headers),
        sender,
        quotes,
        bool(_REPLY.match(subject)),
    )
    kept = tuple(
        FileShape(each.name[:NAME_KEPT], each.detected_type[:60], each.size, each.sha256) for each in files[:FILES_KEPT]
    )
    return Made(made, Texts(tuple(domains[:DOMAINS_KEPT]), kept, kit, list_id)), traits


def _first_of(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value)
    return found


def _visible(parsed: ParsedMessage) -> str:
    """Return the visible text, up to `READ_LIMIT` characters, without links and inserted notes."""
    text, pieces, start, left = parsed.text, list[str](), 0, READ_LIMIT
    for hidden, end in parsed.hidden_spans:
        if left <= 0:
            break
        if hidden > start:
            pieces.append(text[start : min(hidden, start + left)])
            left -= len(pieces[-1])
        start = max(start, end)
    if left > 0:
        pieces.append(text[start : start + left])
    text = "".join(pieces)
    if "://" in text or "www" in text.lower():
        text = _URL.sub(" ", text)
    return _NOTE.sub(" ", text) if "[" in text else text


def _own(visible: str, markups: Sequence[str]) -> tuple[str, bool]:
    """Return the writer's own text without quotations, and whether anything is quoted.

    In a stolen thread the quoted text differs in each copy, but the few words above it are the same. If there are fewer
    than `_LEAST_WORDS` own words, the quoted text is included.
    """
    lines, head = _QUOTED_LINES.search(visible), _QUOTE_HEAD.search(visible)
    if lines:
        own = _QUOTED_LINE.sub("", visible[: head.start()] + visible[head.end() :] if head else visible)
    elif head:
        own = visible[: head.start()]
    else:
        return visible, any(_QUOTE_MARKUP.search(markup[:200_000]) for markup in markups)
    return (own if len(own.split()) >= _LEAST_WORDS else visible), True


def without_prefixes(subject: str) -> str:
    """Return the beginning of a subject without what marks an answer."""
    return _PREFIXES.sub("", subject[:1000], 1)


def _subject(subject: str) -> list[Trait]:
    found = plain_words(without_prefixes(subject))
    if not found:
        return []
    pairs = [(Kind.SUBJECT_PAIR, f"{one} {other}") for one, other in itertools.pairwise(found)]
    return [(Kind.SUBJECT, " ".join(found)), *pairs[:_PAIRS]]


def _text(visible: str, html: bool) -> list[Trait]:
    """Return sentences and word triples, those with the smallest hashes: similar texts thereby choose the same ones."""
    folded = fold(visible)
    every: list[str] = []
    sentences: dict[int, str] = {}
    for sentence in (_LINE_END if html else _SENTENCE_END).split(folded):
        found = words(sentence)
        every += found
        if len(found) >= _LEAST_WORDS:
            text = " ".join(found)
            sentences[crc32(text.encode("utf-8", "replace"))] = text
    numbers = {word: crc32(word.encode("utf-8", "replace")) for word in set(every)}
    hashes = [numbers[word] for word in every]
    triples = {
        (one * 0x9E3779B1 + two * 0x85EBCA77 + three * 0xC2B2AE3D) & 0xFFFFFFFF: position
        for position, (one, two, three) in enumerate(zip(hashes, hashes[1:], hashes[2:], strict=False))
    }
    return [
        *((Kind.SENTENCE, sentences[number]) for number in sorted(sentences)[:SENTENCES]),
        *((Kind.WORDS, " ".join(every[triples[n] : triples[n] + 3])) for n in sorted(triples)[:TRIPLES]),
    ]


def _contacts(visible: str) -> list[Trait]:
    """Return stock tickers, telephone numbers (last eight digits) and wallets."""
    found = [f"ticker {(one or other).lower()}" for one, other in _TICKER.findall(visible)]
    for number in _PHONE.findall(visible):
        digits = "".join(filter(str.isdecimal, number))
        if 8 <= len(digits) <= 15:
            found.append(f"phone {digits[-8:]}")
    found += [f"wallet {wallet}" for wallet in _WALLET.findall(visible)]
    return [(Kind.CONTACT, text) for text in list(dict.fromkeys(found))[:CONTACTS]]


def _links(parsed: ParsedMessage) -> tuple[list[Trait], list[str]]:
    """Return the traits of the first `LINKS` visible links, and the domains of all visible links."""
    found: dict[Trait, None] = {}
    domains: dict[str, None] = {}
    seen = 0
    for link in parsed.links:
        if link.reason.startswith("hidden link"):
            continue
        target = read_url(link.target)
        host = target.ascii_host[:255].lower().rstrip(".")
        if not host or target.scheme not in ("http", "https", "ftp", ""):
            continue
        domain = organisation(host)
        domains[domain] = None
        seen += 1
        if seen > LINKS:
            continue
        found[Kind.LINK_DOMAIN, domain] = None
        found[Kind.HOST, host_shape(host, domain)] = None
        path = path_shape(target.rest)
        if path not in ("/", "/index.html"):
            found[Kind.PATH, path] = None
    return list(found), list(domains)


def _files(files: Sequence[ParsedAttachment]) -> list[Trait]:
    found: list[Trait] = []
    for each in files[:FILES]:
        if each.size:
            found += [(Kind.FILE, each.sha256.hex()), (Kind.FILE_SIZE, str(each.size))]
            if each.name:
                found.append((Kind.FILE_NAME, file_shape(each.name)))
    return found


def _colours(markups: Sequence[str]) -> list[Trait]:
    """Make a trait of the set of colours, if there are several.

    Letters made with one kit share it, whatever their text.
    """
    colours = {colour.lower() for markup in markups for colour in _COLOUR.findall(markup[:200_000])}
    return [(Kind.COLOURS, " ".join(sorted(colours)))] if len(colours) > 1 else []


def _origin(headers: dict[str, str], context: Context) -> tuple[str, list[Trait], str, str]:
    """Return the sender's address, the traits of the origin, the kit (sending program), and the List-Id."""
    found: list[Trait] = []
    from_ = headers.get("from", "")[:1000]
    sender = next(iter(addresses(from_)), "").lower()[:320]
    name = " ".join(plain_words(from_.rpartition("<")[0]))
    if name:
        found.append((Kind.NAME, name))
    domain = sender.rpartition("@")[2]
    if domain and not _is_own(domain, context.own_domains):
        found += [(Kind.ADDRESS, sender), (Kind.DOMAIN, organisation(domain))]
    list_id = _list_id(headers.get("list-id", ""))
    if list_id:
        found.append((Kind.LIST, list_id))
    kit = next((value for field in _PROGRAMS if (value := headers.get(field, "").strip())), "")[:80]
    if kit:
        found.append((Kind.KIT, f"program {program_shape(kit)}"))
    if left := headers.get("message-id", "").strip("<> ").partition("@")[0]:
        found.append((Kind.KIT, f"id {mark_shape(left)}"))
    if boundary := _BOUNDARY.search(headers.get("content-type", "")):
        found.append((Kind.KIT, f"boundary {mark_shape(boundary[1])}"))
    if network := _network(context.client_address):
        found.append((Kind.NETWORK, network))
    return sender, found, kit, list_id


def _is_own(domain: str, own: Collection[str]) -> bool:
    return any(domain == each or domain.endswith(f".{each}") for each in own)


def _list_id(value: str) -> str:
    found = _LIST_ID.search(value)
    return (found[1] if found else value.strip())[:200].lower()


def _network(address: str) -> str:
    """Return the /24 of an IPv4 address or the /48 of an IPv6 address; "" for anything else."""
    try:
        number = ip_address(address)
    except ValueError:
        return ""
    if isinstance(number, IPv6Address):
        if number.ipv4_mapped is None:
            return str(ip_network((number, 48), strict=False))
        number = number.ipv4_mapped
    return str(ip_network((number, 24), strict=False))
