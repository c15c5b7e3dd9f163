"""A small real DNS server over UDP: names lead where the test says, and may move."""

import socketserver
import struct
import threading
from types import TracebackType


class NameServer:
    """Answers A queries from `addresses`; any other name does not exist. A context manager."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self._server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "NameServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, query: bytes) -> bytes:
        """The reply to one query with one question (RFC 1035, 4.1)."""
        end = query.index(b"\0", 12) + 5  # behind the name: its zero, type and class
        address = self.addresses.get(_name(query[12:end]))
        if address is None:
            return query[:2] + struct.pack("!HHHHH", 0x8183, 1, 0, 0, 0) + query[12:end]
        record = struct.pack("!HHHIH", 0xC00C, 1, 1, 600, 4) + bytes(map(int, address.split(".")))
        return query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:end] + record

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        names = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                query, socket = self.request
                socket.sendto(names.answer(query), self.client_address)

        return Handler


def _name(question: bytes) -> str:
    """The dotted name that a question asks for."""
    labels, at = [], 0
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels)
