"""Writes a filter as one line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import TypeVar

from store.filters import asked
from store.filters.model import MessageFilter, Period, Term
from store.filters.moments import print_time
from store.filters.tokens import OR, quote
from store.mail.outcome import Delivered
from store.terms.verdicts import Engine, Status

_E = TypeVar("_E", bound=StrEnum)


def print_filter(flt: MessageFilter, *, tz: tzinfo | None = None) -> str:
    """Write the filter as one line, with times in `tz` (None: UTC): `parse(print_filter(f, tz=z), tz=z) == f`."""
    group = flt.only_group
    if group is not None and not group.negated:
        return _alternatives(group.branches, tz or UTC)
    return _all_of(flt, tz or UTC)


def _alternatives(branches: Sequence[MessageFilter], tz: tzinfo) -> str:
    return f" {OR} ".join(_all_of(branch, tz) for branch in branches)


def _all_of(flt: MessageFilter, tz: tzinfo) -> str:
    words = []
    for field, terms in (("from", flt.from_), ("to", flt.to), ("subject", flt.subject), ("id", flt.message_id)):
        words += _texts(field, terms)
    words += _values("rule", [str(rule) for rule in flt.rule_ids])
    words += _values("-rule", [str(rule) for rule in flt.not_rule_ids])
    if flt.period is not None and flt.period is not Period.CUSTOM:
        words.append(f"period:{flt.period.value}")
    if flt.since is not None:
        words.append(f"since:{print_time(flt.since, tz, end=False)}")
    if flt.until is not None:
        words.append(f"until:{print_time(flt.until, tz, end=True)}")
    words += _set("scan", flt.engines, Engine) + _set("-scan", flt.not_engines, Engine)
    words += _set("status", flt.status, Status) + _set("-status", flt.not_status, Status)
    if flt.size_min is not None:
        words.append(f"size:>={flt.size_min}")
    if flt.size_max is not None:
        words.append(f"size:<={flt.size_max}")
    words += _set("delivered", flt.delivered, Delivered) + _set("-delivered", flt.not_delivered, Delivered)
    words += _beside(flt)
    words += [_minus(term.negated) + quote(term.text, bare=True) for term in flt.words]
    words += [f"{_minus(group.negated)}({_alternatives(group.branches, tz)})" for group in flt.groups]
    return " ".join(words)


def _beside(flt: MessageFilter) -> list[str]:
    """Write the words for fields that a list line does not have."""
    words = []
    for field, campaigns in (("campaign", flt.campaigns), ("-campaign", flt.not_campaigns)):
        words += _values(field, [str(campaign or "none") for campaign in campaigns])
    for field, flag in (("odd", flt.odd), ("known", flt.known)):
        if flag is not None:
            words.append(f"{field}:{'yes' if flag else 'no'}")
    words += _texts("link", flt.links) + _texts("file", flt.files)
    words += _values("sha256", flt.sha256) + _values("-sha256", flt.not_sha256)
    words += _texts("client", flt.clients)
    for sign, limit in ((">=", flt.score_min), ("<=", flt.score_max)):
        if limit is not None:
            number = f"{asked.hundredths(limit) / asked.HUNDREDTHS:.2f}".rstrip("0").rstrip(".")
            words.append(f"score:{sign}{number}")
    words += _texts("symbol", flt.symbols) + _texts("envelope", flt.envelope)
    return words + _values("auth", sorted(flt.auth)) + _values("-auth", sorted(flt.not_auth))


def _minus(negated: bool) -> str:
    return "-" if negated else ""


def _texts(field: str, terms: Sequence[Term]) -> list[str]:
    return [f"{_minus(term.negated)}{field}:{quote(term.text)}" for term in terms]


def _values(field: str, values: Sequence[str]) -> list[str]:
    return [f"{field}:{','.join(values)}"] if values else []


def _set(field: str, values: frozenset[_E], order: type[_E]) -> list[str]:
    return _values(field, [value.value for value in order if value in values])
