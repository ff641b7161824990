"""A gateway's knowledge of the demo's messages: findings, authentication results, and the sender's history."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

import msgspec

from store.helpers.clock import DAY_MS
from store.sealing.counting import DOMAIN, RECIPIENT, SENDER
from store.terms.findings import Authentication, Finding, KnownSender
from store.terms.records import CopyRecord
from store.terms.sender import addresses, organisation
from store.terms.verdicts import Engine
from store.vault.known import Key, Known
from store.vault.vault import Vault
from tui.demo.envelopes import HOST
from tui.demo.people import people
from tui.demo.wave import ANTIVIRUS, REQUIRED, SCANNER, texts

#: Partners' domains that others use too, so that they count neither as imitated nor as imitating.
_ANYBODY = ("example.com", "example.net")
_SCORE = re.compile(r"^(-?\d+(?:\.\d+)?) of 15\.0(?:: (.*))?$")
#: Weights of the symbols that the demo's scanner names; all others weigh 1.
_WEIGHTS = {"BAYES_SPAM": 5.1, "PHISHING": 8.0, "R_SPF_FAIL": 1.0, "HFILTER_HOSTNAME_UNKNOWN": 2.5}


def with_knowledge(record: CopyRecord, rng: Random) -> CopyRecord:
    """Add to a composed message's record the findings, results and sender history that a gateway would record."""
    sender = next(iter(addresses(record.from_)), "")
    domain = sender.rpartition("@")[2].lower()
    partner = domain in _partners() and rng.random() < 0.3
    listed = any(one.address == sender for one in people().bulk)
    known = KnownSender()
    if organisation(domain) in _ANYBODY:
        known = KnownSender(domain_authenticated=60, domain_other=20)
    elif partner or listed:
        authenticated = rng.randrange(1, 40)
        known = KnownSender(authenticated, rng.randrange(3), authenticated * 3, rng.randrange(9), rng.randrange(9))
    elif rng.random() < 0.08:
        known = KnownSender(0, rng.randrange(3), 0, rng.randrange(1, 30))
    passed = "pass" if partner or listed or rng.random() < 0.2 else rng.choice(("fail", "none", "softfail"))
    results = [Authentication("spf", passed, domain, HOST)]
    if rng.random() < 0.7:
        results.append(Authentication("dkim", "pass" if passed == "pass" else "none", domain, HOST))
    if passed in ("pass", "fail"):
        results.append(Authentication("dmarc", passed, domain, HOST))
    return msgspec.structs.replace(
        record,
        client_name=f"mail.{domain}" if domain else "",
        findings=_findings(record),
        authentication=tuple(results) if domain else (),
        known=known,
    )


def _findings(record: CopyRecord) -> tuple[Finding, ...]:
    """Make the scanners' findings from the verdicts."""
    found = []
    for verdict in record.verdicts:
        scored = _SCORE.match(verdict.detail)
        if verdict.engine is Engine.ANTI_SPAM and scored:
            symbols = tuple((name, _WEIGHTS.get(name, 1.0)) for name in (scored[2] or "").split(", ") if name)
            found.append(Finding(SCANNER, float(scored[1]), REQUIRED, symbols))
        elif verdict.engine is Engine.ANTI_VIRUS and verdict.detail and " " not in verdict.detail:
            found.append(Finding(ANTIVIRUS, symbols=((verdict.detail, None),)))
    return tuple(found)


def count_known(vault: Vault, now: int) -> None:
    """Fill the counters of known senders: senders of good mail, and partners."""
    deltas: dict[Key, tuple[float, float]] = {(DOMAIN, domain): (40, 2) for domain in _partners()}
    deltas.update(((DOMAIN, domain), (60, 20)) for domain in _ANYBODY)
    deltas.update(((DOMAIN, one.address.rpartition("@")[2]), (30, 0)) for one in people().bulk)
    deltas.update(((DOMAIN, one.domain), (20, 0)) for one in people().brand if one.domain != "example.org")
    for sender, known in _known_ones().items():
        counted = msgspec.convert(known, KnownSender)
        deltas[SENDER, sender] = (counted.address_authenticated, counted.address_other)
        deltas[DOMAIN, sender.rpartition("@")[2]] = (counted.domain_authenticated, counted.domain_other)
        if counted.written_to:
            deltas[RECIPIENT, sender] = (counted.written_to, 0)
    Known(vault).add(deltas, now // DAY_MS)


def _partners() -> list[str]:
    """List the domains that belong to partners only."""
    return [domain for domain in people().partner_domains if domain not in _ANYBODY]


def _known_ones() -> Mapping[str, tuple[int, ...]]:
    known = {one.from_.address: one.known for one in texts().good}
    return known | {texts().thread.from_.address: texts().thread.known}
