"""Free TCP ports for processes that insist on being told one."""

import random
import socket

_BELOW_EPHEMERAL = range(20_000, 32_000)
"""Linux takes the ports of outgoing connections from 32768 upwards: from there one may be gone before it is used."""


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that were free a moment ago."""
    while True:
        first = free_port()
        if first + count <= 65_536 and all(_is_free(port) for port in range(first + 1, first + count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_port() -> int:
    """A port that was free a moment ago, chosen at random where no outgoing connection takes one."""
    while True:
        port = random.choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
