# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted name server, for what dnsmasq does not do: it is slow, cuts answers short, and counts.

    with NameServer(delay=0.2) as server:          # any name is 127.0.0.1, and has no IPv6 address
        run("--async-dns-server", server.address, ...)
        assert server.waiting_max <= 100 and ("A", "name.test") in server.queries
"""

import heapq
import select
import socket
import struct
import threading
import time

TYPES = {1: "A", 28: "AAAA"}


class NameServer:
    """A context manager.

    delay      seconds until a question is answered; None: never
    addresses  {type: [addresses]} of every name
    truncate   answers by UDP say no more than that there is one by TCP
    """

    def __init__(self, host="127.0.0.1", port=0, delay=0.0, addresses=None, truncate=False, ttl=60):
        self.delay, self.truncate, self.ttl = delay, truncate, ttl
        self.addresses = {"A": ["127.0.0.1"]} if addresses is None else addresses
        self.queries = []  # (type, name), by UDP
        self.tcp_queries = []
        self.waiting_max = 0  # that were not answered yet, at once
        self.received_at = []  # time.monotonic() of each query by UDP
        self._udp, self._tcp = _listen(host, port)
        self.port = self._udp.getsockname()[1]
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._serve_udp, self._serve_tcp)]

    @property
    def address(self):
        return f"{self._udp.getsockname()[0]}:{self.port}"

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stopping.set()
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self):
        due = []  # (when, number, answer, to)
        while not self._stopping.is_set():
            wait = min(0.1, max(0.0, due[0][0] - time.monotonic())) if due else 0.1
            if select.select([self._udp], [], [], wait)[0]:
                packet, peer = self._udp.recvfrom(4096)
                self.queries.append(_question(packet)[:2])
                self.received_at.append(time.monotonic())
                if self.delay is not None:
                    when = self.received_at[-1] + self.delay
                    heapq.heappush(due, (when, len(self.queries), self._answer(packet, self.truncate), peer))
                self.waiting_max = max(self.waiting_max, len(due))
            while due and due[0][0] <= time.monotonic():
                _, _, answer, peer = heapq.heappop(due)
                self._udp.sendto(answer, peer)

    def _serve_tcp(self):
        while not self._stopping.is_set():
            try:
                sock, _ = self._tcp.accept()
            except OSError:
                continue
            threading.Thread(target=self._serve_connection, args=(sock,), daemon=True).start()

    def _serve_connection(self, sock):
        with sock, sock.makefile("rb") as stream:
            while len(head := stream.read(2)) == 2:
                packet = stream.read(int.from_bytes(head, "big"))
                self.tcp_queries.append(_question(packet)[:2])
                answer = self._answer(packet, False)
                sock.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, packet, truncate):
        kind, _, end = _question(packet)
        found = [] if truncate else self.addresses.get(kind, [])
        flags = 0x8580 | (0x0200 if truncate else 0)
        number = next((number for number, name in TYPES.items() if name == kind), 0)
        family = socket.AF_INET6 if kind == "AAAA" else socket.AF_INET
        records = b""
        for address in found:
            data = socket.inet_pton(family, address)
            records += struct.pack("!HHHIH", 0xC00C, number, 1, self.ttl, len(data)) + data
        return packet[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + packet[12:end] + records


def _listen(host, port):
    """Sockets for both on one port, which may be in use for either."""
    for _ in range(100):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        try:
            udp.bind((host, port))
            return udp, socket.create_server(udp.getsockname())
        except OSError:
            udp.close()
            if port:
                raise
    raise OSError("no port is free for both UDP and TCP")


def _question(packet):
    """(type, name, end of the question)."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    number = int.from_bytes(packet[at + 1:at + 3], "big")
    return TYPES.get(number, str(number)), ".".join(labels), at + 5
