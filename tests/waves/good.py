"""Good mail that was caught by mistake, and aimed messages that copy some of it."""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from tests.waves import files, infrastructure, mutations
from tests.waves.campaign import Campaign
from tests.waves.infrastructure import Origin
from tests.waves.mime import Mail
from tests.waves.threads import Thread, holes_of, letter, thread
from tests.waves.words import LANGUAGES, filled, shaped, thoughts, tongue
from tests.waves.world import Company, Person, World

#: Shares of good mail, in percent; the rest are twins.
SHARES = {"newsletter": 24, "list": 12, "invoice": 12, "thread": 16, "personal": 9, "system": 13}


class Caught(NamedTuple):
    """A message and its entry in truth.json without the verdict."""

    label: str
    kind: str
    mail: Mail
    about: dict[str, str]


class Good:
    """The good mail of a wave of `hours` from `start` on, and its aimed copies."""

    def __init__(self, world: World, start: datetime, hours: int) -> None:
        self.world, self.start, self.hours, self._labels = world, start, hours, 0

    def _label(self) -> str:
        self._labels += 1
        return f"g{self._labels - 1:02}"

    def _when(self, rng: Random) -> datetime:
        return self.start + timedelta(seconds=rng.randrange(self.hours * 3600))

    def all(self, count: int, targeted: int, campaigns: list[Campaign]) -> Iterator[Caught]:
        """Yield `count` good messages and `targeted` aimed ones."""
        amounts = {kind: count * share // 100 for kind, share in SHARES.items()}
        amounts["thread"] = max(amounts["thread"], targeted)
        for kind, issues in (
            ("newsletter", (2, 6)),
            ("list", (2, 5)),
            ("invoice", (1, 3)),
            ("personal", (1, 1)),
            ("system", (1, 5)),
        ):
            left = amounts[kind]
            while left > 0:
                label = self._label()
                rng = Random(f"{self.world.seed}/{label}")
                size = min(left, rng.randint(*issues))
                left -= size
                maker = getattr(self, f"_{kind}")
                yield from (Caught(label, "good", maker(label, issue), {"what": kind}) for issue in range(size))
        threads = [self._label() for _ in range(max(targeted, amounts["thread"] * 2 // 3))]
        for number in range(amounts["thread"]):
            label = threads[number % len(threads)]
            yield Caught(label, "good", self._thread(label, number // len(threads)), {"what": "thread"})
        for number in range(count - sum(amounts.values())):
            yield self._twin(number, campaigns)
        for number in range(targeted):
            yield Caught(f"t{number}", "targeted", self._aimed(number, threads[number]), {"thread": threads[number]})

    def _mail(self, rng: Random, origin: Origin, to: str, subject: str, lang: str) -> Mail:
        mail = Mail(origin.kit, self._when(rng), origin.mailbox, origin.name, to, subject, lang)
        mail.envelope, mail.ip, mail.helo, mail.fields = origin.envelope, origin.ip, origin.helo, list(origin.fields)
        return mail

    def _of_firm(self, rng: Random, local: str = "") -> Origin:
        firm = rng.choice(self.world.partners)
        who = rng.choice(firm.people)
        mailbox = f"{local}@{firm.domain}" if local else who.mailbox
        return Origin(
            firm.name if local else who.name, mailbox, mailbox, firm.ip, f"mail.{firm.domain}", firm.kit, (), firm
        )

    def _of_brand(self, rng: Random) -> Origin:
        brand = rng.choice(self.world.brands)
        fixed = Random(f"{self.world.seed}/{brand.name}")
        mailbox = f"service@{brand.domain}"
        return Origin(
            brand.name,
            mailbox,
            mailbox,
            infrastructure.address(fixed),
            f"out.{brand.domain}",
            infrastructure.kit(fixed),
        )

    def _newsletter(self, label: str, issue: int) -> Mail:
        rng, own = Random(f"{self.world.seed}/{label}/{issue}"), Random(f"{self.world.seed}/{label}/list")
        lang, sponsor = own.choice(LANGUAGES), own.choice(self.world.partners)
        said, served = tongue(self.world.seed, lang), own.random() < 0.6
        origin = (
            infrastructure.of_service(self.world, own.randrange(3), rng, sponsor.name, sponsor.domain)
            if served
            else self._of_firm(own, "news")
        )
        to = self.world.recipient(rng, lang)[0]
        heading = said.title(own, thoughts(own, "newsletter", 1)[0][:3])
        mail = self._mail(
            rng,
            origin,
            to.mailbox,
            f"{heading} {issue + own.randrange(3, 90)}: {said.title(rng, thoughts(rng, 'newsletter', 1)[0][:4])}",
            lang,
        )
        wrap = infrastructure.tracked(self.world, rng, origin)
        blocks = [f"<h1>{heading}</h1>"]
        for _ in range(rng.randint(3, 8)):
            text = " ".join(said.say(rng, each) for each in thoughts(rng, "newsletter", rng.randint(2, 5), (), label))
            target = wrap(f"https://www.{sponsor.domain}/{shaped(rng, '<l6>/<a8>')}")
            blocks.append(
                f'{html.escape(text, quote=False)} <a href="{html.escape(target)}">{said.conventions["open"]}</a>'
            )
        service = next((each for each in self.world.services if origin.helo.endswith(each.domain)), None)
        if service:
            blocks += [f"<small>{said.say(Random(each[0]), each)}</small>" for each in service.footer]
        for each in thoughts(own, "newsletter", 3):
            blocks.append(f"<small>{said.say(Random(f'{label}{each}'), each)}</small>")
        blocks.append(f'<a href="{wrap(f"https://{sponsor.domain}/u")}">{said.conventions["unsubscribe"]}</a>')
        mail.html = mutations.html_page(own, rng, blocks, heading, False)
        mail.plain = said.say(rng, thoughts(rng, "newsletter", 1)[0]) if own.random() < 0.5 else ""
        return mail

    def _list(self, label: str, issue: int) -> Mail:
        rng, own = Random(f"{self.world.seed}/{label}/{issue}"), Random(f"{self.world.seed}/{label}/list")
        lang, host = own.choice(LANGUAGES), f"lists.{self.world.domain(own)}"
        name, topic = shaped(own, "<l4-7>"), thoughts(own, f"list{label}", 3)
        said, origin = tongue(self.world.seed, lang), self._of_firm(rng)
        fields = (
            ("List-Id", f"<{name}.{host}>"),
            ("List-Post", f"<mailto:{name}@{host}>"),
            ("Precedence", "list"),
            ("Sender", f"{name}-bounces@{host}"),
        )
        origin = origin._replace(
            envelope=f"{name}-bounces@{host}", ip=infrastructure.address(own), helo=host, fields=fields
        )
        subject = f"{'Re: ' if rng.random() < 0.6 else ''}[{name}] {said.title(own, rng.choice(topic)[:4])}"
        mail = self._mail(rng, origin, self.world.recipient(rng, lang)[0].mailbox, subject, lang)
        quoted = thread(
            self.world, rng, rng.choice(self.world.partners), rng.choice(self.world.partners[0].people), mail.when, 1
        ).quoted
        text = " ".join(said.say(rng, each) for each in thoughts(rng, f"list{label}", rng.randint(2, 9)))
        mail.plain = f"{quoted}\n\n{text}\n\n{origin.name}\n{'_' * 47}\n{name} mailing list\nhttps://{host}/{name}\n"
        return mail

    def _invoice(self, label: str, issue: int) -> Mail:
        rng, own = Random(f"{self.world.seed}/{label}/{issue}"), Random(f"{self.world.seed}/{label}/series")
        real = own.random() < 0.4
        origin = self._of_brand(own) if real else self._of_firm(own, "billing")
        lang = own.choice(LANGUAGES) if real or not origin.firm else origin.firm.lang
        said, to = tongue(self.world.seed, lang), self.world.recipient(own, lang)[0]
        plan = thoughts(own, "invoice", own.randint(3, 8), ("number", "amount", "date"))
        mail = self._mail(
            rng,
            origin,
            to.mailbox,
            said.title(own, plan[0][:3]).replace("{", "").replace("}", "") + shaped(rng, " <d6>"),
            lang,
        )
        holes = holes_of(rng, mail.when)
        text = [filled(said.say(Random(f"{label}{each}"), each), holes) for each in plan]
        mail.plain = "\n\n".join(
            [filled(said.conventions["greeting"], {"first": to.first}), *text, said.conventions["closing"], origin.name]
        )
        if real:
            brand = next(each for each in self.world.brands if each.name == origin.name)
            text += [
                filled(said.say(Random(f"{lang}/{brand.name}/{at}"), each), holes)
                for at, each in enumerate(brand.boilerplate)
            ]
            mail.html = mutations.html_page(
                own, rng, [html.escape(each, quote=False) for each in text], brand.name, False
            )
        elif origin.firm:
            mail.plain += f"\n\n{origin.firm.disclaimer}"
        stem = said.meaning("invoice1")[0]
        kind = own.choice(("pdf", "pdf", "xlsx"))
        mail.files.append(files.made(rng, kind, f"{stem}_{holes['number']}.{kind}", text, ""))
        return mail

    def _personal(self, label: str, issue: int) -> Mail:
        rng = Random(f"{self.world.seed}/{label}/{issue}")
        lang = rng.choice(LANGUAGES)
        said, to = tongue(self.world.seed, lang), self.world.recipient(rng, lang)[0]
        first, last = said.person(rng)
        mailbox = f"{shaped(rng, '<l5-9><d2>')}@{rng.choice(self.world.freemail)}"
        fixed = Random(f"{self.world.seed}/{mailbox.partition('@')[2]}")
        origin = Origin(
            f"{first} {last}",
            mailbox,
            mailbox,
            infrastructure.address(fixed),
            f"out{rng.randint(1, 9)}.{mailbox.partition('@')[2]}",
            infrastructure.kit(fixed),
        )
        mail = self._mail(
            rng, origin, to.mailbox, said.title(rng, thoughts(rng, "common", 1)[0][: rng.randint(1, 4)]), lang
        )
        text = " ".join(said.say(rng, each) for each in thoughts(rng, f"family{rng.randrange(9)}-", rng.randint(1, 12)))
        mail.plain = f"{text}\n\n{first}\n" + (f"\n{said.conventions['sent_from']}\n" if rng.random() < 0.4 else "")
        if rng.random() < 0.4:
            mail.files.append(
                files.File(f"IMG_{shaped(rng, '<d4>')}.png", "image/png", files.picture(rng, shaped(rng, "<a9>")))
            )
        if rng.random() < 0.3:
            mail.plain += f"\nhttps://{rng.choice(self.world.clouds)}/s/{shaped(rng, '<A15>')}\n"
        return mail

    def _system(self, label: str, issue: int) -> Mail:
        rng, own = Random(f"{self.world.seed}/{label}/{issue}"), Random(f"{self.world.seed}/{label}/system")
        firm, said = own.choice(self.world.own), tongue(self.world.seed, "en")
        host, local = (
            f"{shaped(own, '<l3-5><d2>')}.{firm.domain}",
            own.choice(("root", "monitor", "backup", "tickets", "scanner")),
        )
        origin = Origin(
            "",
            f"{local}@{host}",
            f"{local}@{host}",
            infrastructure.address(own),
            host,
            infrastructure.kit(own),
            (("Auto-Submitted", "auto-generated"),),
        )
        mail = self._mail(
            rng,
            origin,
            own.choice(firm.people).mailbox,
            f"[{host}] {said.title(own, thoughts(own, 'system', 1)[0][:3])} {rng.choice(('OK', 'FAILED', 'WARNING'))}",
            "en",
        )
        lines = [
            said.say(Random(f"{label}{each}"), each, end="") for each in thoughts(own, "system", own.randint(2, 6))
        ]
        mail.plain = "\n".join(
            f"{mail.when:%b %d %H:%M:%S} {host} {line}: {rng.randrange(10 ** own.randint(1, 6))}"
            for line in lines * own.randint(1, 4)
        )
        if local == "scanner":
            mail.files.append(files.made(rng, "pdf", f"Scan_{mail.when:%Y%m%d_%H%M}.pdf", [shaped(rng, "<A50>")], ""))
        return mail

    def _exchange(self, label: str) -> tuple[Origin, Company, Person, Person, Thread]:
        """Return whose thread `label` is: the firm and its writer, the reader, and what has been written so far."""
        rng = Random(f"{self.world.seed}/{label}/thread")
        origin = self._of_firm(rng)
        firm = origin.firm or self.world.partners[0]
        writer = next(each for each in firm.people if each.mailbox == origin.mailbox)
        reader = self.world.recipient(rng, firm.lang)[0]
        return origin, firm, writer, reader, thread(self.world, rng, firm, reader, self.start, 2)

    def _thread(self, label: str, turn: int) -> Mail:
        origin, firm, writer, reader, so_far = self._exchange(label)
        rng = Random(f"{self.world.seed}/{label}/thread/{turn}")
        mail = self._mail(rng, origin, reader.mailbox, so_far.subject, firm.lang)
        mail.fields += so_far.fields
        topic = "invoice" if rng.random() < 0.4 else f"business{rng.randrange(12)}-"
        text = letter(self.world, rng, firm.lang, writer, reader.first, holes_of(rng, mail.when), topic)
        mail.plain = f"{text}\n\n{firm.disclaimer}\n\n{so_far.quoted}\n"
        if rng.random() < 0.5:
            mail.html = "<div>" + html.escape(mail.plain, quote=False).replace("\n", "<br>\n") + "</div>"
        if Random(label).random() < 0.4:
            name = f"{shaped(Random(label), '<l6>_<d4>')}.pdf"
            mail.files.append(files.made(rng, "pdf", name, [shaped(rng, "<A30>")], ""))
        return mail

    def _aimed(self, number: int, label: str) -> Mail:
        """Make the thread's next letter, by an attacker: other bank details, a look-alike of the firm's domain."""
        rng, mail = Random(f"{self.world.seed}/t{number}"), self._thread(label, 0)
        _, firm, writer, reader, so_far = self._exchange(label)
        local, _, domain = mail.sender.partition("@")
        stem = domain.removesuffix(".example")
        middle = len(stem) // 2
        begin, end = stem[:middle], stem[middle:]
        false = rng.choice((f"{stem}-mail", f"{begin}{end[0]}{end}", f"{begin}{end[1:]}", f"{begin}-{end}"))
        text = letter(self.world, rng, firm.lang, writer, reader.first, holes_of(rng, mail.when), "invoice", True)
        account = shaped(rng, "<H2><d2> <d4> <d4> <d4> <d4> <d2>")
        mail.plain = f"{text}\n{account}\n\n{firm.disclaimer}\n\n{so_far.quoted}\n"
        if mail.html:
            mail.html = "<div>" + html.escape(mail.plain, quote=False).replace("\n", "<br>\n") + "</div>"
        mail.sender = mail.envelope = f"{local}@{false}.example"
        mail.kit, mail.ip, mail.helo = infrastructure.kit(rng), infrastructure.address(rng), f"mail.{false}.example"
        mail.when = self._when(rng)
        mail.files = [file._replace(data=files.pdf(rng, [account])) for file in mail.files]
        return mail

    def _twin(self, number: int, campaigns: list[Campaign]) -> Caught:
        """Make a good letter with a campaign's subject; some have a file of that name or a link to a shared host."""
        label = self._label()
        rng = Random(f"{self.world.seed}/{label}/twin")
        like = campaigns[
            min(int(rng.paretovariate(0.8)) - 1, len(campaigns) - 1) if number % 2 else rng.randrange(len(campaigns))
        ]
        model = like.message(rng.randrange(4), self._when(rng), False)
        mail = (self._personal, self._invoice, self._thread, self._newsletter)[number % 4](label, 0)
        mail.subject = model.subject
        named = [file for file in model.files if file.name.endswith(".pdf")]
        if named:
            mail.files = [files.made(rng, "pdf", named[0].name, [shaped(rng, "<A40>")], "")]
        if like.ops.get("link") == ["cloud"] and mail.plain:
            mail.plain += f"\nhttps://{rng.choice(self.world.clouds)}/s/{shaped(rng, '<A15>')}\n"
        return Caught(label, "good", mail, {"what": "twin", "twin_of": like.label})
