"""Composes single messages of the demo: a letter from a campaign, with its envelope and verdicts."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import msgspec

from store.message.message import summarise
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from tui.demo import letters
from tui.demo.attachments import Files
from tui.demo.envelopes import Recipients, addresses, queue_id, recipients, sent, trace
from tui.demo.languages import Language, Text, languages
from tui.demo.mime import Header, Part, encoded_words, mailbox, message, multipart, text_part
from tui.demo.people import Brand, Person, brand_for, client_address, idna, outsider, people
from tui.demo.policy import rule_for
from tui.demo.rhythm import DAY
from tui.demo.scenarios import Scenario, scenarios, verdicts_for
from tui.demo.threads import Turn

Placed = tuple[bytes, CopyRecord]
_ENGLISH_SHARE = 0.55
_MAILERS = ("Mailer 9.2", "WebMail 3.4.1", "PHPMailer 6.8", "Bulk Sender 2.11", "")
_DATABASE_HOUR = 9 * 3_600_000 + 41 * 60_000


class Campaign(NamedTuple):
    """Properties shared by the messages of one burst; a single message is a campaign of one."""

    scenario: Scenario
    language: Language
    charset: str
    text: Text
    sender: Person
    brand: Brand
    files: tuple[str, ...]
    client: str


class _Letter(NamedTuple):
    letter: letters.Letter
    body: Part
    file_name: str = ""
    extra: tuple[Header, ...] = ()


def _scenario(status: Status) -> Scenario:
    """Return the first scenario with that status."""
    return next(scenario for scenario in scenarios().scenario if scenario.status is status)


class Composer:
    """Composes messages. `rng` makes all choices; `shrink` divides the sizes of attachments."""

    def __init__(self, rng: Random, shrink: float = 1) -> None:
        self._rng = rng
        self._files = Files(rng, shrink)
        self._languages = languages()
        self._others = [language for language in self._languages.values() if language.code != "en"]

    def campaign(self, scenario: Scenario) -> Campaign:
        """Begin a new campaign for a scenario."""
        rng = self._rng
        english = rng.random() < _ENGLISH_SHARE or scenario.style == "bulk"
        language = self._languages["en"] if english else rng.choice(self._others)
        known = people()
        brand = known.brand[0]
        if scenario.style == "phishing":
            text = rng.choice(language.phishing)
            brand = brand_for(text.subject, rng)
            sender = Person(
                rng.choice((brand.name, f"{brand.name} Service", "Help Desk")),
                f"no-reply@{idna(rng.choice(brand.lookalikes))}",
            )
        elif scenario.style == "bulk":
            text, sender = language.honest[0], rng.choice(known.bulk)
        elif scenario.style == "spam":
            text, sender = rng.choice(language.spam), outsider(language, rng, known.spam_domains)
        else:
            honest = rng.random() < 0.6
            text = rng.choice(language.honest if honest else language.phishing)
            sender = outsider(language, rng, known.partner_domains if honest else known.spam_domains)
        charset = rng.choice(language.charsets)
        return Campaign(
            scenario, language, charset, text, sender, brand, rng.choice(scenario.files), client_address(rng)
        )

    def letter(self, campaign: Campaign, moment: int) -> Placed:
        """Compose a message of a campaign, placed in Backup at `moment` (Unix ms)."""
        rng = self._rng
        made = self._write(campaign, moment)
        to = recipients(rng)
        sender, spammers = campaign.sender, people().spam_domains
        envelope_sender = sender.address
        domain = sender.address.rpartition("@")[2]
        if campaign.scenario.style == "bulk":
            envelope_sender = f"bounce+{rng.getrandbits(32):x}@{domain}"
        elif campaign.scenario.style == "spam" and rng.random() < 0.03:
            envelope_sender = ""
        elif campaign.scenario.style == "phishing" and moment % 3 == 0:
            envelope_sender = f"www-data@{spammers[moment % len(spammers)]}"
        headers = self._headers(campaign, made, to, moment)
        raw = message(headers, made.body)
        reason = self._reason(campaign, made, domain, len(raw))
        return raw, self._record(raw, campaign, reason, envelope_sender, to, headers, moment)

    def turn(self, turn: Turn, status: Status, moment: int) -> Placed:
        """Compose a message of a conversation."""
        rng = self._rng
        scenario = _scenario(status)
        files = rng.choice(scenario.files)
        base = self.campaign(scenario)
        campaign = base._replace(sender=turn.sender, charset="utf-8", files=files, client="192.0.2.25")
        body = text_part(turn.text, "utf-8", rng)
        letter = letters.Letter(turn.subject, body)
        body, name = self._attach(body, files, "utf-8")
        extra: list[Header] = [("Message-ID", f"<{turn.message_id}>".encode())]
        if turn.references:
            extra.append(("In-Reply-To", f"<{turn.references[-1]}>".encode()))
            extra.append(("References", b"\r\n\t".join(f"<{one}>".encode() for one in turn.references)))
        if turn.list_id:
            extra += [("List-Id", f"<{turn.list_id}>".encode()), ("Precedence", b"list")]
        made = _Letter(letter, body, name, tuple(extra))
        to = Recipients((turn.to,), turn.copied)
        headers = self._headers(campaign, made, to, moment)
        raw = message(headers, body)
        reason = self._reason(campaign, made, turn.sender.address.rpartition("@")[2], len(raw))
        envelope = Recipients((recipients(rng).to or (Person("", "info@example.org"),))[:1]) if turn.list_id else to
        return raw, self._record(raw, campaign, reason, turn.sender.address, envelope, headers, moment)

    def hostile(self, make: Callable[[list[Header]], bytes], status: Status, moment: int) -> Placed:
        """Compose a message that attacks its reader (see `hostile`)."""
        campaign = self.campaign(_scenario(status))
        made = _Letter(letters.Letter("", Part(b"", b"")), Part(b"", b""), "update.txt")
        to = Recipients(recipients(self._rng).to or (Person("", "info@example.org"),))
        headers = [header for header in self._headers(campaign, made, to, moment) if header[0] != "Subject"]
        raw = make(headers)
        reason = self._reason(campaign, made, campaign.sender.address.rpartition("@")[2], len(raw))
        return raw, self._record(raw, campaign, reason, campaign.sender.address, to, headers, moment)

    def _write(self, campaign: Campaign, moment: int) -> _Letter:
        rng = self._rng
        scenario, language = campaign.scenario, campaign.language
        if scenario.style == "bulk":
            host = campaign.sender.address.rpartition("@")[2]
            subject, text, page = letters.newsletter(campaign.sender.name, host, rng, moment)
            parts = [text_part(text, "utf-8", rng), text_part(page, "utf-8", rng, subtype="html")]
            extra: list[Header] = [
                ("List-Id", f"<weekly.{host}>".encode()),
                ("List-Unsubscribe", f"<https://{host}/leave>".encode()),
                ("Precedence", b"bulk"),
            ]
            return _Letter(letters.Letter(subject, parts[0]), multipart("alternative", parts, rng), "", tuple(extra))
        link = f"http://{rng.choice(people().spam_domains)}/{rng.getrandbits(32):x}"
        values = letters.values_for(language, rng, link, campaign.sender.name, moment)
        if scenario.style == "phishing":
            letter = letters.phishing(campaign.text, values, campaign.charset, campaign.brand, rng)
        elif scenario.style == "spam" and rng.random() < 0.6:
            letter = letters.spam(campaign.text, values, campaign.charset, rng)
        else:
            letter = letters.plain(campaign.text, values, campaign.charset, rng)
        if scenario.style == "spam" and language.code == "en":
            letter = letter._replace(subject=letters.obfuscated(letter.subject, rng))
        if scenario is scenarios().size_exceeded:
            part, name = self._files.large(rng.choice((13, 14)), rng)
            return _Letter(letter, multipart("mixed", [letter.body, part], rng), name)
        body, name = self._attach(letter.body, campaign.files, campaign.charset)
        return _Letter(letter, body, name)

    def _attach(self, body: Part, kinds: tuple[str, ...], charset: str) -> tuple[Part, str]:
        """Add attachments to the body; return also the name of the first."""
        if not kinds:
            return body, ""
        parts, names = zip(*(self._files.part(kind, self._rng, charset) for kind in kinds), strict=True)
        return multipart("mixed", [body, *parts], self._rng), names[0]

    def _headers(self, campaign: Campaign, made: _Letter, to: Recipients, moment: int) -> list[Header]:
        rng = self._rng
        sender, charset = campaign.sender, campaign.charset
        domain = sender.address.rpartition("@")[2]
        quoted = not charset.startswith(("iso-2022", "shift", "gb", "big5", "euc"))
        headers = trace(
            campaign.client, f"{rng.choice(('mail', 'out', 'smtp', 'relay'))}.{domain}", queue_id(rng), moment, rng
        )
        headers.append(("From", mailbox(sender.name, sender.address, charset, quoted=quoted)))
        headers.append(("To", addresses(to.to, "utf-8") if to.to else b"undisclosed-recipients:;"))
        if to.cc:
            headers.append(("Cc", addresses(to.cc, "utf-8")))
        headers.append(("Subject", encoded_words(made.letter.subject, charset, quoted=quoted and rng.random() < 0.5)))
        headers.append(("Date", sent(moment, rng)))
        headers += made.extra
        if not any(name == "Message-ID" for name, _ in made.extra) and rng.random() < 0.96:
            headers.append(("Message-ID", f"<{rng.getrandbits(72):x}@{domain}>".encode()))
        mailer = rng.choice(_MAILERS)
        if mailer:
            headers.append(("X-Mailer", mailer.encode()))
        return headers

    def _reason(self, campaign: Campaign, made: _Letter, domain: str, size: int) -> Verdict:
        rng = self._rng
        kind = campaign.files[0] if campaign.files else ""
        details = campaign.scenario.details
        words = scenarios().words.get(campaign.scenario.status, {}).get(kind) or rng.choice(details)
        words = words.format(
            k=rng.randrange(6_000_000, 9_999_999),
            score=f"{rng.uniform(15.1, 38):.1f}",
            half=f"{rng.uniform(6, 14.9):.1f}",
            file=made.file_name,
            format=scenarios().formats.get(kind, "Executable"),
            sender=campaign.sender.address,
            domain=domain,
            client=campaign.client,
            shown=made.letter.shown or campaign.brand.domain,
            link=made.letter.target or domain,
            size=f"{size / 1_000_000:.1f}",
        )
        return Verdict(campaign.scenario.engine, campaign.scenario.status, words)

    def _record(
        self,
        raw: bytes,
        campaign: Campaign,
        reason: Verdict,
        envelope_sender: str,
        to: Recipients,
        headers: list[Header],
        moment: int,
    ) -> CopyRecord:
        rng = self._rng
        rule = rule_for(to.addresses, campaign.sender.address, rng)
        listed = reason.engine is Engine.BLACK_LIST
        allowed = not listed and reason.engine is Engine.ANTI_SPAM and rng.random() < 0.04
        received = headers[0][1]
        day = (moment - _DATABASE_HOUR) // DAY * DAY + _DATABASE_HOUR
        return msgspec.structs.replace(
            summarise(raw, envelope_sender=envelope_sender, envelope_recipients=to.addresses),
            mta_message_id=received.partition(b" id ")[2].partition(b"\r")[0].decode(),
            client_address=campaign.client,
            rule_id=rule.id,
            rule_name=rule.name,
            verdicts=verdicts_for(reason, rng),
            reason=reason,
            action=rng.choice(campaign.scenario.actions),
            blacklisted_by=to.addresses[:1] if listed else (),
            whitelisted_by=to.addresses[-1:] if allowed else (),
            av_database_date=0 if listed else day,
            source="gateway",
        )
