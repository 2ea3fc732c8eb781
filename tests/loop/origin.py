# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted HTTP/1.1 origin for what a well-behaved server will not do.

    with Origin() as origin:                      # Origin(tls=("x.crt", "x.key")), address="::1", ...
        run("haul", origin.url("/short/1000/10"))
        assert origin.requests[0].header("range") is None

The server lives in the test's process, one thread per connection with plain blocking sockets: a misbehaviour is a few
lines that say when to send, wait, close or reset. `origin.requests` lists what was asked, in order of arrival.

A test adds behaviours of its own with a function that answers one exchange:

    @origin.on("/mine")                           # also any path below /mine/
    def mine(exchange):
        return Response(200, [("X-Test", "1")], b"body")      # or exchange.send(raw bytes) and return None

Built in (bodies are body_bytes(SIZE, seed), `?seed=N` picks the seed, 0 by default):

    /bytes/SIZE            Range and If-Range; ?etag=x ?modified=HTTP-DATE ?type= ?disposition= ?ranges=0
    /echo                  the request's head as the body
    /delay/SECONDS         answers late                 /status/CODE      ?retry-after=V ?size=N
    /flaky/N               the first N requests for this target fail with 503, then 200; ?retry-after=V
    /redirect?to=URL       &code=302                    /loop             redirects to itself
    /chunked/SIZE          ?piece=N                     /chunk-trailers   chunked with trailer fields
    /until-close/SIZE      no length, ends with close   /no-keepalive     Connection: close
    /short/SIZE/SENT       closes after SENT bytes      /stall/SIZE/SENT  goes silent after SENT bytes
    /trickle/SIZE/RATE     RATE bytes per second        /garbage          not HTTP
    /early-hints           100, 102, 103, then 200; ?count=N for N times 103
    /big-head/BYTES        one field that long          /many-fields/N    N fields
    /two-lengths           ?a=5&b=6                     /cl-te            both framings at once
    /close-after-response  keep-alive announced, connection closed at once (a stale pool)
    /reset/PHASE           RST: before-head, mid-head, after-head, mid-body
    /escape                terminal control characters in reason, field and file name
    /204  /304             without a body               /http09           a body with no head
    /bad-chunk             chunk size is no number      /huge-chunk-size  2^64 and more
    /lf-only               bare LF line ends            /nul-in-header    NUL in a field
    /content-encoding      gzip that nobody asked for
"""

import functools
import gzip
import random
import re
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

BLOCK = 1 << 20
HEAD_MAX = 1 << 20


@functools.lru_cache(maxsize=64)
def _whole_block(seed, index):
    return _block(seed, index, BLOCK)


def _block(seed, index, size):
    # A shorter block is a prefix of a longer one where the length is whole 32-bit words.
    return random.Random(f"{seed}/{index}").randbytes(-(-size // 4) * 4)[:size]


def body_blocks(size, seed=0):
    """The deterministic body of `size` bytes in blocks of at most 1 MiB; a shorter body is a prefix of a longer one."""
    for index in range(size // BLOCK):
        yield _whole_block(seed, index)
    if size % BLOCK:
        yield _block(seed, size // BLOCK, size % BLOCK)


def body_bytes(size, seed=0):
    return b"".join(body_blocks(size, seed))


@dataclass
class Request:
    head: bytes  # as received, with the empty line
    connection: int  # counted from 1, per origin
    number: int  # counted from 1, on its connection
    time: float  # time.monotonic() when the head was complete
    peer: tuple  # the client's address
    method: str = ""
    target: str = ""
    path: str = ""
    query: dict = field(default_factory=dict)  # the last value of each name
    fields: list = field(default_factory=list)  # (name, value), in order
    body: bytes = b""

    def header(self, name, default=None):
        """The first value of a field, name in any case."""
        for key, value in self.fields:
            if key.lower() == name.lower():
                return value
        return default


@dataclass
class Response:
    status: int = 200
    fields: list = field(default_factory=list)
    body: bytes = b""
    reason: str = None


class Closed(Exception):
    """The connection is over, by our own doing or the client's."""


def head_bytes(status, fields, reason=None):
    if reason is None:
        reason = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}"] + [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines + ["", ""]).encode("latin-1")


class Exchange:
    """One request and the means to answer it. Every method raises Closed once the connection is over."""

    def __init__(self, origin, sock, request):
        self.origin, self.sock, self.request = origin, sock, request

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Closed from error

    def head(self, status=200, fields=(), reason=None):
        self.send(head_bytes(status, fields, reason))

    def body(self, size, start=0):
        """Sends body_bytes(size)[start:] of the seed in the query."""
        for block in body_blocks(size, self.seed):
            if start < len(block):
                self.send(block[start:])
            start = max(0, start - len(block))

    def respond(self, response):
        fields = list(response.fields)
        names = {name.lower() for name, _ in fields}
        bodiless = response.status < 200 or response.status in (204, 304)
        if not bodiless and not names & {"content-length", "transfer-encoding"}:
            fields.append(("Content-Length", len(response.body)))
        data = head_bytes(response.status, fields, response.reason)
        if not bodiless and self.request.method != "HEAD":
            data += response.body
        self.send(data)
        if ("connection", "close") in [(name.lower(), str(value).lower()) for name, value in fields]:
            self.close()

    def sleep(self, seconds):
        """Waits, but not beyond the client's patience or the origin's end."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.origin.stopping.wait(min(left, 0.05)) or self._client_gone():
                raise Closed

    def close(self):
        """Ends the connection in good order, with close_notify unless the origin truncates TLS."""
        raise Closed

    def truncate(self):
        """Ends the connection with a FIN alone, without TLS's close_notify."""
        self.origin._hang_up(self.sock, notify=False)
        raise Closed

    def reset(self):
        """Ends the connection with a RST. What was sent before is given time to arrive."""
        time.sleep(0.05)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket.close(self.sock)
        raise Closed

    @property
    def seed(self):
        return int(self.request.query.get("seed", 0))

    def number(self, index):
        """The path's component, as a number: in /short/1000/10 number(0) is 1000."""
        return int(self.request.path.split("/")[2 + index])

    def _client_gone(self):
        if isinstance(self.sock, ssl.SSLSocket):  # cannot peek into TLS; a send will tell
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


class Origin:
    """The server; a context manager.

    tls           (certificate file, key file): speak TLS
    tls_truncate  never send close_notify
    tls_versions  (lowest, highest) ssl.TLSVersion
    on_accept     called with the raw socket of each new connection, before TLS; closing it there refuses the client
    """

    def __init__(self, address="127.0.0.1", port=0, tls=None, tls_truncate=False, tls_versions=None, on_accept=None):
        self.address = address
        self.tls_truncate = tls_truncate
        self.on_accept = on_accept
        self.requests = []
        self.connections = 0  # accepted so far
        self.slow_body_s = 0  # over which the body of a request is taken in
        self.busy = 0  # exchanges being answered now
        self.busy_max = 0
        self.open = 0  # connections now
        self.open_max = 0
        self.handlers = dict(_builtin)
        self.stopping = threading.Event()
        self.changed = threading.Condition()
        self._sockets = set()
        self._threads = set()
        self._context = None
        if tls:
            self.change_tls(tls, tls_versions)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family, backlog=1024)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def change_tls(self, tls, versions=None):
        """As if another server took this one's place: its tickets are unknown from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        context.set_alpn_protocols(["http/1.1"])
        if versions:
            context.minimum_version, context.maximum_version = versions
        self._context = context

    def set_receive_buffer(self, size):
        """Of connections that come from now on."""
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def url(self, path="/", host=None):
        host = host or self.address
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self._context else 'http'}://{host}:{self.port}{path}"

    def on(self, prefix):
        """Registers a handler for a path and everything below it; the longest prefix wins. Use as a decorator."""

        def register(function):
            self.handlers[prefix] = function
            return function

        return register

    def wait(self, condition, timeout=5):
        """Waits until condition(self) holds; returns whether it does."""
        with self.changed:
            return self.changed.wait_for(lambda: condition(self), timeout)

    def wait_requests(self, count, timeout=5):
        self.wait(lambda origin: len(origin.requests) >= count, timeout)
        return list(self.requests)

    def count(self, path):
        return sum(request.path == path for request in self.requests)

    def __enter__(self):
        self._acceptor.start()
        return self

    def __exit__(self, *exception):
        self.stopping.set()
        # Wakes the accept; close alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(5)
        self._listener.close()
        with self.changed:
            sockets, threads = list(self._sockets), list(self._threads)
        for sock in sockets:
            _shutdown(sock, socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)

    # The connection's life.

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, peer = self._listener.accept()
            except OSError:
                continue  # out of descriptors, or stopping
            with self.changed:
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(sock, peer, self.connections), daemon=True)
                self._threads.add(thread)
                thread.start()

    def _enter(self, sock):
        with self.changed:
            self._sockets.add(sock)
            self.open += 1
            self.open_max = max(self.open_max, self.open)
            self.changed.notify_all()

    def _leave(self, sock):
        with self.changed:
            self._sockets.discard(sock)
            self._threads.discard(threading.current_thread())
            self.open -= 1
            self.changed.notify_all()

    def _serve(self, sock, peer, connection):
        self._enter(sock)
        raw = sock
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.on_accept:
                self.on_accept(sock)
            if self._context:
                sock.settimeout(10)
                sock = self._context.wrap_socket(sock, server_side=True)
                with self.changed:  # wrapping moved the descriptor
                    self._sockets.discard(raw)
                    self._sockets.add(sock)
                sock.settimeout(None)
            self._exchanges(sock, peer, connection)
        except OSError:
            pass  # a client that does not like us: the test knows
        finally:
            self._hang_up(sock, notify=not self.tls_truncate)
            self._leave(sock)

    def _exchanges(self, sock, peer, connection):
        unread = b""
        number = 0
        while not self.stopping.is_set():
            number += 1
            request, unread = self._read_request(sock, unread, peer, connection, number)
            if request is None:
                return
            with self.changed:
                self.requests.append(request)
                self.busy += 1
                self.busy_max = max(self.busy_max, self.busy)
                self.changed.notify_all()
            try:
                self._answer(Exchange(self, sock, request))
            except Closed:
                return
            finally:
                with self.changed:
                    self.busy -= 1
                    self.changed.notify_all()
            if (request.header("connection") or "").lower() == "close":
                return

    def _read_request(self, sock, unread, peer, connection, number):
        while b"\r\n\r\n" not in unread:
            data = sock.recv(65536)
            if not data or len(unread) > HEAD_MAX:
                return None, b""
            unread += data
        head, _, rest = unread.partition(b"\r\n\r\n")
        request = Request(head + b"\r\n\r\n", connection, number, time.monotonic(), peer)
        first, *lines = head.decode("latin-1").split("\r\n")
        request.method, request.target = (first.split(" ") + ["", ""])[:2]
        url = urlsplit(request.target)
        request.path = url.path
        request.query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        request.fields = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        length = int(request.header("content-length", 0))
        rest = bytearray(rest)
        while len(rest) < length:
            data = sock.recv(65536)
            if not data:
                return None, b""
            time.sleep(self.slow_body_s * len(data) / length)
            rest += data
        request.body = bytes(rest[:length])
        return request, bytes(rest[length:])

    def _answer(self, exchange):
        handler = self._handler(exchange.request.path)
        try:
            response = handler(exchange)
        except (IndexError, ValueError) as error:  # a path that the behaviour cannot read
            response = Response(400, [], f"origin: {error}\n".encode())
        if response is not None:
            exchange.respond(response)

    def _handler(self, path):
        prefix = path
        while prefix:
            if prefix in self.handlers:
                return self.handlers[prefix]
            prefix = prefix.rpartition("/")[0]
        return self.handlers.get("/", lambda exchange: Response(404, [], b"no such behaviour\n"))

    def _hang_up(self, sock, notify):
        """Closes without a RST: the client may still be sending, and a RST would destroy what it has not read yet."""
        if sock.fileno() < 0:
            return
        try:
            if notify and isinstance(sock, ssl.SSLSocket):
                sock.settimeout(0)  # send close_notify, do not wait for the client's
                try:
                    sock.unwrap()
                except OSError:
                    pass
            _shutdown(sock, socket.SHUT_WR)
            deadline = time.monotonic() + 2
            while not self.stopping.is_set() and time.monotonic() < deadline:
                sock.settimeout(0.2)
                try:
                    if not socket.socket.recv(sock, 65536):
                        break
                except TimeoutError:
                    pass
        except OSError:
            pass
        finally:
            sock.close()


def _shutdown(sock, how):
    """The socket's own shutdown: SSLSocket's would forget the TLS session, which another thread may be using."""
    try:
        socket.socket.shutdown(sock, how)
    except OSError:
        pass


# The built-in behaviours.

_builtin = {}


def _path(*prefixes):
    def register(function):
        for prefix in prefixes:
            _builtin[prefix] = function
        return function

    return register


OCTETS = ("Content-Type", "application/octet-stream")


def _retry_after(query):
    return [("Retry-After", query["retry-after"])] if "retry-after" in query else []


@_path("/")
def _root(exchange):
    if exchange.request.path == "/":
        return Response(200, [OCTETS], b"haul test origin\n")
    return Response(404, [], b"no such behaviour\n")


@_path("/bytes")
def _bytes(exchange):
    request, size = exchange.request, exchange.number(0)
    query = request.query
    fields = [("Content-Type", query.get("type", OCTETS[1]))]
    if query.get("ranges") != "0":
        fields.append(("Accept-Ranges", "bytes"))
    for option, name in (("modified", "Last-Modified"), ("disposition", "Content-Disposition")):
        if option in query:
            fields.append((name, query[option]))
    etag = _quoted(query["etag"]) if "etag" in query else None
    if etag:
        fields.append(("ETag", etag))
    start, end, status = _range(request, size, etag, query)
    if status == 416:
        return Response(416, fields + [("Content-Range", f"bytes */{size}")])
    if status == 206:
        fields.append(("Content-Range", f"bytes {start}-{end - 1}/{size}"))
    fields.append(("Content-Length", end - start))
    exchange.head(status, fields)
    if request.method != "HEAD":
        exchange.body(end, start)
    return None


def _quoted(etag):
    return etag if etag.startswith(('"', "W/")) else f'"{etag}"'


def _range(request, size, etag, query):
    """(start, end, status) of the part asked for; only a single range is honoured."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.header("range", ""))
    condition = request.header("if-range")
    if query.get("ranges") == "0" or not match or match.group(0) == "bytes=-":
        return 0, size, 200
    weak = condition is not None and condition.startswith("W/")
    if condition is not None and (weak or condition not in (etag, query.get("modified"))):
        return 0, size, 200
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
    return (start, end, 206) if start < end else (0, 0, 416)


@_path("/echo")
def _echo(exchange):
    return Response(200, [OCTETS], exchange.request.head)


@_path("/delay")
def _delay(exchange):
    exchange.sleep(float(exchange.request.path.split("/")[2]))
    return Response(200, [OCTETS], body_bytes(1024, exchange.seed))


@_path("/status")
def _status(exchange):
    query = exchange.request.query
    return Response(exchange.number(0), _retry_after(query), body_bytes(int(query.get("size", 100)), exchange.seed))


@_path("/flaky")
def _flaky(exchange):
    seen = sum(request.target == exchange.request.target for request in exchange.origin.requests)
    if seen <= exchange.number(0):
        return Response(503, _retry_after(exchange.request.query), b"later\n")
    return Response(200, [OCTETS], body_bytes(1024, exchange.seed))


@_path("/redirect")
def _redirect(exchange):
    query = exchange.request.query
    return Response(int(query.get("code", 302)), [("Location", query["to"])] if "to" in query else [], b"moved\n")


@_path("/loop")
def _loop(exchange):
    return Response(302, [("Location", exchange.request.target)])


def _chunks(exchange, size, piece, end=b"0\r\n\r\n"):
    for block in body_blocks(size, exchange.seed):
        for start in range(0, len(block), piece):
            part = block[start : start + piece]
            exchange.send(b"%x\r\n%s\r\n" % (len(part), part))
    exchange.send(end)


CHUNKED = ("Transfer-Encoding", "chunked")


@_path("/chunked")
def _chunked(exchange):
    exchange.head(200, [OCTETS, CHUNKED])
    _chunks(exchange, exchange.number(0), int(exchange.request.query.get("piece", 16384)))


@_path("/chunk-trailers")
def _chunk_trailers(exchange):
    exchange.head(200, [OCTETS, CHUNKED, ("Trailer", "X-After")])
    _chunks(exchange, 5000, 1000, b"0\r\nX-After: 1\r\nContent-Length: 3\r\n\r\n")


@_path("/bad-chunk")
def _bad_chunk(exchange):
    exchange.head(200, [OCTETS, CHUNKED])
    _chunks(exchange, 1000, 1000, b"xyz\r\nbroken\r\n0\r\n\r\n")
    exchange.close()


@_path("/huge-chunk-size")
def _huge_chunk_size(exchange):
    exchange.head(200, [OCTETS, CHUNKED])
    exchange.send(b"%x\r\n" % (2**64 + 5) + b"hello\r\n0\r\n\r\n")
    exchange.close()


@_path("/until-close")
def _until_close(exchange):
    exchange.head(200, [OCTETS])
    exchange.body(exchange.number(0))
    exchange.close()


@_path("/short")
def _short(exchange):
    exchange.head(200, [OCTETS, ("Content-Length", exchange.number(0))])
    exchange.body(exchange.number(1))
    exchange.close()


@_path("/stall")
def _stall(exchange):
    exchange.head(200, [OCTETS, ("Content-Length", exchange.number(0))])
    exchange.body(exchange.number(1))
    exchange.sleep(3600)
    exchange.close()


@_path("/trickle")
def _trickle(exchange):
    size, rate = exchange.number(0), exchange.number(1)
    exchange.head(200, [OCTETS, ("Content-Length", size)])
    data = body_bytes(size, exchange.seed)
    step = max(1, rate // 20)
    for start in range(0, size, step):
        exchange.send(data[start : start + step])
        exchange.sleep(step / rate)


@_path("/garbage")
def _garbage(exchange):
    exchange.send(bytes(range(256)) * 4)
    exchange.close()


@_path("/early-hints")
def _early_hints(exchange):
    hint = head_bytes(103, [("Link", "</a>; rel=preload")], "Early Hints")
    if "count" in exchange.request.query:
        for _ in range(int(exchange.request.query["count"])):
            exchange.send(hint)
    else:
        exchange.send(head_bytes(100, []) + head_bytes(102, []) + hint)
    return Response(200, [OCTETS], body_bytes(1024, exchange.seed))


@_path("/big-head")
def _big_head(exchange):
    return Response(200, [OCTETS, ("X-Big", "b" * exchange.number(0))], b"ok\n")


@_path("/many-fields")
def _many_fields(exchange):
    return Response(200, [OCTETS] + [(f"X-Field-{i}", i) for i in range(exchange.number(0))], b"ok\n")


@_path("/two-lengths")
def _two_lengths(exchange):
    query = exchange.request.query
    exchange.head(200, [OCTETS, ("Content-Length", query.get("a", 5)), ("Content-Length", query.get("b", 6))])
    exchange.send(b"abcdef")
    exchange.close()


@_path("/cl-te")
def _cl_te(exchange):
    exchange.head(200, [OCTETS, ("Content-Length", 3), CHUNKED])
    exchange.send(b"5\r\nhello\r\n0\r\n\r\n")
    exchange.close()


@_path("/no-keepalive")
def _no_keepalive(exchange):
    return Response(200, [OCTETS, ("Connection", "close")], body_bytes(1024, exchange.seed))


@_path("/close-after-response")
def _close_after_response(exchange):
    exchange.respond(Response(200, [OCTETS, ("Connection", "keep-alive")], body_bytes(1024, exchange.seed)))
    exchange.close()


@_path("/reset")
def _reset(exchange):
    phase = exchange.request.path.split("/")[2]
    head = head_bytes(200, [OCTETS, ("Content-Length", 100000)])
    if phase == "mid-head":
        exchange.send(head[:30])
    elif phase in ("after-head", "mid-body"):
        exchange.send(head)
    elif phase != "before-head":
        raise ValueError("phase: before-head, mid-head, after-head, mid-body")
    if phase == "mid-body":
        exchange.body(50000)
    exchange.reset()


ESCAPES = "\x1b]0;owned\x07\x1b[31mred\x1b[2J\x9b1m"


@_path("/escape")
def _escape(exchange):
    status = int(exchange.request.query.get("code", 200))
    fields = [OCTETS, ("X-Escape", ESCAPES), ("Content-Disposition", f'attachment; filename="a{ESCAPES}b.bin"')]
    return Response(status, fields, b"ok\n", reason=f"Fine {ESCAPES}")


@_path("/204")
def _204(exchange):
    return Response(204)


@_path("/304")
def _304(exchange):
    return Response(304, [("ETag", '"x"'), ("Content-Length", 1234)])


@_path("/http09")
def _http09(exchange):
    exchange.send(b"<html>a body, and nothing else</html>\n")
    exchange.close()


@_path("/lf-only")
def _lf_only(exchange):
    exchange.send(b"HTTP/1.1 200 OK\nContent-Type: application/octet-stream\nContent-Length: 5\n\nhello")


@_path("/nul-in-header")
def _nul_in_header(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 5\r\n\r\nhello")
    exchange.close()


@_path("/content-encoding")
def _content_encoding(exchange):
    data = gzip.compress(body_bytes(10000, exchange.seed), mtime=0)
    return Response(200, [OCTETS, ("Content-Encoding", "gzip")], data)
