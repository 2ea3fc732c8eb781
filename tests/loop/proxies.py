# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies for the tests: real ones, where they are installed, and a scripted one that tells what it was asked for.

    with Tinyproxy(directory, login="user:password") as proxy:
        run("haul", "--all-proxy", proxy.url(login="user:password"), ...)
        assert "GET" in proxy.log()

    with ScriptedProxy(names={"only.proxy.test": "127.0.0.1"}) as proxy:      # http, CONNECT, SOCKS 4, 4a, 5
        run("haul", "--all-proxy", proxy.url("socks5h"), ...)
        assert proxy.asked[0].host == "only.proxy.test"
"""

import base64
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from testbed import free_ports

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def proxy_url(scheme, port, login=None):
    if login:
        user, _, password = login.partition(":")
        return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{port}"
    return f"{scheme}://127.0.0.1:{port}"


class Real:
    """A program of the distribution's, as a process group of its own; a context manager."""

    program = None
    scheme = None

    def __init__(self, directory):
        self.path = shutil.which(self.program, path=PATH)
        if not self.path:
            pytest.skip(f"{self.program} is not installed")
        self.directory = Path(directory)
        self.log_path = self.directory / f"{self.program}.log"
        self.port, = free_ports(1)
        self.process = None

    def command(self):
        raise NotImplementedError

    def url(self, scheme=None, login=None):
        return proxy_url(scheme or self.scheme, self.port, login)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def __enter__(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *map(str, self.command())],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.log()
                time.sleep(0.02)

    def __exit__(self, *exception):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # of it and its helpers, nothing else
        except ProcessLookupError:
            pass
        self.process.wait()


class Tinyproxy(Real):
    """HTTP, and CONNECT to any port."""

    program = "tinyproxy"
    scheme = "http"

    def __init__(self, directory, login=None):
        super().__init__(directory)
        self.login = login

    def command(self):
        path = self.directory / "tinyproxy.conf"
        lines = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 100", "LogLevel Info"]
        if self.login:
            lines.append("BasicAuth " + self.login.replace(":", " "))
        path.write_text("\n".join(lines) + "\n")
        return [self.path, "-d", "-c", path]


class Microsocks(Real):
    """SOCKS5."""

    program = "microsocks"
    scheme = "socks5h"

    def __init__(self, directory, login=None):
        super().__init__(directory)
        self.login = login

    def command(self):
        user, _, password = (self.login or "").partition(":")
        return [self.path, "-i", "127.0.0.1", "-p", self.port,
                *(["-u", user, "-P", password] if self.login else [])]


class Danted(Real):
    """SOCKS 4 and 5."""

    program = "danted"
    scheme = "socks5h"

    def command(self):
        path = self.directory / "danted.conf"
        path.write_text(f"""\
logoutput: stdout
internal: 127.0.0.1 port = {self.port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: connect }}
""")
        return [self.path, "-f", path, "-p", self.directory / "danted.pid"]


@dataclass
class Asked:
    """What the scripted proxy was asked for."""

    kind: str  # "http", "connect", "socks4", "socks4a", "socks5"
    host: str  # as it came
    port: int
    named: bool  # SOCKS: by name, not by address
    login: str  # "user:password", None: none came
    connection: int  # counted from 1
    head: bytes = b""  # http, connect


class Over(Exception):
    """This connection is over."""


class ScriptedProxy:
    """Speaks whatever the client begins with; a context manager.

    names    {name: address} that it alone knows
    login    that it wants; None: none
    refuse   refuse(asked) -> the answer in place of a connection (bytes), or None
    script   script(proxy, sock, number) takes a connection over: the client's socket, and which one it is
    """

    def __init__(self, names=None, login=None, refuse=None, script=None):
        self.names = names or {}
        self.login = login
        self.refuse = refuse
        self.script = script
        self.asked = []
        self.connections = 0
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._sockets = set()
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def url(self, scheme="http", login=None):
        return proxy_url(scheme, self.port, login)

    def kinds(self):
        return [asked.kind for asked in self.asked]

    def __enter__(self):
        self._acceptor.start()
        return self

    def __exit__(self, *exception):
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(5)
        self._listener.close()
        with self._lock:
            for sock in self._sockets:
                _hang_up(sock)
        for thread in self._threads:
            thread.join(5)

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._sockets.add(sock)
                thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, sock, number):
        try:
            if self.script:
                self.script(self, sock, number)
            else:
                self.speak(sock, number)
        except (OSError, Over):
            pass
        finally:
            _hang_up(sock)
            with self._lock:
                self._sockets.discard(sock)
            sock.close()

    def speak(self, sock, number):
        first = sock.recv(1, socket.MSG_PEEK)
        if first == b"\4":
            self._socks4(sock, number)
        elif first == b"\5":
            self._socks5(sock, number)
        elif first:
            self._http(sock, number)

    def _note(self, asked):
        with self._lock:
            self.asked.append(asked)
        return self.refuse(asked) if self.refuse else None

    def connect(self, asked):
        """None: it can't be."""
        try:
            upstream = socket.create_connection((self.names.get(asked.host, asked.host), asked.port), timeout=10)
        except OSError:
            return None
        upstream.settimeout(None)
        with self._lock:
            self._sockets.add(upstream)
        return upstream

    def pass_on(self, sock, upstream):
        """Bytes both ways, until one side ends."""
        back = threading.Thread(target=_pump, args=(upstream, sock), daemon=True)
        back.start()
        _pump(sock, upstream)
        back.join()
        with self._lock:
            self._sockets.discard(upstream)
        upstream.close()

    # HTTP.

    def _http(self, sock, number):
        reader = sock.makefile("rb")
        while True:
            head = _read_head(reader)
            if not head:
                return
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            fields = [line.decode("latin-1").partition(": ")[::2] for line in head.split(b"\r\n")[1:-2]]
            login = _basic(fields)
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                asked = Asked("connect", host.strip("[]"), int(port), True, login, number, head)
            else:
                parts = urlsplit(target)
                asked = Asked("http", parts.hostname, parts.port or 80, True, login, number, head)
            answer = self._note(asked)
            if answer is None and self.login and login != self.login:
                answer = (b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                          b"Content-Length: 0\r\n\r\n")
            if answer is not None:
                sock.sendall(answer)
                continue
            upstream = self.connect(asked)
            if not upstream:
                sock.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                continue
            if method == "CONNECT":
                sock.sendall(b"HTTP/1.1 200 Fine\r\nContent-Length: 7\r\n\r\n")  # which does not count
                self.pass_on(sock, upstream)
                return
            self._forward(sock, upstream, head, fields, method, target)

    def _forward(self, sock, upstream, head, fields, method, target):
        parts = urlsplit(target)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields if name.lower() != "proxy-authorization"]
        upstream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        reader = upstream.makefile("rb")
        answer = _read_head(reader)
        sock.sendall(answer)
        length = next((int(line.split(b":")[1]) for line in answer.lower().split(b"\r\n")
                       if line.startswith(b"content-length:")), None)
        try:
            while length is None or length > 0:
                data = reader.read1(min(65536, length) if length is not None else 65536)
                if not data:
                    raise Over
                sock.sendall(data)
                length = length - len(data) if length is not None else None
        finally:
            with self._lock:
                self._sockets.discard(upstream)
            reader.close()
            upstream.close()

    # SOCKS.

    def _socks4(self, sock, number):
        begin = receive(sock, 8)
        user = _receive_string(sock)
        port = int.from_bytes(begin[2:4], "big")
        by_name = begin[4:7] == b"\0\0\0" and begin[7] != 0
        host = _receive_string(sock).decode() if by_name else socket.inet_ntoa(begin[4:8])
        asked = Asked("socks4a" if by_name else "socks4", host, port, by_name, user.decode() + ":" if user else None,
                      number)
        self._socks_answer(sock, asked, b"\0\x5a" + bytes(6), b"\0\x5b" + bytes(6))

    def _socks5(self, sock, number):
        methods = receive(sock, receive(sock, 2)[1])
        login = None
        if self.login and 2 not in methods:
            sock.sendall(b"\5\xff")
            raise Over
        if self.login:
            sock.sendall(b"\5\2")
            user = receive(sock, receive(sock, 2)[1])
            login = (user + b":" + receive(sock, receive(sock, 1)[0])).decode()
            sock.sendall(b"\1\0" if login == self.login else b"\1\1")
            if login != self.login:
                raise Over
        else:
            sock.sendall(b"\5\0")
        _, _, _, kind = receive(sock, 4)
        if kind == 3:
            host = receive(sock, receive(sock, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, receive(sock, size))
        port = int.from_bytes(receive(sock, 2), "big")
        asked = Asked("socks5", host, port, kind == 3, login, number)
        self._socks_answer(sock, asked, b"\5\0\0\3\5bound\0\0", b"\5\5\0\1" + bytes(6))

    def _socks_answer(self, sock, asked, good, bad):
        answer = self._note(asked)
        upstream = self.connect(asked) if answer is None else None
        if not upstream:
            sock.sendall(answer or bad)
            raise Over
        sock.sendall(good)
        self.pass_on(sock, upstream)


def receive(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise Over
        data += more
    return data


def _receive_string(sock):
    data = b""
    while not data.endswith(b"\0"):
        data += receive(sock, 1)
    return data[:-1]


def _read_head(reader):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return b""
        head += line
    return head


def _basic(fields):
    for name, value in fields:
        if name.lower() == "proxy-authorization" and value.startswith("Basic "):
            return base64.b64decode(value[6:]).decode()
    return None


def _pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for sock, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        try:
            sock.shutdown(how)
        except OSError:
            pass


def _hang_up(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
