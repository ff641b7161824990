"""The listeners of a gateway, from its configuration."""

from __future__ import annotations

from pathlib import Path

from store.gateway.config import Config, mode, next_hop, size
from store.gateway.handling import Intake
from store.intake.milter.server import MilterServer
from store.intake.sink import SinkServer
from store.mail.client import local_host_name
from store.mail.endpoint import parse_address

Server = MilterServer | SinkServer


class Listeners:
    """The servers, and their addresses as pairs (section of the configuration, address)."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.listening: list[tuple[str, str]] = []

    @property
    def sessions(self) -> int:
        """The number of connected clients."""
        return sum(server.sessions for server in self.servers)

    async def start(self, config: Config, intake: Intake) -> None:
        """Start all listeners. Raises StoreError, UsageError if one cannot listen."""
        milter = config.milter
        if milter.listen:
            server = MilterServer(intake.filter, max_size=size(milter.max_message))
            self.servers.append(server)
            for text in milter.listen:
                await self._listen("milter", server, text, milter.mode, milter.group)
        host = await local_host_name()
        for section in config.sink:
            hop = next_hop(section)
            sink = SinkServer(
                intake.filter if hop is not None else intake.take,
                protocol=section.protocol,
                max_size=size(section.max_message),
                trusted=section.trusted,
                next_hop=hop,
                host_name=host,
            )
            self.servers.append(sink)
            await self._listen("sink", sink, section.listen, section.mode, section.group)

    async def _listen(self, kind: str, server: Server, text: str, socket_mode: str, group: str) -> None:
        address = parse_address(text)
        if address.path:
            await server.listen_unix(Path(address.path), mode=mode(socket_mode), group=group)
        else:
            await server.listen_tcp(address.host, address.port)
        self.listening.append((kind, text))
