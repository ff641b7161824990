"""Decide on a message, from its rule, the address lists, the scanners' results and content filtering.

`judge` only decides. The gateway acts on the decision, after it has kept a copy if `keep` is set. The reason is the
verdict whose action is taken. If verdicts call for different actions, an action on the whole message goes before
removing attachments, and that before Skip; among equals, the gravest status decides.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

import msgspec

from store.judging.attachments import attachments_of
from store.judging.content import ContentResult, size_exceeded
from store.judging.engines.engine import EngineResult, findings_of
from store.judging.rules.address_lists import AddressLists, ListMatch, match, needs_from
from store.judging.rules.model import IfDown, Rule
from store.judging.scanner_words import GRAVITY
from store.mail.addresses import addresses_in_header
from store.mail.incoming import Incoming
from store.message.headers import decode_addresses, scan_block, unfolded
from store.message.message import summarise
from store.terms.records import CopyRecord
from store.terms.verdicts import Action, Engine, Status, Verdict, is_kept

NOT_DISINFECTED = "it cannot be disinfected, so its attachments are deleted"
NO_ATTACHMENTS = "no attachment can be deleted from it, so the message is deleted"
#: Max addresses in From that are looked up in the lists.
_FROM_LIMIT = 10
_FROM = re.compile(rb"^From[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)", re.IGNORECASE | re.MULTILINE)
#: Bytes of a header that is below every limit of `scan_block`.
_SMALL_HEADER = 16 << 10

_RANK = {status: rank for rank, status in enumerate(GRAVITY)}
_FORCE = {
    Action.SKIP: 0,
    Action.DISINFECT: 1,
    Action.DELETE_ATTACHMENT: 1,
    Action.DELETE_MESSAGE: 2,
    Action.REJECT: 2,
}
#: The force of the actions that keep the whole message from its recipients.
_WHOLE = _FORCE[Action.DELETE_MESSAGE]


class Decision(msgspec.Struct, frozen=True):
    """What the gateway shall do with a message. Text is NOT safe for a terminal.

    `verdicts` are those of all engines, for Scan Results. `reason` is the verdict that decided (None if nothing was
    found); its detail also says if the action differs from the rule's. `action` is the action to take, never DISINFECT.
    `attachments` are the indexes that DELETE_ATTACHMENT removes (None = all). `keep`: put a copy into Backup first.
    `temporary_fail`: if not "", the reason to tell the MTA to try again later; the message is then neither kept nor
    passed on. `note` describes unusual circumstances. `unscanned` are the engines that should have scanned the message
    and could not. `asked_nobody`: no scanner was asked, because the lists or the size decided.
    """

    verdicts: tuple[Verdict, ...] = ()
    reason: Verdict | None = None
    action: Action = Action.SKIP
    keep: bool = False
    temporary_fail: str = ""
    blacklisted_by: tuple[str, ...] = ()
    whitelisted_by: tuple[str, ...] = ()
    note: str = ""
    attachments: tuple[int, ...] | None = None
    unscanned: tuple[Engine, ...] = ()
    asked_nobody: bool = False

    def with_whole_message_deleted(self, why: str = NO_ATTACHMENTS) -> Decision:
        """Change the decision to deleting the whole message, with a copy kept: removing attachments does not help."""
        reason = self.reason and _explained(self.reason, why)
        return msgspec.structs.replace(
            self,
            reason=reason,
            action=Action.DELETE_MESSAGE,
            attachments=None,
            keep=reason is not None and is_kept(reason.engine, reason.status, Action.DELETE_MESSAGE),
            note=_joined(self.note, why),
        )


def look_up(lists: AddressLists, incoming: Incoming) -> ListMatch:
    """Look a message up in the lists. Never raises."""
    return match(lists, incoming.sender, incoming.recipients, _from(incoming) if needs_from(lists) else ())


def decided_before(
    rule: Rule, listed: ListMatch, incoming: Incoming, engines: Collection[Engine] = ()
) -> Decision | None:
    """Decide by the lists or the size alone, without asking a scanner; None if they do not decide.

    They decide if the action of `rule` for their verdict keeps the whole message from its recipients. `engines` are the
    engines that would have been asked. Never raises.
    """
    found = _found_before(listed, rule, incoming)
    deciding = [each for each in found if _FORCE[rule.action_for(each.engine, each.status)] == _WHOLE]
    if not deciding:
        return None
    what = "the black list decides" if deciding[0].engine is Engine.BLACK_LIST else "the size decides"
    unasked = [Verdict(each, Status.NOT_SCANNED, f"not asked: {what}") for each in Engine if each in engines]
    plain = Decision(
        verdicts=(*found, *unasked),
        blacklisted_by=listed.blacklisted_by,
        whitelisted_by=listed.whitelisted_by,
        asked_nobody=True,
    )
    return _decide(plain, rule, deciding, ContentResult())


def judge(
    rule: Rule,
    lists: AddressLists,
    incoming: Incoming,
    results: Mapping[str, EngineResult],
    content: ContentResult,
    listed: ListMatch | None = None,
) -> Decision:
    """Decide on one message by `rule`, the rule that matches it. `results` are the scanners' by name. Never raises.

    `listed` is the result of `look_up`, if the caller has it already.
    """
    listed = listed or look_up(lists, incoming)
    found = _found(listed, incoming, results, content)
    down = _down(results)
    if listed.white:
        down.pop(Engine.ANTI_SPAM, None)
    notes = [f"{engine.label} did not scan it: {why}" for engine, why in down.items()]
    if listed.white:
        notes.append(f"Anti-Spam was skipped: white list of {listed.entry}")
    plain = Decision(
        verdicts=_one_clean_an_engine(found),
        blacklisted_by=listed.blacklisted_by,
        whitelisted_by=listed.whitelisted_by,
        note=_joined(*notes),
        unscanned=tuple(down),
    )
    decision = _decide(plain, rule, [verdict for verdict in found if verdict.status in _RANK], content)
    waiting = [f"{e.label}: {why}" for e, why in down.items() if rule.down_for(e) is IfDown.TEMPORARY_FAIL]
    if waiting and _FORCE[decision.action] < _WHOLE:
        return msgspec.structs.replace(decision, keep=False, temporary_fail="; ".join(waiting))
    if decision.action is Action.DELETE_ATTACHMENT and (
        incoming.truncated or (decision.attachments is None and not attachments_of(incoming.raw)[0])
    ):
        return decision.with_whole_message_deleted()
    return decision


def record_of(
    incoming: Incoming, rule: Rule, decision: Decision, results: Mapping[str, EngineResult], source: str = "gateway"
) -> CopyRecord:
    """Build the record of this message's copy. Never raises."""
    record = summarise(
        incoming.raw,
        envelope_sender=incoming.sender,
        envelope_recipients=tuple(incoming.recipients),
        header=incoming.header,
    )
    return msgspec.structs.replace(
        record,
        mta_message_id=incoming.queue_id,
        client_address=incoming.client_address,
        client_name=incoming.client_name,
        findings=findings_of(results),
        dsn=incoming.dsn,
        rule_id=rule.id,
        rule_name=rule.name,
        verdicts=decision.verdicts,
        reason=decision.reason,
        action=decision.action,
        blacklisted_by=decision.blacklisted_by,
        whitelisted_by=decision.whitelisted_by,
        received_at=incoming.received_at or record.received_at,
        av_database_date=max(
            (result.database_date for result in results.values() if Engine.ANTI_VIRUS in result.engines), default=0
        ),
        source=source,
    )


def _decide(plain: Decision, rule: Rule, condemning: list[Verdict], content: ContentResult) -> Decision:
    if not condemning:
        return plain
    actions = [(verdict, rule.action_for(verdict.engine, verdict.status)) for verdict in condemning]
    reason, action = min(actions, key=lambda each: (-_FORCE[each[1]], _RANK[each[0].status]))
    keep = is_kept(reason.engine, reason.status, action)
    if _FORCE[action] != _FORCE[Action.DELETE_ATTACHMENT]:
        return msgspec.structs.replace(plain, reason=reason, action=action, keep=keep)
    taking = [verdict for verdict, each in actions if _FORCE[each] == _FORCE[action]]
    only_content = all(verdict.engine is Engine.CONTENT for verdict in taking)
    note = plain.note
    if action is Action.DISINFECT:
        reason, note = _explained(reason, NOT_DISINFECTED), _joined(note, NOT_DISINFECTED)
    return msgspec.structs.replace(
        plain,
        reason=reason,
        action=Action.DELETE_ATTACHMENT,
        keep=keep,
        note=note,
        attachments=content.banned if only_content and content.banned else None,
    )


def _found(
    listed: ListMatch, incoming: Incoming, results: Mapping[str, EngineResult], content: ContentResult
) -> list[Verdict]:
    """List all verdicts, each once.

    For a white-listed sender, Anti-Spam's become Not scanned, with the former verdict in the detail.
    """
    found: dict[Verdict, None] = {}
    if listed.black:
        found[_blacklisted(listed)] = None
    for result in results.values():
        for verdict in result.verdicts:
            if listed.white and verdict.engine is Engine.ANTI_SPAM:
                said = verdict.status.label + (f", {verdict.detail}" if verdict.detail else "")
                detail = f"white list of {listed.entry}" + (f" ({said})" if verdict.status in _RANK else "")
                verdict = Verdict(Engine.ANTI_SPAM, Status.NOT_SCANNED, detail)
            found[verdict] = None
    found.update(dict.fromkeys(content.verdicts))
    if incoming.truncated and not any(verdict.status is Status.SIZE_EXCEEDED for verdict in found):
        found[_cut_off(incoming)] = None
    return list(found)


def _found_before(listed: ListMatch, rule: Rule, incoming: Incoming) -> list[Verdict]:
    """List the verdicts that need no scan: Blacklisted and Size exceeded."""
    found = [_blacklisted(listed)] if listed.black else []
    size = size_exceeded(incoming.raw, rule.content)
    if size is not None:
        found.append(size)
    elif incoming.truncated:
        found.append(_cut_off(incoming))
    return found


def _blacklisted(listed: ListMatch) -> Verdict:
    return Verdict(Engine.BLACK_LIST, Status.BLACKLISTED, listed.entry)


def _cut_off(incoming: Incoming) -> Verdict:
    detail = f"larger than the gateway accepts; these are the first {len(incoming.raw):,} bytes"
    return Verdict(Engine.CONTENT, Status.SIZE_EXCEEDED, detail)


def _one_clean_an_engine(found: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Keep all verdicts that condemn, by gravity; for an engine without one, its Clean, else its Not scanned."""
    kept: dict[tuple[Engine, Status | None], Verdict] = {}
    condemned = set()
    for verdict in sorted(found, key=lambda each: (_RANK.get(each.status, 99), each.status is Status.NOT_SCANNED)):
        if verdict.status in _RANK:
            condemned.add(verdict.engine)
            kept.setdefault((verdict.engine, verdict.status), verdict)
        elif verdict.engine not in condemned:
            kept.setdefault((verdict.engine, None), verdict)
    return tuple(kept.values())


def _down(results: Mapping[str, EngineResult]) -> dict[Engine, str]:
    """Map each engine for which no scanner answered to the reason."""
    answered = {engine for result in results.values() if result.scanned for engine in result.engines}
    down: dict[Engine, str] = {}
    for engine in (Engine.ANTI_VIRUS, Engine.ANTI_SPAM, Engine.ANTI_PHISHING):
        whys = [
            f"{name}: {result.why or 'no answer'}"
            for name, result in results.items()
            if engine in result.engines and not result.scanned
        ]
        if whys and engine not in answered:
            down[engine] = ", ".join(whys)
    return down


def _from(incoming: Incoming) -> list[str]:
    """List the addresses in From, decoded as a mail program would show them."""
    header = incoming.header
    if header.end - header.start <= _SMALL_HEADER:
        values = [unfolded(each[1]) for each in _FROM.finditer(header.text, header.start, header.end)]
    else:  # One that may be so large that not all of it is read.
        values = scan_block(header.text, 0, len(incoming.raw), wanted=frozenset((b"from",)), header=header).all(b"from")
    fields = [decode_addresses(value) for value in values[:_FROM_LIMIT]]
    return addresses_in_header(", ".join(fields))[:_FROM_LIMIT]


def _explained(verdict: Verdict, why: str) -> Verdict:
    return Verdict(verdict.engine, verdict.status, f"{verdict.detail}; {why}" if verdict.detail else why)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
