"""Metrics over HTTP: one page, silent clients, and failures that do not stop mail."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from store.gateway import metrics_server
from store.gateway.metrics import Metrics
from store.gateway.metrics_server import MOST, MetricsServer, ServedMetrics, page_of
from store.mail.endpoint import Address

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def serving(page: Callable[[], bytes] = lambda: b"page\n", said: list[Any] | None = None) -> AsyncIterator[int]:
    server = MetricsServer(page, lambda event, **_fields: said.append(event) if said is not None else None)
    port = await server.listen(Address("", "127.0.0.1", 0))
    try:
        yield port
    finally:
        await server.stop()


async def ask(port: int, request: bytes = GET) -> tuple[int, dict[str, str], bytes]:
    """Return the code, header fields and body of the answer; code 0 if there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(20):
            answer = await reader.read()
    except ConnectionError:
        return 0, {}, b""
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split(" ")[1]) if head else 0, fields, body


async def test_prometheus_gets_what_was_counted() -> None:
    pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")
    metrics = Metrics()
    metrics.count("messages", "deleted")
    metrics.count("messages", "deleted")
    metrics.count("verdicts", "anti-spam", "spam")
    metrics.time("put", 0.003)
    metrics.time("put", 100)
    metrics.gauges["backup_available"] = ("x", lambda: 1.0)
    metrics.labelled["engine_up"] = ("x", "engine", lambda: {"clamd": 1.0, "rspamd": 0.0})
    async with serving(page_of(metrics)) as port:
        code, fields, page = await ask(port)
    assert (code, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    for line in (
        'mailhold_messages_total{outcome="deleted"} 2.0',
        'mailhold_verdicts_total{engine="anti-spam",status="spam"} 1.0',
        'mailhold_put_seconds_bucket{le="0.0025"} 0.0',
        'mailhold_put_seconds_bucket{le="0.005"} 1.0',
        'mailhold_put_seconds_bucket{le="+Inf"} 2.0',
        "mailhold_put_seconds_count 2.0",
        "mailhold_backup_available 1.0",
        'mailhold_engine_up{engine="clamd"} 1.0',
        'mailhold_engine_up{engine="rspamd"} 0.0',
    ):
        assert line in page.decode().splitlines()


async def test_counters_with_an_alert_are_there_before_their_first_event() -> None:
    """Prometheus' increase() does not see the first event of a series that begins with it."""
    pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")
    metrics = Metrics()
    metrics.count("without_copy", "deleted")
    async with serving(page_of(metrics)) as port:
        _, _, page = await ask(port)
    for line in (
        "mailhold_kept_total 0.0",
        'mailhold_without_copy_total{outcome="accepted"} 0.0',
        'mailhold_without_copy_total{outcome="deleted"} 1.0',
        'mailhold_unscanned_total{engine="anti-virus",outcome="accepted"} 0.0',
    ):
        assert line in page.decode().splitlines()
    assert metrics.values("without_copy") == {("deleted",): 1}


@pytest.mark.parametrize(
    ("request_line", "code"),
    [
        ("GET /metrics HTTP/1.1", 200),
        ("GET /metrics?name[]=x HTTP/1.0", 200),
        ("HEAD /metrics HTTP/1.1", 200),
        ("GET / HTTP/1.1", 404),
        ("GET /metrics/ HTTP/1.1", 404),
        ("GET /../metrics HTTP/1.1", 404),
        ("GET /favicon.ico HTTP/1.1", 404),
        ("POST /other HTTP/1.1", 404),
        ("POST /metrics HTTP/1.1", 405),
        ("DELETE /metrics HTTP/1.1", 405),
        ("OPTIONS /metrics HTTP/1.1", 405),
        ("nonsense", 400),
        ("GET /metrics SMTP", 400),
        ("GET /metrics HTTP/1.1\r\nX: " + "x" * 20_000, 431),
    ],
)
async def test_there_is_one_page_and_it_can_only_be_read(request_line: str, code: int) -> None:
    async with serving() as port:
        found, fields, body = await ask(port, f"{request_line}\r\n\r\n".encode())
    assert found == code
    assert fields["connection"] == "close"
    assert body == (b"page\n" if code == 200 else body) if not request_line.startswith("HEAD") else body == b""
    if code == 405:
        assert fields["allow"] == "GET, HEAD"


async def test_clients_that_say_nothing_keep_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maximum of half-open connections is reached and more come: each scrape is still answered."""
    monkeypatch.setattr(metrics_server, "REQUEST_SECONDS", 600.0)
    async with serving() as port:
        half = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * MOST)]
        for _, writer in half:
            writer.write(b"GET /metr")
        for _ in range(3):
            assert (await ask(port))[2] == b"page\n"
        # The oldest one was closed, and no more than the maximum are open.
        assert await half[0][0].read() == b""
        for _, writer in half:
            writer.close()


async def test_a_client_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "REQUEST_SECONDS", 0.01)
    async with serving() as port:
        assert await ask(port, b"GET /metrics HTTP/1.1\r\nHost:") == (0, {}, b"")
        monkeypatch.undo()
        assert (await ask(port))[0] == 200


async def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "ANSWER_SECONDS", 0.01)
    server = MetricsServer(lambda: b"x" * 20_000_000, lambda *_args, **_fields: None)
    port = await server.listen(Address("", "127.0.0.1", 0))
    _reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(GET)
    async with asyncio.timeout(20):
        while not server._open:
            await asyncio.sleep(0.001)
        while server._open:
            await asyncio.sleep(0.001)
    writer.close()
    await server.stop()


async def test_a_page_that_cannot_be_made_is_told_once_and_the_next_is_made() -> None:
    said: list[str] = []
    broken = True

    def page() -> bytes:
        if broken:
            raise RuntimeError("a gauge broke")
        return b"page\n"

    async with serving(page, said) as port:
        for _ in range(3):
            code, _, body = await ask(port)
            assert code == 500 and b"see the log" in body and b"a gauge broke" not in body
        broken = False
        assert (await ask(port))[0] == 200
    assert said == ["metrics cannot be collected"]


async def test_a_port_that_is_taken_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")
    monkeypatch.setattr(metrics_server, "AGAIN_SECONDS", 0.01)
    said: list[str] = []
    changed: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        served = ServedMetrics(
            Metrics(), Address("", "127.0.0.1", port), lambda event, **_fields: said.append(event), changed.append
        )
        await served.start()
        assert served.problem == f"Metrics cannot listen on 127.0.0.1:{port}: Address already in use."
        assert said == ["metrics are not served, mail goes on"] and changed == [served.problem]
    async with asyncio.timeout(20):
        while served.problem:
            await asyncio.sleep(0.005)
    assert b"mailhold_" in (await ask(port))[2]
    assert said[1:] == ["metrics are served"] and changed[1:] == [""]
    await served.stop()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "raise ImportError('libfoo.so.1: cannot open shared object file')",
            "[metrics] of mailhold.toml needs prometheus-client, which is installed but does not load (ImportError: "
            "libfoo.so.1: cannot open shared object file). Reinstall it in the Python that runs Mailhold.",
        ),
        ("import no_such_library_of_it", "No module named 'no_such_library_of_it'"),
        ("raise RuntimeError('broken')", "(RuntimeError: broken)"),
        ("x = ", "SyntaxError"),
        ("", "AttributeError"),
        (None, "which is not installed. Run `pip install 'mailhold[gateway]'`"),
    ],
)
async def test_a_library_that_does_not_load_is_told_by_its_own_words(
    source: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "prometheus_client"]:
        monkeypatch.delitem(sys.modules, name)
    if source is None:
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
    else:
        (tmp_path / "prometheus_client.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
    served = ServedMetrics(Metrics(), Address("", "127.0.0.1", 0), lambda *_a, **_f: None, lambda _problem: None)
    await served.start()
    assert said in served.problem
    await served.stop()
