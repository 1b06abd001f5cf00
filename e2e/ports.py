"""Ports of loopback for programs that have to be told theirs."""

from __future__ import annotations

import socket


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens at now; each may be taken again at any moment."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports
