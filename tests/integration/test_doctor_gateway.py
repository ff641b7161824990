"""`mailhold doctor` against the real gateway behind Postfix, with clamd and rspamd, and with a part of it missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.authority.settings import Settings
from store.doctor.doctor import State, Trace, examine
from store.doctor.probes import PROBES
from store.doctor.relay import examine_relay
from store.vault.vault import Vault
from tests.integration import clamd as clamd_module
from tests.integration import rspamd as rspamd_module
from tests.integration.clamd import ClamdServer
from tests.integration.gateway_process import GatewayProcess
from tests.integration.postfix import DOMAIN, Postfix, free_port
from tests.integration.postfix import why_not as why_no_postfix
from tests.integration.rspamd import RspamdServer

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("doctor-gateway")]


class Lab:
    """clamd, rspamd, the gateway on its own store, and a Postfix that asks it."""

    def __init__(self) -> None:
        self.clamd, self.rspamd = ClamdServer(), RspamdServer()
        self.gateway = GatewayProcess(
            f'[engines.clamd]\naddress = "{self.clamd.unix}"\n[engines.rspamd]\naddress = "{self.rspamd.unix}"\n'
        )
        self.gateway.start()
        self.postfix = Postfix(
            settings={"smtpd_milters": f"unix:{self.gateway.socket}", "milter_default_action": "tempfail"}
        )
        self.vault: Vault = self.gateway.vault()

    def doctor(self, port: int = 0) -> list[Trace]:
        to = f"bob@{DOMAIN}"
        return examine(self.vault, ("127.0.0.1", port or self.postfix.port), sender=to, recipient=to, wait=3)

    def close(self) -> None:
        self.vault.close()
        self.postfix.stop()
        self.gateway.close()
        self.rspamd.stop()
        self.clamd.stop()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    if reason := clamd_module.why_not() or rspamd_module.why_not() or why_no_postfix():
        pytest.skip(reason)
    running = Lab()
    yield running
    running.close()


def failed_step(trace: Trace) -> str:
    return trace.failed.name if trace.failed else ""


def test_both_messages_are_followed_to_the_store(lab: Lab) -> None:
    for trace, verdict in zip(lab.doctor(), ("Anti-Virus: Infected", "Anti-Spam: Spam"), strict=True):
        assert trace.failed is None, (trace, lab.gateway.log_text()[-2000:])
        found = {step.name: step.found for step in trace.steps}
        assert verdict in found["keep"]
        assert found["act"] == "Delete message"
        assert trace.queue_id in found["hand over"]
        assert trace.copy is not None
        assert trace.copy.record.mta_message_id == trace.queue_id
        assert trace.steps[-1].state is State.DONE


def test_a_scanner_that_is_down_is_found(lab: Lab) -> None:
    lab.clamd.kill()
    try:
        eicar, gtube = lab.doctor()
        assert failed_step(eicar) == "keep"
        assert "Anti-Virus found nothing" in eicar.steps[-1].check
        assert gtube.failed is None
    finally:
        lab.clamd.start()


def test_a_gateway_that_is_down_is_found(lab: Lab) -> None:
    assert lab.gateway.stop() == 0
    try:
        traces = lab.doctor()
        assert [failed_step(trace) for trace in traces] == ["hand over"] * len(PROBES)
        assert "Is the gateway running" in traces[0].steps[-1].check
        assert traces[0].steps[-1].found.startswith("451 ")
    finally:
        lab.gateway.start()


def test_an_mta_that_is_not_there_is_found(lab: Lab) -> None:
    assert [failed_step(trace) for trace in lab.doctor(free_port())] == ["connect"] * len(PROBES)


def test_a_relay_that_leads_back_through_intake_is_found(lab: Lab) -> None:
    to = f"bob@{DOMAIN}"
    settings = Settings(relay=f"smtp://127.0.0.1:{lab.postfix.port}", release_loops=True)
    trace = examine_relay(lab.vault, settings, lab.doctor(), sender=to, recipient=to, wait=10)
    assert trace.failed is None, trace
    assert [step.name for step in trace.steps] == ["connect", "hand over", "lead", "marker"]
    assert trace.steps[-1].found == "The message came back as it was sent"
