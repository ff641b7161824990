"""One campaign: the operators drawn for it, and its messages."""

from __future__ import annotations

import html
from datetime import datetime
from functools import partial
from random import Random

from tests.waves import files, infrastructure, mutations, qr
from tests.waves.infrastructure import Origin
from tests.waves.mime import Mail
from tests.waves.operators import LURES, draw, lying_at, one_of
from tests.waves.threads import thread
from tests.waves.words import LANGUAGES, Thought, Tongue, between_holes, filled, shaped, thoughts, tongue
from tests.waves.world import Company, Person, World

_EMOJI = "⚠🔔📦📄🔒✅💰🎁⏰❗📧"
#: What campaigns of one actor share.
_OF_ACTOR = ("markup", "kit", "link", "sender", "network")
_NUMBERS = ("<d8>", "<H2>-<d6>", "INV<d5>", "<d3>-<d7>", "<H4>-<H4>-<H4>")
_TAGS = ("[<H6>]", "#<d5-8>", "(<a6>)", "ID:<d6>", "- <H4>-<H4>")


class Campaign:
    """A campaign of `world`; with the label of another campaign as `actor`, by the same attacker.

    `place` is its number and the number of campaigns, if these share the operators evenly.
    """

    def __init__(self, world: World, label: str, actor: str = "", place: tuple[int, int] = (0, 0)) -> None:
        self.world, self.label, self.actor = world, label, actor or label
        rng = Random(f"{world.seed}/{label}/operators")

        def cut(axis: str) -> float:
            if not place[1]:
                return rng.random()
            order = Random(f"{world.seed}/{axis}/order").sample(range(place[1]), place[1])
            return (order[place[0]] + rng.random()) / place[1]

        self.lure = lying_at(cut("lure"), {name: lure.weight for name, lure in LURES.items()})
        self.ops = draw(rng, self.lure, cut)
        self.goal = self.ops["goal"][0]
        self.brand = rng.choice(world.brands)
        first = one_of(rng, {"en": 40, "de": 18, "fr": 9, "es": 8, "it": 7, "pl": 6, "ru": 5, "tr": 3, "ja": 4})
        others = rng.sample([code for code in LANGUAGES if code != first], 8)
        several = {"one": 0, "few": rng.randint(1, 3), "many": rng.randint(5, 8)}[self.ops["languages"][0]]
        self.languages = [first, *others[:several]]
        self.level = "file" if "file" in self.ops else "link" if "link" in self.ops else "words"

    def fixed(self, axis: str, late: bool, *more: object) -> Random:
        """Return the random source of one of its choices: always the same, or a new one halfway if the axis drifts."""
        owner = self.actor if axis in _OF_ACTOR else self.label
        return Random(f"{self.world.seed}/{owner}/{axis}/{late and axis in self.ops.get('drift', ())}/{more}")

    def about(self) -> dict[str, object]:
        """Return its entry in truth.json."""
        return {"lure": self.lure, "languages": self.languages, "actor": self.actor, "operators": self.ops}

    def message(self, number: int, when: datetime, late: bool) -> Mail:
        """Make its message `number`, sent at `when`; `late`: in its second half."""
        rng = Random(f"{self.world.seed}/{self.label}/{number}")
        lang = rng.choice(self.languages)
        to = self.world.recipient(rng, lang)
        origin = infrastructure.origin(self, rng, to, late, lang)
        link = infrastructure.link(self, rng, to[0], when, late) if "link" in self.ops else ""
        link = infrastructure.tracked(self.world, rng, origin)(link) if link and self.goal == "link" else link
        tongue_ = tongue(self.world.seed, lang)
        holes = self._holes(rng, to, when, late, link)
        mail = Mail(origin.kit, when, origin.mailbox, origin.name, to[0].mailbox, "", lang)
        mail.envelope, mail.ip, mail.helo, mail.fields = origin.envelope, origin.ip, origin.helo, list(origin.fields)
        if self.goal == "reply" and self.ops["sender"][0] != "freemail":
            mail.reply_to = f"{shaped(rng, '<l5-9><d2>')}@{self.world.freemail[number % 3]}"
        mail.subject = self._subject(rng, tongue_, late, holes)
        paragraphs = self._paragraphs(rng, tongue_, late, holes)
        tail = ""
        if self.ops["text"][0] == "hijacked" and origin.firm:
            stolen = thread(self.world, rng, origin.firm, to[0], when)
            mail.subject, tail = stolen.subject, stolen.quoted
            mail.fields += stolen.fields
        self._files(mail, rng, tongue_, to[0], when, late, holes)
        self._bodies(mail, rng, tongue_, late, paragraphs, holes, tail, origin)
        return mail

    def _holes(self, rng: Random, to: tuple[Person, Company], when: datetime, late: bool, link: str) -> dict[str, str]:
        fixed = self.fixed("holes", late, rng.randrange(4))
        currency = fixed.choice(("EUR", "USD", "$", "€", "£"))
        return {
            "first": to[0].first, "name": to[0].name, "company": to[1].name, "brand": self.brand.name, "link": link,
            "mailbox": to[0].mailbox, "amount": f"{rng.randint(90, 9800)}.{rng.randint(0, 99):02} {currency}",
            "number": shaped(rng, self.fixed("number", late).choice(_NUMBERS)),
            "date": f"{when.day:02}.{when.month:02}.{when.year}",
            "phone": f"+1 (8{fixed.randrange(10)}8) {shaped(fixed, '<d3>')}-{shaped(fixed, '<d4>')}",
            "wallet": shaped(fixed if fixed.random() < 0.5 else rng, "bc1q<a38>"),
        }  # fmt: skip

    def _subject(self, rng: Random, said: Tongue, late: bool, holes: dict[str, str]) -> str:
        ops = self.ops.get("subject", [])
        fixed = self.fixed("subject", late)
        extra = [
            hole
            for op, hole in (("numbers", "{number}"), ("person", fixed.choice(("{name}", "{mailbox}", "{company}"))))
            if op in ops
        ]
        plans = thoughts(fixed, self.lure, fixed.randint(2, 8) if "templates" in ops else 1, (), self.label)
        chosen = rng.randrange(len(plans))
        thought: Thought = (*plans[chosen][: fixed.randint(2, 4)], *extra)
        wording = rng if "anew" in ops else self.fixed("subject", late, chosen, said.code)
        text = filled(said.title(wording, thought, 0.5 if "anew" in ops else 0), holes)
        if "prefix" in ops and rng.random() < 0.6:
            text = f"{said.conventions[rng.choice(('reply', 'forward'))]}: {text}"
        if "tag" in ops:
            tag = shaped(rng, fixed.choice(_TAGS))
            text = f"{tag} {text}" if fixed.random() < 0.5 else f"{text} {tag}"
        if "emoji" in ops:
            text = f"{rng.choice(_EMOJI)} {text}"
        if "homoglyphs" in ops:
            text = mutations.homoglyphs(rng, text, 0.3)
        return mutations.invisible(rng, text, 0.2) if "invisible" in ops else text

    def _paragraphs(self, rng: Random, said: Tongue, late: bool, holes: dict[str, str]) -> list[list[str]]:
        """Yield the text: paragraphs of sentences, with the holes filled."""
        manner, fixed = self.ops["text"][0], self.fixed("text", late)
        wanted = {"phone": ("phone", "amount"), "wallet": ("wallet", "amount")}.get(self.goal, ("number",))
        count = {"short": 2, "hijacked": 2, "same": fixed.randint(4, 14)}.get(manner, fixed.randint(5, 12))
        holes_ = wanted if manner not in ("short", "hijacked") else ()
        plan = thoughts(
            fixed, self.lure, count, (*holes_, *fixed.sample(("brand", "company", "date", "name"), 2)), self.label
        )
        wordings = fixed.randint(2, 6)
        if manner == "anew":
            must = [thought for thought in plan if any("{" + hole + "}" in thought for hole in wanted)]
            plan = [*must, *rng.sample(plan, len(plan) // 2), *thoughts(rng, self.lure, rng.randint(1, 6))]
            rng.shuffle(plan)
        sentences = []
        for at, thought in enumerate(plan):
            if manner in ("paraphrase", "short", "anew"):
                sentences.append(said.say(rng, thought, 0.4))
            else:
                drawn = rng.randrange(wordings) if manner in ("spintax", "hijacked") else 0
                sentences.append(said.say(self.fixed("text", late, at, drawn, said.code), thought, 0.4 if drawn else 0))
        if manner == "brand":
            real = [
                said.say(Random(f"{said.code}/{self.brand.name}/{at}"), each)
                for at, each in enumerate(self.brand.boilerplate)
            ]
            sentences = [*real[: len(real) // 2], sentences[0], *real[len(real) // 2 :]]
        sizes = fixed.choice((1, 2, 3, 4))
        paragraphs = [sentences[at : at + sizes] for at in range(0, len(sentences), sizes)]
        order = self.ops["order"][0]
        if order == "shuffled":
            paragraphs = mutations.shuffled(rng, paragraphs)
        elif order == "dropped":
            paragraphs = mutations.dropped(rng, paragraphs)
        if fixed.random() < 0.7:
            paragraphs.insert(0, [said.conventions["greeting"]])
        if fixed.random() < 0.6:
            paragraphs.append([said.conventions["closing"], "{brand}" if manner != "short" else ""])
        for op, change in (("homoglyphs", mutations.homoglyphs), ("invisible", mutations.invisible)):
            if op in self.ops.get("disguise", ()):
                worked = partial(change, rng, share=fixed.uniform(0.03, 0.3))
                paragraphs = [[between_holes(sentence, worked) for sentence in each] for each in paragraphs]
        return [[filled(sentence, holes) for sentence in each] for each in paragraphs]

    def _files(
        self, mail: Mail, rng: Random, said: Tongue, to: Person, when: datetime, late: bool, holes: dict[str, str]
    ) -> None:
        if self.goal == "qr":
            manner = self.fixed("qr", late).choice(("picture", "picture", "blocks"))
            rows = qr.code(holes["link"][: qr.LIMIT])
            if manner == "blocks":
                mail.plain = qr.blocks(rows)
            else:
                mail.files.append(
                    files.File(shaped(rng, "<a5-9>.png"), "image/png", qr.png(rng, rows), shaped(rng, "<a10>@<a8>"))
                )
        if "file" not in self.ops:
            return
        manner, fixed = self.ops["file"][0], self.fixed("file", late)
        kind = fixed.choice(LURES[self.lure].files)
        source = {
            "same": self.fixed("file bytes", late),
            "hourly": self.fixed("file bytes", late, when.day, when.hour),
        }.get(manner, rng)
        naming = {"bytes": fixed, "same": fixed, "hourly": source}.get(manner, rng)
        stem = said.meaning(f"{self.lure}{fixed.randrange(8)}")[0]
        shape = fixed.choice(
            (
                "{stem}_<d4-8>",
                "{stem}-<H6>",
                "{stem} <d2>-<d2>-2026",
                "<d10>",
                "{stem}_{who}",
                "Scan_<d8>_<d4>",
                "{stem}",
            )
        )
        name = shaped(naming, shape.format(stem=stem, who=to.last if manner == "named" else stem)) + f".{kind}"
        lines = [said.say(source, each) for each in thoughts(fixed, self.lure, fixed.randint(3, 12), (), self.label)]
        link = holes["link"] if manner in ("bytes", "named") else ""
        if not link:
            host = self.world.domain(self.fixed("link", late, source.randrange(5)))
            link = f"https://{host}/{shaped(source, '<A12>')}"
        mail.files.append(
            files.made(source, kind, name, [filled(line, holes) if manner != "same" else line for line in lines], link)
        )

    def _bodies(
        self,
        mail: Mail,
        rng: Random,
        said: Tongue,
        late: bool,
        paragraphs: list[list[str]],
        holes: dict[str, str],
        tail: str,
        origin: Origin,
    ) -> None:
        layout, ops, fixed = self.ops["layout"][0], self.ops.get("disguise", []), self.fixed("body", late)
        link = holes["link"] if self.goal == "link" else ""
        below = []
        if "buster" in ops:
            below.append(mutations.buster(rng, said.coin))
        if "disclaimer" in ops and (origin.firm or fixed.choice(self.world.partners)).disclaimer:
            below.append(
                (origin.firm or fixed.choice([firm for firm in self.world.partners if firm.disclaimer])).disclaimer
            )
        if "reply tail" in ops:
            firm = rng.choice(self.world.partners)
            below.append(thread(self.world, rng, firm, rng.choice(firm.people), mail.when).quoted)
        service = next((each for each in self.world.services if mail.helo.endswith(each.domain)), None)
        if service:
            below += [said.say(Random(each[0]), each) for each in service.footer]
        joint = "" if said.code == "ja" else " "
        texts = [joint.join(each) for each in paragraphs]
        action = said.say(self.fixed("action", late, said.code), (f"{self.lure}1", f"{self.lure}2"), end="")
        blocks = mail.plain
        if layout in ("plain", "both"):
            body = [*texts[:-1], *([link] if link else []), *texts[-1:], *below, *([tail] if tail else [])]
            mail.plain = "\n\n".join([*body, *([blocks] if blocks else [])]) + "\n"
        elif layout == "odd pair":
            innocent = thoughts(rng, "weather", rng.randint(2, 6))
            mail.plain = "\n\n".join([*(said.say(rng, each) for each in innocent), *([blocks] if blocks else [])])
        if layout == "plain":
            return
        if layout == "html":
            mail.plain = ""
        if layout == "image":
            shown = files.picture(rng, f"{self.label}/{said.code}/{late}")
            mail.files.append(files.File(shaped(rng, "<a7>.png"), "image/png", shown, shaped(rng, "<a12>")))
            texts = [texts[0][:30]] if fixed.random() < 0.5 else []
        written = [html.escape(text, quote=False) for text in texts]
        if "split words" in ops:
            written = [mutations.split_words(rng, text) for text in written]
        written += [
            f'<img src="cid:{file.inline}" width="{rng.randint(150, 420)}">' for file in mail.files if file.inline
        ]
        written += [f'<pre style="line-height:1">{blocks}</pre>'] if blocks else []
        if link:
            at = rng.randint(0, len(written)) if self.ops["order"] == ["shuffled"] else len(written)
            written.insert(at, f'<a href="{html.escape(link)}">{action}</a>')
        written += [f"<small>{html.escape(text, quote=False)}</small>" for text in below]
        if "hidden text" in ops:
            style = fixed.choice(
                ("display:none", "font-size:0", "color:#fff;font-size:1px", "opacity:0;height:0;overflow:hidden")
            )
            padding = " ".join(
                said.say(rng, each)
                for each in thoughts(rng, rng.choice(("business1-", "newsletter", "common")), rng.randint(3, 15))
            )
            written.insert(rng.randint(0, len(written)), f'<span style="{style}">{padding}</span>')
        if "comments" in ops:
            written = [f"<!-- {mutations.buster(rng, said.coin)} -->{text}" for text in written]
        if tail:
            written.append("<blockquote>" + html.escape(tail, quote=False).replace("\n", "<br>\n") + "</blockquote>")
        manner = self.ops["markup"][0]
        look = {"rebuilt": rng, "several": self.fixed("markup", late, rng.randrange(5))}.get(
            manner, self.fixed("markup", late)
        )
        mail.html = mutations.html_page(look, rng, written, action, manner == "classes")
