"""The demo's attack wave: campaigns of varied copies, good mail that was caught with them, and targeted letters.

`wave(count, now, seed)` makes about `count` copies, with all that a gateway records of a message. The same seed and
`now` give the same mail.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import NamedTuple

import msgspec

from store.message.message import summarise
from store.terms.findings import Authentication, Finding, KnownSender
from store.terms.records import CopyRecord
from store.terms.verdicts import Action, Status, Verdict
from tui.demo.attachments import Files
from tui.demo.envelopes import HOST, Recipients, addresses, queue_id, recipients, trace
from tui.demo.letters import obfuscated
from tui.demo.mime import Header, Part, date, encoded_words, mailbox, message, multipart, text_part
from tui.demo.people import Person, people
from tui.demo.policy import rule_for
from tui.demo.rhythm import HOUR
from tui.demo.scenarios import scenarios, verdicts_for
from tui.demo.texts.reading import Table, read

#: Score from which the demo's scanner calls a message spam; the scanner's name.
REQUIRED, SCANNER, ANTIVIRUS = 15.0, "rspamd", "clamd"
_MISTAKEN = str.maketrans("aeopcx", "аеорсх")


class _Letter(Table, frozen=True):
    subject: str
    lines: tuple[str, ...]


class _Campaign(Table, frozen=True):
    name: str
    copies: int
    status: Status
    detail: str
    began: float
    hours: float
    senders: tuple[str, ...]
    mailboxes: tuple[str, ...]
    hosts: tuple[str, ...]
    links: tuple[str, ...]
    networks: tuple[str, ...]
    mailer: str
    symbols: tuple[tuple[str, float], ...]
    score: tuple[float, float]
    results: tuple[str, ...]
    letter: tuple[_Letter, ...]
    file: str = ""
    obfuscated: bool = False
    answers: bool = False
    known: tuple[int, ...] = (0, 0, 0, 0, 0)


class _Good(Table, frozen=True):
    from_: Person = msgspec.field(name="from")
    known: tuple[int, ...]
    subject: str
    text: str
    file: str = ""
    list: bool = False


class _Thread(Table, frozen=True):
    from_: Person = msgspec.field(name="from")
    known: tuple[int, ...]
    subject: str
    began: float
    texts: tuple[str, ...]
    files: tuple[str, ...]
    aimed: tuple[str, ...]
    aimed_lines: tuple[str, ...]


class Wave(Table, frozen=True):
    """The wave: campaigns, good mail, and a thread with the letters that target it."""

    quotes: tuple[str, ...]
    campaign: tuple[_Campaign, ...]
    good: tuple[_Good, ...]
    thread: _Thread


class _Mail(NamedTuple):
    """A message to compose: sender, recipients, text, and the gateway's knowledge of it."""

    at: int
    sender: Person
    to: Recipients
    subject: str
    text: str
    client: str
    mailer: str
    reason: Verdict
    findings: tuple[Finding, ...]
    authentication: tuple[Authentication, ...]
    known: KnownSender
    file: str = ""
    fields: tuple[Header, ...] = ()


@cache
def texts() -> Wave:
    """Load the wave's texts."""
    return read("wave.toml", Wave)


def wave(count: int, *, now: int, seed: int) -> list[tuple[bytes, CopyRecord, int]]:
    """Return about `count` messages with their records and the times (Unix ms, ascending) when they were placed."""
    made = _Maker(now, Random(f"{seed}/wave"), count / sum(one.copies for one in texts().campaign))
    return sorted(made.all(), key=lambda placed: placed[2])


class _Maker:
    def __init__(self, now: int, rng: Random, scale: float) -> None:
        self._now, self._rng, self._scale = now, rng, scale
        self._files = Files(rng, 8)

    def all(self) -> Iterator[tuple[bytes, CopyRecord, int]]:
        """Yield every message, unsorted."""
        for campaign in texts().campaign:
            for _ in range(max(1, round(campaign.copies * self._scale))):
                yield self._written(self._of_campaign(campaign))
        for good in texts().good:
            yield self._written(self._good(good))
        for mail in self._thread(texts().thread):
            yield self._written(mail)

    def _one(self, choices: str) -> str:
        """Choose one of the alternatives, which `|` separates."""
        return self._rng.choice(choices.split("|"))

    def _drawn(self, pattern: str) -> str:
        """Replace each # in `pattern` by a random digit."""
        return "".join(self._rng.choice("0123456789") if letter == "#" else letter for letter in pattern)

    def _values(self, at: int, to: Recipients, link: str) -> dict[str, str]:
        rng = self._rng
        day = datetime.fromtimestamp(at / 1000, UTC) + timedelta(days=rng.randrange(1, 9))
        first = to.addresses[0] if to.addresses else ""
        return {
            "number": self._drawn("########"),
            "short": str(rng.randrange(12, 99)),
            "percent": str(rng.randrange(91, 99)),
            "amount": f"{rng.randrange(2, 900)},{rng.randrange(10, 99)} €",
            "date": f"{day.day}.{day.month}.",
            "name": first.partition(".")[0].partition("@")[0].title(),
            "link": link,
        }

    def _of_campaign(self, campaign: _Campaign) -> _Mail:
        rng = self._rng
        letter = rng.choices(campaign.letter, weights=range(len(campaign.letter), 0, -1))[0]
        at = self._now - int((campaign.began - rng.random() ** 2 * min(campaign.hours, campaign.began)) * HOUR) - 1
        domain, to = self._drawn(rng.choice(campaign.hosts)), recipients(rng)
        sender = Person(rng.choice(campaign.senders), f"{self._drawn(rng.choice(campaign.mailboxes))}@{domain}")
        link = self._drawn(rng.choice(campaign.links)) if campaign.links else ""
        values = self._values(at, to, link)
        lines = [self._one(line).format_map(values) for line in letter.lines]
        if len(lines) > 5 and rng.random() < 0.4:  # shuffle the lines between the greeting and the link
            middle = lines[1:-2]
            rng.shuffle(middle)
            lines[1:-2] = middle
        text = "\n\n".join(lines)
        subject = self._one(letter.subject).format_map(values)
        fields: tuple[Header, ...] = ()
        if campaign.answers:
            text, fields = self._answering(text, domain)
        elif campaign.obfuscated:
            subject = obfuscated(subject, rng)
        if campaign.obfuscated and rng.random() < 0.4:
            text = self._mistaken(text)
        score = round(rng.uniform(*campaign.score), 1)
        scenario = next(one for one in scenarios().scenario if one.status is campaign.status)
        told = self._drawn(campaign.detail.format(score=score, link=link or domain))
        known = msgspec.convert(campaign.known, KnownSender)
        return _Mail(
            at=at,
            sender=sender,
            to=to,
            subject=subject,
            text=text,
            client=f"{rng.choice(campaign.networks)}.{rng.randrange(1, 255)}",
            mailer=campaign.mailer,
            reason=Verdict(scenario.engine, campaign.status, told),
            findings=self._findings(score, campaign.symbols, told if campaign.status is Status.INFECTED else ""),
            authentication=_results(campaign.results, domain),
            known=known,
            file=campaign.file,
            fields=fields,
        )

    def _answering(self, text: str, domain: str) -> tuple[str, tuple[Header, ...]]:
        """Write the text above a quotation, and the header fields of an answer."""
        rng = self._rng
        answered = f"<{rng.getrandbits(60):x}@{domain}>"
        quoted = "\n".join(f"> {sentence}" for sentence in rng.sample(texts().quotes, 3))
        whole = f"{text}\n\n{rng.choice(people().staff).name} wrote:\n{quoted}\n"
        return whole, (("In-Reply-To", answered.encode()), ("References", answered.encode()))

    def _mistaken(self, text: str) -> str:
        """Replace letters in some words by look-alikes."""
        return " ".join(
            word.translate(_MISTAKEN) if "://" not in word and self._rng.random() < 0.3 else word
            for word in text.split(" ")
        )

    def _findings(self, score: float, symbols: tuple[tuple[str, float], ...], virus: str) -> tuple[Finding, ...]:
        kept = tuple(one for one in symbols if self._rng.random() < 0.85)
        found = (Finding(SCANNER, score, REQUIRED, kept),)
        return (*found, Finding(ANTIVIRUS, symbols=((virus, None),))) if virus else found

    def _good(self, good: _Good) -> _Mail:
        rng = self._rng
        to = Recipients((rng.choice(people().staff),))
        fields: tuple[Header, ...] = ()
        domain = good.from_.address.rpartition("@")[2]
        if good.list:
            fields = (("List-Id", f"<weekly.{domain}>".encode()), ("Precedence", b"bulk"))
        at = self._now - rng.randrange(HOUR // 2, 40 * HOUR)
        return self._caught(good.from_, good.known, to, at, good.subject, good.text, good.file, fields)

    def _thread(self, thread: _Thread) -> Iterator[_Mail]:
        """Yield the partner's own letters, then those of the impostor."""
        rng = self._rng
        clara = next(one for one in people().staff if one.name.startswith("Clara"))
        first = f"<{rng.getrandbits(60):x}@example.org>".encode()
        asked = "> ¿Cuándo llega la certificación 7? La necesito para cerrar el mes.\n> Clara"
        fields: tuple[Header, ...] = (("In-Reply-To", first), ("References", first))
        at = self._now - int(thread.began * HOUR)
        for text, file in zip(thread.texts, thread.files, strict=True):
            whole = f"{text.strip()}\n\nClara Núñez:\n{asked}\n"
            yield self._caught(
                thread.from_, thread.known, Recipients((clara,)), at, thread.subject, whole, file, fields
            )
            at += 26 * HOUR
        local = thread.from_.address.partition("@")[0]
        for false in thread.aimed:
            at = self._now - rng.randrange(HOUR // 2, 9 * HOUR)
            values = self._values(at, Recipients((clara,)), "")
            text = "\n\n".join(self._one(line).format_map(values) for line in thread.aimed_lines)
            mail = self._caught(
                Person(thread.from_.name, f"{local}@{false}"),
                (0, 0, 0, 0, 0),
                Recipients((clara,)),
                at,
                thread.subject,
                f"{text}\n\nClara Núñez:\n{asked}\n",
                "",
                fields,
            )
            # The owner of a look-alike domain can sign for it, so it passes DMARC and SPF.
            yield mail._replace(
                client=f"198.51.100.{rng.randrange(1, 255)}", authentication=_results(("dmarc=pass", "spf=pass"), false)
            )

    def _caught(
        self,
        sender: Person,
        known: tuple[int, ...],
        to: Recipients,
        at: int,
        subject: str,
        text: str,
        file: str,
        fields: tuple[Header, ...],
    ) -> _Mail:
        """Compose a good letter that a scanner held by mistake, or nearly so."""
        rng, domain = self._rng, sender.address.rpartition("@")[2]
        values = self._values(at, to, "")
        score = round(rng.uniform(6.1, 11.8), 1)
        scenario = next(one for one in scenarios().scenario if one.status is Status.PROBABLE_SPAM)
        own = domain.endswith("example.org")
        return _Mail(
            at=at,
            sender=sender,
            to=to,
            subject=subject.format_map(values) if "{" in subject else subject,
            text=text.strip() + "\n",
            client=f"192.0.2.{10 + sum(domain.encode()) % 200}",
            mailer="Mailer 9.2",
            reason=Verdict(scenario.engine, scenario.status, f"{score} of 15.0: BAYES_SPAM, URI_COUNT_ODD"),
            findings=self._findings(score, (("BAYES_SPAM", 5.1), ("URI_COUNT_ODD", 1.0)), ""),
            authentication=() if own else _results(("dmarc=pass", "spf=pass", "dkim=pass"), domain),
            known=msgspec.convert(known, KnownSender),
            file=file,
            fields=fields,
        )

    def _written(self, mail: _Mail) -> tuple[bytes, CopyRecord, int]:
        rng, domain = self._rng, mail.sender.address.rpartition("@")[2]
        body: Part = text_part(mail.text + "\n", "utf-8", rng)
        if mail.file:
            part, _name = self._files.part(mail.file, rng, "utf-8")
            body = multipart("mixed", [body, part], rng)
        headers = trace(mail.client, f"mail.{domain}", queue_id(rng), mail.at, rng)
        headers += [
            ("From", mailbox(mail.sender.name, mail.sender.address, "utf-8")),
            ("To", addresses(mail.to.to, "utf-8") if mail.to.to else b"undisclosed-recipients:;"),
            *((("Cc", addresses(mail.to.cc, "utf-8")),) if mail.to.cc else ()),
            ("Subject", encoded_words(mail.subject, "utf-8")),
            ("Date", date(mail.at - rng.randrange(2_000, 90_000))),
            ("Message-ID", f"<{rng.getrandbits(72):x}@{domain}>".encode()),
            *mail.fields,
            *((("X-Mailer", mail.mailer.encode()),) if mail.mailer else ()),
        ]
        raw = message(headers, body)
        return raw, self._record(raw, mail, headers[0][1]), mail.at

    def _record(self, raw: bytes, mail: _Mail, received: bytes) -> CopyRecord:
        rng = self._rng
        rule = rule_for(mail.to.addresses, mail.sender.address, rng)
        return msgspec.structs.replace(
            summarise(raw, envelope_sender=mail.sender.address, envelope_recipients=mail.to.addresses),
            mta_message_id=received.partition(b" id ")[2].partition(b"\r")[0].decode(),
            client_address=mail.client,
            client_name=f"mail.{mail.sender.address.rpartition('@')[2]}",
            rule_id=rule.id,
            rule_name=rule.name,
            verdicts=verdicts_for(mail.reason, rng),
            reason=mail.reason,
            action=Action.DELETE_MESSAGE,
            findings=mail.findings,
            authentication=mail.authentication,
            known=mail.known,
            source="gateway",
        )


def _results(results: tuple[str, ...], domain: str) -> tuple[Authentication, ...]:
    """Make authentication results as the demo's gateway reports them."""
    pairs = (one.split("=") for one in results)
    return tuple(Authentication(method, result, domain, HOST) for method, result in pairs)
