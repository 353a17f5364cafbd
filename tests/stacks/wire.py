"""Wires on loopback: between a real client and a real server, keeping what each said as packets of a conversation."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from itertools import count

from tests.decode.packets import Packet, Talk

HOST = "127.0.0.1"
_SEGMENT = 1400
_CLIENT_PORTS = count(40_000)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


def listens(port: int) -> bool:
    """Whether a server takes connections there."""
    with socket.socket() as one:
        return one.connect_ex((HOST, port)) == 0


class Wire:
    """Hands on what comes to `port`, to a server on loopback and back, until closed.

    Attributes:
        port: where the client connects.
        packets: what was said, as if the server listened on its well-known port.
    """

    def __init__(self, server: int, known_port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
        self.packets: list[Packet] = []
        self._server, self._known_port = server, known_port
        self._ear = socket.socket(socket.AF_INET, kind)
        self._ear.bind((HOST, 0))
        self.port = int(self._ear.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._sockets = [self._ear]
        self._open = True
        self._datagrams = kind == socket.SOCK_DGRAM
        if self._datagrams:
            self._begin_datagrams()
        else:
            self._ear.listen()
            self._selector.register(self._ear, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Cut the wire."""
        self._open = False
        self._thread.join()
        self._selector.close()
        for one in self._sockets:
            one.close()

    def _run(self) -> None:
        while self._open:
            for key, _ in self._selector.select(0.05):
                if key.data is None:
                    self._accept()
                elif self._datagrams:
                    self._hand_datagram_on(*key.data)
                else:
                    self._hand_on(*key.data)

    # --- connections

    def _accept(self) -> None:
        client, _ = self._ear.accept()
        server = socket.create_connection((HOST, self._server), 10)
        self._sockets += [client, server]
        talk = self._talk()
        _at_present(talk)
        talk.open()
        for side, (source, to) in enumerate(((client, server), (server, client))):
            self._selector.register(source, selectors.EVENT_READ, (side, source, to, talk))

    def _hand_on(self, side: int, source: socket.socket, to: socket.socket, talk: Talk) -> None:
        try:
            data = source.recv(_SEGMENT)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(source)
            with contextlib.suppress(OSError):
                to.shutdown(socket.SHUT_WR)
            return
        _at_present(talk)
        talk.send(side, data)
        with contextlib.suppress(ConnectionError):
            to.sendall(data)

    # --- datagrams, of one client

    def _begin_datagrams(self) -> None:
        behind = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        behind.bind((HOST, 0))
        self._sockets.append(behind)
        self._client: tuple[str, int] | None = None
        talk = self._talk()
        self._selector.register(self._ear, selectors.EVENT_READ, (0, self._ear, behind, talk))
        self._selector.register(behind, selectors.EVENT_READ, (1, behind, self._ear, talk))

    def _hand_datagram_on(self, side: int, source: socket.socket, to: socket.socket, talk: Talk) -> None:
        data, sender = source.recvfrom(65_535)
        if side == 0:
            self._client = sender
        _at_present(talk)
        talk.datagram(side, data)
        receiver = (HOST, self._server) if side == 0 else self._client
        if receiver is not None:
            to.sendto(data, receiver)

    def _talk(self) -> Talk:
        return Talk(port=next(_CLIENT_PORTS), server_port=self._known_port, packets=self.packets)


def _at_present(talk: Talk) -> None:
    talk.now = max(talk.now, time.time_ns() - talk.step)


@contextlib.contextmanager
def wire(server: int, known_port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[Wire]:
    """A wire to a server on loopback."""
    made = Wire(server, known_port, kind)
    try:
        yield made
    finally:
        made.close()
