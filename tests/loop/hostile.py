# SPDX-License-Identifier: GPL-3.0-or-later
"""Behaviours of an origin that means harm, on top of those of origin.py.

    with Origin() as origin:
        corrupt(origin)
        run("haul", origin.url("/chunks/endless-extension"))

    /raw?hex=BYTES[&piece=N][&wait=MS]   exactly these bytes, in pieces, then the end of its side; the connection stays
                                         open until the client goes (&close=1: is closed)
    /head/endless-line                   a field that never ends            /head/endless-fields   fields that never end
    /head/endless-interim                1xx without end                    /head/silent           half a head, then nothing
    /head/slow/MS                        a byte every so often, whole in the end
    /body/bytewise/SIZE                  each byte a packet of its own      /body/endless          without length, without end
    /body/endless-length                 of 2^63-1 bytes                    /body/half-closed      half of it, and FIN, still listening
    /chunks/endless                      a body of chunks without end       /chunks/endless-extension
    /chunks/endless-trailer              fields behind the last chunk       /chunks/endless-size   zeros before the size
    /chunks/tiny/SIZE                    chunks of one byte                 /chunks/cut            FIN in the middle of a chunk
    /redirect/forever                    always on to a new place           /redirect/location?hex=BYTES
    /lies/range                          206 for a part that is not the one asked for
    /lies/total                          206 for the right part of a file of another size
    /lies/206-later                      200 first, cut short; then 206 with bytes of another version
"""

import socket
import struct
import threading
import time

from origin import Response, body_bytes, head_bytes

BLOCK = b"x" * 65536


def raw_path(content, piece=0, wait=0, close=False):
    """The path at which exactly these bytes are sent."""
    path = f"/raw?hex={content.hex()}"
    return path + (f"&piece={piece}" if piece else "") + (f"&wait={wait}" if wait else "") + ("&close=1" if close else "")


def location_path(location):
    return f"/redirect/location?hex={location.hex()}"


def _until_client_goes(exchange, seconds=20):
    exchange.sleep(seconds)
    exchange.close()


def _end_side(exchange):
    socket.socket.shutdown(exchange.sock, socket.SHUT_WR)


def _forever(exchange, data):
    """Until the client has had enough. What it has taken so far stands in the origin."""
    while not exchange.origin.stopping.is_set():
        exchange.send(data)
        exchange.origin.flood_bytes += len(data)
    exchange.close()


def _raw(exchange):
    query = exchange.request.query
    content = bytes.fromhex(query.get("hex", "-"))  # a redirect may have led here without
    piece = int(query.get("piece", 0)) or len(content)
    for start in range(0, len(content), max(1, piece)):
        exchange.send(content[start : start + piece])
        time.sleep(int(query.get("wait", 0)) / 1000)
    _end_side(exchange)
    if "close" in query:
        exchange.close()
    _until_client_goes(exchange)


def _head(exchange):
    kind = exchange.request.path.split("/")[2]
    if kind == "slow":
        wait = exchange.number(1) / 1000
        for byte in head_bytes(200, [("Content-Length", 5)]):
            exchange.send(bytes([byte]))
            time.sleep(wait)
        exchange.send(b"hello")
        return
    exchange.send(b"HTTP/1.1 200 OK\r\n" if kind != "endless-interim" else b"")
    if kind == "endless-line":
        exchange.send(b"X-Long: ")
        _forever(exchange, BLOCK)
    elif kind == "endless-fields":
        _forever(exchange, b"".join(b"X-%d: y\r\n" % i for i in range(5000)))
    elif kind == "endless-interim":
        _forever(exchange, head_bytes(103, [("Link", "</a>")]) * 100)
    elif kind == "silent":
        exchange.send(b"Content-Le")
        _until_client_goes(exchange)
    raise ValueError(kind)


def _body(exchange):
    kind = exchange.request.path.split("/")[2]
    if kind == "bytewise":
        data = body_bytes(exchange.number(1), exchange.seed)
        exchange.head(200, [("Content-Length", len(data))])
        for byte in data:
            exchange.send(bytes([byte]))
    elif kind == "endless":
        exchange.head(200)
        _forever(exchange, BLOCK)
    elif kind == "endless-length":
        exchange.head(200, [("Content-Length", 2**63 - 1)])
        _forever(exchange, BLOCK)
    elif kind == "half-closed":
        exchange.head(200, [("Content-Length", 10000)])
        exchange.send(b"x" * 5000)
        _end_side(exchange)
        _until_client_goes(exchange)
    else:
        raise ValueError(kind)


def _chunks(exchange):
    kind = exchange.request.path.split("/")[2]
    exchange.head(200, [("Transfer-Encoding", "chunked")])
    if kind == "endless":
        _forever(exchange, b"10000\r\n" + BLOCK + b"\r\n")
    elif kind == "endless-extension":
        exchange.send(b"5;a=")
        _forever(exchange, BLOCK)
    elif kind == "endless-size":
        _forever(exchange, b"0" * 65536)
    elif kind == "endless-trailer":
        exchange.send(b"5\r\nhello\r\n0\r\n")
        _forever(exchange, b"".join(b"X-%d: y\r\n" % i for i in range(500)))
    elif kind == "tiny":
        exchange.send(b"".join(b"1\r\n%c\r\n" % byte for byte in body_bytes(exchange.number(1), exchange.seed)))
        exchange.send(b"0\r\n\r\n")
    elif kind == "cut":
        exchange.send(b"1000\r\nhello")
        exchange.close()
    else:
        raise ValueError(kind)


def _redirect(exchange):
    kind = exchange.request.path.split("/")[2]
    if kind == "forever":
        return Response(302, [("Location", f"/redirect/forever/{len(exchange.origin.requests)}")])
    if kind == "location":
        location = bytes.fromhex(exchange.request.query["hex"])
        exchange.send(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")
        return None
    raise ValueError(kind)


LIE_BYTES = 100000


def _lies(exchange):
    """The first answer is honest, and breaks off; who comes back for the rest is lied to."""
    kind = exchange.request.path.split("/")[2]
    etag = ("ETag", '"v1"')
    wanted = exchange.request.header("range")
    if not wanted:
        exchange.head(200, [etag, ("Content-Length", LIE_BYTES), ("Accept-Ranges", "bytes")])
        exchange.send(body_bytes(LIE_BYTES)[:60000])
        exchange.close()
    start = int(wanted.removeprefix("bytes=").split("-")[0])
    claims = {"range": (start + 1, LIE_BYTES), "total": (start, LIE_BYTES + 5), "206-later": (start, LIE_BYTES)}
    claimed, total = claims[kind]
    if kind == "206-later":
        etag = ("ETag", '"v2"')
    exchange.head(206, [etag, ("Content-Range", f"bytes {claimed}-{total - 1}/{total}"),
                        ("Content-Length", total - claimed)])
    exchange.send(b"!" * (total - claimed))


def corrupt(origin):
    """Teaches an origin all of it."""
    origin.flood_bytes = 0
    for prefix, behaviour in (("/raw", _raw), ("/head", _head), ("/body", _body), ("/chunks", _chunks),
                              ("/redirect/forever", _redirect), ("/redirect/location", _redirect), ("/lies", _lies)):
        origin.on(prefix)(behaviour)
    return origin


# TLS: who sits between, and knows no keys.


class Meddler:
    """Passes a good server's records on until the `step`th of them, counted from 0, and then acts. A context manager.

    act   called with the client's socket; what it sends is in the place of that record and all that follow
    """

    def __init__(self, port, step, act):
        self._server_port, self._step, self._act = port, step, act
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self.passed = []  # types of the records that were passed on, of the last connection
        self._stopping = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stopping = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _accept(self):
        while not self._stopping:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with client, socket.create_connection(("127.0.0.1", self._server_port)) as server:
                client.settimeout(10)
                server.settimeout(10)
                self._meddle(client, server)

    def _meddle(self, client, server):
        upward = threading.Thread(target=self._pump, args=(client, server), daemon=True)
        upward.start()
        self.passed = []
        try:
            while len(self.passed) < self._step:
                record = _read_record(server)
                if not record:
                    break
                self.passed.append(record[0])
                client.sendall(record)
            self._act(client)
            # What the client has sent is read, or closing would destroy what it was sent.
            client.shutdown(socket.SHUT_WR)
            upward.join(2)
        except OSError:
            pass
        for sock in (client, server):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        upward.join(5)

    @staticmethod
    def _pump(client, server):
        try:
            while data := client.recv(65536):
                server.sendall(data)
        except OSError:
            pass


def _read_exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return data


def _read_record(sock):
    head = _read_exactly(sock, 5)
    if not head:
        return b""
    return head + _read_exactly(sock, struct.unpack(">H", head[3:5])[0])


def alert(level, description):
    return bytes([0x15, 3, 3, 0, 2, level, description])
