"""A message's way through the gateway: judge it, make its copy durable, and only then act.

`Intake.filter` handles messages in transit (milter, a sink with a next hop). `Intake.take` handles messages that end
here (a scanner's quarantine): each is kept, and none is accepted without its copy.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from store.authority.settings import ignored_names
from store.database.connection import is_url
from store.delivery.marker import Marked
from store.delivery.release_rows import Release
from store.gateway.keeping import NotKept, begin
from store.gateway.knowing import Knowing
from store.gateway.log import say
from store.gateway.metrics import Metrics
from store.gateway.noting import Judged, milliseconds, note
from store.gateway.placing import Placing
from store.gateway.policy import LivePolicy, Policy
from store.intake.released import Fields, Passed, own_fields, passes, put_back
from store.intake.unavailable import TEMPORARY, Outage, answer
from store.judging.attachments import accept_without
from store.judging.content import ContentResult, content_verdicts
from store.judging.engines.engine import EngineResult, Scanner, findings_of, scan_all, still_condemned
from store.judging.judge import Decision, decided_before, judge, look_up, record_of
from store.judging.rules.address_lists import AddressLists, ListMatch
from store.judging.rules.rules import first_match
from store.judging.scanner_headers import verdicts_from_headers
from store.judging.trusted_headers import HEADERS, result_of, scanner_verdicts
from store.mail.changes import changed
from store.mail.incoming import Accept, Discard, Incoming, Outcome, Refuse
from store.mail.local_domains import DomainCount
from store.message.message import summarise
from store.terms.errors import MailholdError, StoreUnavailable
from store.terms.records import CopyRecord
from store.terms.verdicts import Action, Engine, Status, Verdict

if TYPE_CHECKING:
    from store.judging.rules.model import Rule
    from store.vault.vault import Vault

T = TypeVar("T")
_NO_LISTS = AddressLists()

TOO_MANY_FIELDS = Refuse(554, "5.6.0", "Too many header fields that only Mailhold may write")
NOT_SCANNED = Refuse(451, "4.7.1", "The message could not be scanned, try again later")
VERDICT_FIELD = "X-Mailhold-Verdict"
#: Larger messages (bytes) are read in a thread, so that the event loop stays free for others.
LARGE = 256 << 10
#: Max list entries times recipients that are looked up without a thread.
FEW = 1000


@dataclass
class Intake:
    """Judges messages. `vault()` is the open store, or None; `pool` has the threads that use it.

    `thinkers` has the threads for other slow work (default `pool`): a slow store must not delay messages that need no
    copy.
    """

    vault: Callable[[], Vault | None]
    live: LivePolicy
    scanners: tuple[Scanner, ...]
    pool: Executor
    metrics: Metrics
    outage: Outage
    thinkers: Executor | None = None
    #: The domains in the envelopes of the kept copies.
    domains: DomainCount = field(default_factory=DomainCount)
    #: The server whose Authentication-Results fields are believed on listeners without trusted headers.
    server: str = ""
    knowing: Knowing = field(init=False, repr=False)
    _placing: Placing | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.knowing = Knowing(self.vault, self.live, self.server)

    async def filter(self, incoming: Incoming) -> Outcome:
        """Judge a message in transit and act on it. Raises only on defects."""
        began = time.perf_counter()
        policy, own = self.live.policy, await self._read(_own_fields, incoming)
        if own.too_many:
            self.metrics.count("messages", "rejected")
            say("message", queue_id=incoming.queue_id, outcome="rejected", why=TOO_MANY_FIELDS.text)
            return TOO_MANY_FIELDS
        if (own.marker or own.unmarked) and not incoming.truncated:
            passed = await self._passed(incoming, own)
            if passed is not None:
                return passed
        if policy.settings is None or policy.rules is None or policy.lists is None:
            self.metrics.count("messages", "temporary-fail")
            return TEMPORARY
        rule = first_match(policy.rules, incoming)
        results, decision, changes = await self._decision(policy.lists, rule, incoming)
        judged = Judged(decision, changes, None, "")
        if decision.keep:
            judged = await self._place(policy, rule, incoming, results, judged)
        outcome = self._act(judged, policy, own.delete)
        if isinstance(outcome, Accept) and decision.action is Action.SKIP:
            self.knowing.let_through(incoming, results)
        note(self.metrics, self.outage, incoming, rule, judged, outcome, began)
        return outcome

    async def take(self, incoming: Incoming) -> Outcome:
        """Keep a message that ends here, whatever its verdict: the scanner that sent it has already acted on it."""
        began = time.perf_counter()
        policy = self.live.policy
        if policy.settings is None:
            return TEMPORARY
        record, said = await self._aside(partial(_quarantined, incoming))
        rule = first_match(policy.rules or (), incoming)
        record = msgspec.structs.replace(record, rule_id=rule.id, rule_name=rule.name)
        try:
            copy_id: int | None = await self._keep(policy, incoming, partial(self._with_known, incoming, said, record))
            why, outcome = "", "taken"
        except NotKept as error:
            copy_id, why, outcome = None, str(error), "temporary-fail"
        self._kept(copy_id, why, policy)
        if why:
            self.metrics.count("without_copy", outcome)
            self.outage.dealt_with(outcome)
        self.metrics.count("messages", outcome)
        say(
            "message",
            queue_id=incoming.queue_id,
            outcome=outcome,
            copy=copy_id,
            size=len(incoming.raw),
            why=why,
            ms=milliseconds(began),
        )
        # The message exists nowhere else, so `if_unavailable` does not apply.
        return TEMPORARY if why else Accept()

    async def _passed(self, incoming: Incoming, fields: Fields) -> Outcome | None:
        """Answer a message with a genuine marker; None if it must be judged like any other."""
        marker, passed = fields.marker, Passed((), fields.unmarked)
        try:
            if marker is not None:
                passed = await self._in_pool(partial(self._passes, marker, incoming))
        except MailholdError as error:
            # Without the store the marker cannot be checked: the client keeps the message and sends it again.
            say("delivery marker not checked", level=logging.WARNING, queue_id=incoming.queue_id, why=str(error))
            self.metrics.count("markers", "not-checked")
            return TEMPORARY
        if marker is None or passed.why:
            say("delivery marker refused", level=logging.WARNING, queue_id=incoming.queue_id, why=passed.why)
            self.metrics.count("markers", "refused")
            return None
        self.metrics.count("markers", "genuine")
        self.metrics.count("messages", "released")
        say("message", queue_id=incoming.queue_id, outcome="released", size=len(incoming.raw))
        return Accept(delete_headers=fields.delete, put_back=partial(self._put_back, marker, passed.rows))

    async def _put_back(self, marker: Marked, rows: Sequence[Release], recipients: Sequence[str]) -> None:
        """Let a released message, which could not be sent on, pass once more."""
        vault = self.vault()
        try:
            if vault is None:
                raise StoreUnavailable("The store is not open.")
            await self._in_pool(partial(put_back, vault, marker, rows, recipients))
        except MailholdError as error:
            say("delivery marker lost, the message will be judged", level=logging.ERROR, why=str(error))

    async def _decision(
        self, lists: AddressLists, rule: Rule, incoming: Incoming
    ) -> tuple[dict[str, EngineResult], Decision, Accept]:
        """Ask the scanners, unless lists or size decide. Return their results, the decision, and its changes to the
        message.
        """
        listed = await self._listed(lists, incoming)
        engines = {engine for scanner in self._asked(rule) for engine in scanner.engines}
        before = decided_before(rule, listed, incoming, engines)
        if before is not None:
            return {}, before, Accept()
        results, content = await self._scan(rule, incoming)
        work = partial(_decided, lists, rule, incoming, results, content, listed)
        # Attachments are looked for in a thread, because the message is parsed for that.
        decision, changes = await self._aside(work) if _takes_attachments(rule, results, content) else work()
        return results, *await self._checked(rule, incoming, decision, changes)

    async def _listed(self, lists: AddressLists, incoming: Incoming) -> ListMatch:
        if lists == _NO_LISTS:
            return ListMatch()
        if len(incoming.raw) <= LARGE and len(incoming.recipients) * lists.size <= FEW:
            return look_up(lists, incoming)
        found: ListMatch = await self._aside(partial(look_up, lists, incoming))
        return found

    async def _scan(self, rule: Rule, incoming: Incoming) -> tuple[dict[str, EngineResult], ContentResult]:
        """Run the scanners and content filtering at the same time."""
        asked = self._asked(rule)
        filtering = bool(rule.content.banned_names or rule.content.banned_formats or rule.content.max_size)
        content = self._aside(partial(content_verdicts, incoming.raw, rule.content)) if filtering else None
        results = await scan_all(asked, incoming)
        for name, result in results.items():
            if not result.scanned:
                self.metrics.count("not_scanned", name)
        if incoming.trusted_headers:
            results[HEADERS] = await self._read(_from_headers, incoming)
        return results, await content if content is not None else ContentResult()

    async def _checked(
        self, rule: Rule, incoming: Incoming, decision: Decision, changes: Accept
    ) -> tuple[Decision, Accept]:
        """Scan the message without its attachments again: if it is still infected, delete all of it."""
        if changes == Accept() or not any(_by_attachment(rule, verdict) for verdict in decision.verdicts):
            return decision, changes
        left = await self._aside(partial(changed, incoming.raw, changes))
        why = await still_condemned(self._asked(rule), incoming, left, Engine.ANTI_VIRUS)
        if not why:
            return decision, changes
        return decision.with_whole_message_deleted(f"{why}, so the message is deleted"), Accept()

    def _asked(self, rule: Rule) -> list[Scanner]:
        return [each for each in self.scanners if rule.scanners is None or each.name in rule.scanners]

    async def _read(self, read: Callable[[Incoming], T], incoming: Incoming) -> T:
        """Apply `read` to the message, in a thread if it is large."""
        if len(incoming.raw) <= LARGE:
            return read(incoming)
        found: T = await self._aside(partial(read, incoming))
        return found

    def _aside(self, work: Callable[[], object]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self.thinkers or self.pool, work)

    def _in_pool(self, work: Callable[[], object]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self.pool, work)

    # --- Keeping -----------------------------------------------------------------------------------------------------

    async def _place(
        self, policy: Policy, rule: Rule, incoming: Incoming, results: dict[str, EngineResult], judged: Judged
    ) -> Judged:
        try:
            record = partial(self._record, incoming, rule, judged.decision, results)
            return judged._replace(copy_id=await self._keep(policy, incoming, record))
        except NotKept as error:
            return judged._replace(why=str(error))

    async def _keep(self, policy: Policy, incoming: Incoming, record: Callable[[], CopyRecord]) -> int:
        """Place a copy; return its id once it is durable. Raises NotKept.

        The committing thread prepares the copy and reports it durable, so no thread waits in between. A large copy, or
        one for a server whose answers take their time, is prepared by a thread of the pool.
        """
        began = time.perf_counter()
        if self._placing is None or not self._placing.of_this_loop():
            self._placing = Placing()
        try:
            future, told = self._placing.begin(incoming)
            vault = self.vault()
            work = partial(begin, vault, policy.settings, self.live.refused, incoming, record, told)
            if vault is None or len(incoming.raw) > LARGE or is_url(vault.location):
                self.pool.submit(work)
            else:
                vault.run_before_commit(work)
            copy_id = await self._placing.end(future, incoming)
        except NotKept as error:
            self.metrics.count("not_kept", error.kind)
            raise
        self.domains.add(incoming.recipients)
        self.metrics.count("kept")
        self.metrics.time("put", time.perf_counter() - began)
        return copy_id

    # --- In a thread -------------------------------------------------------------------------------------------------

    def _record(
        self, incoming: Incoming, rule: Rule, decision: Decision, results: dict[str, EngineResult]
    ) -> CopyRecord:
        return self._with_known(incoming, results, record_of(incoming, rule, decision, results))

    def _with_known(self, incoming: Incoming, results: dict[str, EngineResult], record: CopyRecord) -> CopyRecord:
        told = self.knowing.told(incoming, results)
        return msgspec.structs.replace(record, authentication=told.authentication, known=self.knowing.of(told))

    def _passes(self, marker: Marked, incoming: Incoming) -> Passed:
        vault, settings = self.vault(), self.live.policy.settings
        if vault is None:
            raise StoreUnavailable("The store is not open.")
        return passes(vault, marker, incoming, ignored=ignored_names(settings) if settings else frozenset())

    # --- Acting ------------------------------------------------------------------------------------------------------

    def _act(self, judged: Judged, policy: Policy, own: tuple[tuple[str, int], ...]) -> Outcome:
        decision, settings = judged.decision, policy.settings
        if decision.temporary_fail:
            return NOT_SCANNED
        if decision.keep:
            self._kept(judged.copy_id, judged.why, policy)
            refused = answer(settings.if_unavailable) if judged.why and settings is not None else None
            if refused is not None:
                return refused
        match decision.action:
            case Action.DELETE_MESSAGE:
                return Discard()
            case Action.REJECT:
                what = decision.reason.status.label if decision.reason else "policy"
                return Refuse(554, "5.7.1", f"The message is refused: {what}")
            case _:
                changes = judged.changes
                gone = dict.fromkeys((*changes.delete_headers, *own))
                return replace(
                    changes, add_headers=(*changes.add_headers, *_verdict_field(decision)), delete_headers=tuple(gone)
                )

    def _kept(self, copy_id: int | None, why: str, policy: Policy) -> None:
        if copy_id is not None:
            self.outage.succeeded()
        else:
            self.outage.failed(why, policy.settings)


def _decided(
    lists: AddressLists,
    rule: Rule,
    incoming: Incoming,
    results: dict[str, EngineResult],
    content: ContentResult,
    listed: ListMatch,
) -> tuple[Decision, Accept]:
    decision = judge(rule, lists, incoming, results, content, listed)
    if decision.action is not Action.DELETE_ATTACHMENT or decision.temporary_fail:
        return decision, Accept()
    changes = accept_without(incoming.raw, decision.attachments)
    return (decision, changes) if changes != Accept() else (decision.with_whole_message_deleted(), changes)


def _takes_attachments(rule: Rule, results: dict[str, EngineResult], content: ContentResult) -> bool:
    """Return True if the rule deletes attachments because of any verdict."""
    verdicts = (*content.verdicts, *(verdict for result in results.values() for verdict in result.verdicts))
    actions = (rule.action_for(verdict.engine, verdict.status) for verdict in verdicts)
    return any(action in (Action.DELETE_ATTACHMENT, Action.DISINFECT) for action in actions)


def _by_attachment(rule: Rule, verdict: Verdict) -> bool:
    """Return True if the rule deletes attachments because of this Anti-Virus verdict."""
    action = rule.action_for(verdict.engine, verdict.status)
    return verdict.engine is Engine.ANTI_VIRUS and action in (Action.DELETE_ATTACHMENT, Action.DISINFECT)


def _verdict_field(decision: Decision) -> tuple[tuple[str, str], ...]:
    """Make a header field with the verdicts on a message that goes on, for later filters; () if nothing was found."""
    found = [f"{v.engine.value}={v.status.value}" for v in decision.verdicts if v.status is not Status.CLEAN]
    return ((VERDICT_FIELD, "; ".join(found)),) if found else ()


def _own_fields(incoming: Incoming) -> Fields:
    return own_fields(incoming.raw, incoming.header)


def _from_headers(incoming: Incoming) -> EngineResult:
    """Read a trusted scanner's header fields as an engine's result."""
    return result_of(verdicts_from_headers(incoming.raw))


def _quarantined(incoming: Incoming) -> tuple[CopyRecord, dict[str, EngineResult]]:
    """Build the record of a quarantined message, with the scanner's verdict if the listener is trusted.

    Also returns that verdict as a scanner's result.
    """
    incoming, found = scanner_verdicts(incoming)
    said = {HEADERS: result_of(found)}
    record = summarise(
        incoming.raw,
        envelope_sender=incoming.sender,
        envelope_recipients=tuple(incoming.recipients),
        header=incoming.header,
    )
    record = msgspec.structs.replace(
        record,
        mta_message_id=incoming.queue_id,
        client_address=incoming.client_address,
        client_name=incoming.client_name,
        findings=findings_of(said),
        dsn=incoming.dsn,
        verdicts=found.verdicts,
        reason=found.reason,
        action=Action.DELETE_MESSAGE if found.reason else Action.SKIP,
        received_at=incoming.received_at or record.received_at,
        av_database_date=found.av_database_date
        if any(verdict.engine is Engine.ANTI_VIRUS for verdict in found.verdicts)
        else 0,
        source="quarantine",
    )
    return record, said
