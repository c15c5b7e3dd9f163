"""Free TCP ports for processes that insist on being told one."""

import socket


def free_port() -> int:
    """A port that was free a moment ago; the kernel does not hand the same one out again for a while."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
