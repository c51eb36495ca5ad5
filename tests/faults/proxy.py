"""A TCP proxy that cuts connections: real network errors in front of a real store."""

import random
import socket
import threading
import time
from contextlib import suppress


class Proxy:
    """Forwards to a port of this machine; cuts a part of what is asked, and all of it during an outage."""

    def __init__(self, port: int, cut_rate: float = 0.0, seed: int = 0) -> None:
        self.target, self.cut_rate, self.chance = port, cut_rate, random.Random(seed)
        self.asked = self.cut = 0
        self.outage_at, self.outage_seconds, self.away_until = 0, 0.0, 0.0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def out_from(self, asked: int, seconds: float) -> None:
        """Be away for so long after so many requests."""
        self.outage_at, self.outage_seconds = asked, seconds

    def close(self) -> None:
        """Take no more connections."""
        self.listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as store:
            threading.Thread(target=_pour, args=(store, client), daemon=True).start()
            while data := client.recv(1 << 16):
                self.asked += 1
                if self.asked == self.outage_at:
                    self.away_until = time.monotonic() + self.outage_seconds
                if time.monotonic() < self.away_until or self.chance.random() < self.cut_rate:
                    self.cut += 1
                    with suppress(OSError):
                        store.shutdown(socket.SHUT_RDWR)
                    return
                store.sendall(data)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
