# SPDX-License-Identifier: GPL-3.0-or-later
"""Through proxies: real ones, to see that they understand us, and a scripted one, to see what they are told."""

import subprocess
import time

import pytest

from haul import PATIENCE, check_content, check_files, run, run_good, run_list
from origin import Origin, Response, body_bytes
from proxies import Danted, Microsocks, Over, ScriptedProxy, Tinyproxy, receive
from testbed import free_ports

LOGIN = "us er:secr@t/:%"  # each part has what must be escaped in a URL, and the password a colon
SECRETS = ("secr@t", "secr%40t", "dXMgZXI6c2Vjck", "c2VjckB0")  # what may not be seen of it, also in base64
SIMPLE = "user:secret"
QUICK = ("--max-tries=1", "--connect-timeout=2", "--timeout=5")


def haul(*arguments, status=0, **options):
    """Whatever is said about it, nothing of a password may be: not on standard output, where the log goes to."""
    ended = run("--log=-", "--log-level=debug", *arguments, **options)
    said = ended.stderr + ended.stdout.decode()
    assert ended.status == status, said
    for secret in (*SECRETS, "secret"):
        assert secret not in said, said
    ended.log = ended.stdout.decode()
    return ended


@pytest.fixture
def ca(certificates):
    return f"--ca-certificate={certificates / 'ca.crt'}"


def check_hidden(*origins):
    """Nothing that is the proxy's has come to an origin."""
    for origin in origins:
        for request in origin.requests:
            assert request.header("proxy-authorization") is None
            assert request.header("proxy-connection") is None
            assert request.target.startswith("/")


# Real proxies.


@pytest.mark.parametrize("threads", ((), ("--threads=2",)), ids=("driven", "threads"))
@pytest.mark.parametrize("login", (None, "user:secret"), ids=("open", "login"))
def test_tinyproxy(tmp_path, target, origin, tls_origin, ca, login, threads):
    with Tinyproxy(tmp_path, login=login) as proxy:
        haul(*threads, ca, "-d", target, "--all-proxy", proxy.url(login=login),
             origin.url("/bytes/100000"), tls_origin.url("/bytes/200000"))
        log = proxy.log()
    check_files(target, {"100000": body_bytes(100000), "200000": body_bytes(200000)})
    assert f"GET http://127.0.0.1:{origin.port}/bytes/100000 HTTP/1.1" in log
    assert f"CONNECT 127.0.0.1:{tls_origin.port} HTTP/1.1" in log
    assert "tinyproxy" in origin.requests[0].header("via")
    assert tls_origin.requests[0].header("via") is None
    check_hidden(origin, tls_origin)


@pytest.mark.parametrize("given, said", (("user:secret2", "refuses the login"), (None, "asks for a login")))
def test_tinyproxy_refuses(tmp_path, target, origin, tls_origin, ca, given, said):
    with Tinyproxy(tmp_path, login="user:secret") as proxy:
        for url in (origin.url("/bytes/1"), tls_origin.url("/bytes/1")):
            ended = haul(ca, "-d", target, "--all-proxy", proxy.url(login=given), url, status=24)
            # It answers 401 to a wrong password, which may be an origin's own where that is not behind a tunnel.
            if url.startswith("https") or not given:
                assert f"the proxy http://127.0.0.1:{proxy.port} {said} ({401 if given else 407})" in ended.stderr
    check_files(target, {})
    assert not origin.requests and not tls_origin.requests


@pytest.mark.parametrize("scheme", ("socks5", "socks5h"))
@pytest.mark.parametrize("login", (None, LOGIN), ids=("open", "login"))
def test_microsocks(tmp_path, target, origin, tls_origin, ca, scheme, login):
    with Microsocks(tmp_path, login=login) as proxy:
        haul(ca, "-d", target, "--all-proxy", proxy.url(scheme, login),
             origin.url("/bytes/100000", host="localhost"), tls_origin.url("/bytes/200000", host="localhost"))
        log = proxy.log()
    check_files(target, {"100000": body_bytes(100000), "200000": body_bytes(200000)})
    host = "localhost" if scheme == "socks5h" else "127.0.0.1"
    for server in (origin, tls_origin):
        assert f"connected to {host}:{server.port}" in log


@pytest.mark.parametrize("given, said", (("user:secret2", "refuses the login"), (None, "asks for a login")))
def test_microsocks_refuses(tmp_path, target, origin, given, said):
    with Microsocks(tmp_path, login="user:secret") as proxy:
        ended = haul("-d", target, "--all-proxy", proxy.url("socks5", given), origin.url("/bytes/1"), status=24)
        assert f"the proxy socks5://127.0.0.1:{proxy.port} {said}" in ended.stderr
    assert not origin.requests


# Danted 1.4 takes the names of SOCKS4a for the address 0.0.0.1.
@pytest.mark.parametrize("scheme, host", (("socks4", "localhost"), ("socks4a", "127.0.0.1"), ("socks5", "localhost"),
                                          ("socks5h", "localhost")))
def test_danted(tmp_path, target, origin, tls_origin, ca, scheme, host):
    with Danted(tmp_path) as proxy:
        haul(ca, "-d", target, "--all-proxy", proxy.url(scheme),
             origin.url("/bytes/100000", host=host), tls_origin.url("/bytes/200000", host=host))
        log = proxy.log()
    check_files(target, {"100000": body_bytes(100000), "200000": body_bytes(200000)})
    for server in (origin, tls_origin):
        assert f".{server.port}" in log, log


@pytest.mark.parametrize("real, scheme", ((Microsocks, "socks5h"), (Danted, "socks4a"), (Danted, "socks5"),
                                          (Tinyproxy, "http")))
def test_nobody_behind_a_real_proxy(tmp_path, target, real, scheme):
    port, = free_ports(1)
    with real(tmp_path) as proxy:
        ended = haul("-d", target, *QUICK, "--all-proxy", proxy.url(scheme), f"https://127.0.0.1:{port}/",
                     status=22 if scheme == "http" else 6)
    assert f"the proxy {scheme}://127.0.0.1:{proxy.port} " in ended.stderr
    assert f"127.0.0.1 port {port}" in ended.stderr


# What is asked for.


@pytest.mark.parametrize("scheme, kind, named", (
    ("http", "connect", True), ("socks4", "socks4", False), ("socks4a", "socks4a", True),
    ("socks5", "socks5", False), ("socks5h", "socks5", True),
))
def test_who_resolves(target, origin, tls_origin, ca, scheme, kind, named):
    with ScriptedProxy() as proxy:
        haul(ca, "-d", target, "--all-proxy", proxy.url(scheme),
             origin.url("/bytes/1000", host="localhost"), tls_origin.url("/bytes/2000", host="localhost"))
    check_files(target, {"1000": body_bytes(1000), "2000": body_bytes(2000)})
    plain, secure = sorted(proxy.asked, key=lambda asked: asked.port != origin.port)
    assert (plain.kind, secure.kind) == ("http" if scheme == "http" else kind, kind)
    assert (plain.host, secure.host) == (("localhost", "localhost") if named else ("127.0.0.1", "127.0.0.1"))
    assert (plain.named, secure.named) == (named, named)
    check_hidden(origin, tls_origin)


@pytest.mark.parametrize("scheme", ("socks4", "socks5"))
def test_addresses_that_were_laid_down(target, origin, scheme):
    """Nobody is asked for them, nor for the proxy's; SOCKS4 has no words for IPv6."""
    with ScriptedProxy() as proxy:
        haul("-d", target, "--all-proxy", f"{scheme}://proxy.test:{proxy.port}",
             "--resolve", f"proxy.test:{proxy.port}:127.0.0.1",
             "--resolve", f"some.test:{origin.port}:[::1],127.0.0.1" if scheme == "socks4" else
             f"some.test:{origin.port}:127.0.0.1", "--async-dns-server=127.0.0.99",
             origin.url("/bytes/1000", host="some.test"))
        assert [(asked.host, asked.named) for asked in proxy.asked] == [("127.0.0.1", False)]
    check_files(target, {"1000": body_bytes(1000)})


@pytest.mark.parametrize("scheme", ("http", "socks4a", "socks5h"))
def test_name_that_only_the_proxy_knows(target, origin, scheme):
    with ScriptedProxy(names={"only.proxy.test": "127.0.0.1"}) as proxy:
        haul("-d", target, "--all-proxy", proxy.url(scheme), origin.url("/bytes/1000", host="only.proxy.test"))
    check_files(target, {"1000": body_bytes(1000)})
    assert origin.requests[0].header("host") == f"only.proxy.test:{origin.port}"


@pytest.mark.parametrize("scheme, kind", (("http", "http"), ("socks5", "socks5"), ("socks5h", "socks5")))
def test_login(target, origin, scheme, kind):
    with ScriptedProxy(login=LOGIN) as proxy:
        haul("-d", target, "--all-proxy", proxy.url(scheme, LOGIN), origin.url("/bytes/1000"))
        user, _, password = LOGIN.partition(":")
        haul("-d", target, "--http-proxy", proxy.url(scheme), "--http-proxy-user", user, "--http-proxy-passwd",
             password, origin.url("/bytes/2000"))
    assert [(asked.kind, asked.login) for asked in proxy.asked] == [(kind, LOGIN)] * 2
    check_files(target, {"1000": body_bytes(1000), "2000": body_bytes(2000)})
    check_hidden(origin)


@pytest.mark.parametrize("user, password", (("--all-proxy-user", "--all-proxy-passwd"),
                                            ("--https-proxy-user", "--https-proxy-passwd")))
def test_login_of_each_kind_of_proxy(target, tls_origin, ca, user, password):
    with ScriptedProxy(login=SIMPLE) as proxy:
        name, _, secret = SIMPLE.partition(":")
        haul(ca, "-d", target, user.removesuffix("-user"), proxy.url(), user, name, password, secret,
             tls_origin.url("/bytes/1000"))
    assert [asked.login for asked in proxy.asked] == [SIMPLE]
    check_files(target, {"1000": body_bytes(1000)})


def test_connect_has_nothing_of_the_request(target, tls_origin, ca):
    with ScriptedProxy(login=SIMPLE) as proxy:
        haul(ca, "-d", target, "--all-proxy", proxy.url(login=SIMPLE), "--header=X-Mine: yes",
             "--header=Proxy-Authorization: mine", tls_origin.url("/bytes/1000").replace("//", "//joe:doe@"))
    endpoint = f"127.0.0.1:{tls_origin.port}"
    assert proxy.asked[0].head.decode() == (
        f"CONNECT {endpoint} HTTP/1.1\r\nHost: {endpoint}\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n")
    assert tls_origin.requests[0].header("x-mine") == "yes"
    assert tls_origin.requests[0].header("authorization") == "Basic am9lOmRvZQ=="
    check_hidden(tls_origin)


def test_absolute_form(target, origin):
    with ScriptedProxy(login=SIMPLE) as proxy:
        haul("-d", target, "--all-proxy", proxy.url(login=SIMPLE),
             origin.url("/bytes/1000?type=a%20b#c").replace("//", "//joe:doe@"))
    head = proxy.asked[0].head.decode()
    assert head.startswith(f"GET {origin.url('/bytes/1000?type=a%20b')} HTTP/1.1\r\nHost: 127.0.0.1:{origin.port}\r\n")
    assert "\r\nAuthorization: Basic am9lOmRvZQ==\r\n" in head
    assert "proxy-connection" not in head.lower()
    check_hidden(origin)


@pytest.mark.parametrize("scheme", ("http", "socks4a", "socks5", "socks5h"))
def test_ipv6_origin(certificates, target, ca, scheme):
    with Origin(address="::1", tls=(certificates / "ecdsa.crt", certificates / "ecdsa.key")) as server:
        with ScriptedProxy() as proxy:
            haul("--check-certificate=false", "-d", target, "--all-proxy", proxy.url(scheme),
                 server.url("/bytes/1000"))
    assert proxy.asked[0].host == "::1"
    check_files(target, {"1000": body_bytes(1000)})


def test_socks4_has_no_ipv6(target):
    with ScriptedProxy() as proxy:
        ended = haul("-d", target, *QUICK, "--all-proxy", proxy.url("socks4"), "http://[::1]:9/", status=6)
    assert "can't be told the IPv6 address ::1" in ended.stderr
    assert proxy.connections == 0


def in_hosts(directory, lines):
    """Options for run(): /etc/hosts has these lines."""
    path = directory / "hosts"
    path.write_text("127.0.0.1 localhost\n" + lines)
    command = ["unshare", "-m", "sh", "-c", f"mount --bind '{path}' /etc/hosts && exec \"$@\"", "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    return {"prefix": command}


@pytest.mark.parametrize("kind", ("all refused", "one refused"))
def test_socks5_tries_the_next_address(tmp_path, target, origin, kind):
    def refuse(asked):
        return b"\5\4\0\1" + bytes(6) if kind == "all refused" or asked.host != "127.0.0.1" else None

    with ScriptedProxy(refuse=refuse) as proxy:
        ended = haul("-d", target, *QUICK, "--all-proxy", proxy.url("socks5"), origin.url("/bytes/9", host="two.test"),
                     status=6 if kind == "all refused" else 0, **in_hosts(tmp_path, "::1 two.test\n127.0.0.2 two.test\n"
                                                                         "127.0.0.1 two.test\n"))
    asked = [asked.host for asked in proxy.asked]
    assert "127.0.0.1" in asked and len(asked) == len(set(asked))
    if kind == "all refused":
        assert sorted(asked) == ["127.0.0.1", "127.0.0.2", "::1"]
        assert asked[0] != "::1"
        assert "the host is unreachable from there" in ended.stderr
    else:
        check_files(target, {"9": body_bytes(9)})


# Connections.


@pytest.mark.parametrize("threads", ((), ("--threads=2",)), ids=("driven", "threads"))
def test_origins_share_connections_to_the_proxy(tmp_path, target, origin, second_origin, threads):
    urls = [server.url(f"/bytes/{i + 100 * number}") for i in range(1, 21)
            for number, server in enumerate((origin, second_origin))]
    with ScriptedProxy() as proxy:
        ended = run_list(tmp_path, urls, *threads, "-j1", "-d", target, "--all-proxy", proxy.url())
    assert ended.status == 0, ended.stderr
    assert len(proxy.asked) == 40
    # Without placement's help a second thread may need one of its own, which makes the first's go.
    assert proxy.connections == 1 if not threads else proxy.connections <= 4
    check_files(target, {str(i + 100 * number): body_bytes(i + 100 * number)
                         for i in range(1, 21) for number in range(2)})


@pytest.mark.parametrize("scheme", ("http", "socks5h"))
def test_tunnels_are_kept_for_their_origin(tmp_path, certificates, target, tls_origin, ca, scheme):
    with Origin(tls=(certificates / "ecdsa.crt", certificates / "ecdsa.key")) as other, ScriptedProxy() as proxy:
        urls = [server.url(f"/bytes/{i + 100 * number}") for i in range(1, 11)
                for number, server in enumerate((tls_origin, other))]
        ended = run_list(tmp_path, urls, ca, "-j2", "-x1", "-d", target, "--all-proxy", proxy.url(scheme))
        assert ended.status == 0, ended.stderr
        assert sorted(asked.port for asked in proxy.asked) == sorted((tls_origin.port, other.port))
        assert (tls_origin.connections, other.connections) == (1, 1)
    assert len(list(target.iterdir())) == 20


def test_sessions_are_resumed_in_tunnels(tmp_path, target, certificates, ca):
    with Origin(tls=(certificates / "ecdsa.crt", certificates / "ecdsa.key")) as origin, ScriptedProxy() as proxy:
        ended = haul(ca, "-j1", "-d", target, "--all-proxy", proxy.url(), origin.url("/no-keepalive?size=1"),
                     origin.url("/no-keepalive?size=2"))
    assert proxy.kinds() == ["connect", "connect"]
    assert "resumed" in ended.log


def test_many_with_threads(tmp_path, target, origin, tls_origin, ca):
    urls = [server.url(f"/bytes/{i + 1000 * number}") for i in range(1, 101)
            for number, server in enumerate((origin, tls_origin))]
    with ScriptedProxy() as proxy:
        ended = run_list(tmp_path, urls, ca, "--threads=2", "-d", target, "--all-proxy", proxy.url())
    assert ended.status == 0, ended.stderr
    assert proxy.kinds().count("http") == 100
    assert 0 < proxy.kinds().count("connect") <= 12
    for i in range(1, 101):
        check_content(target / str(i), body_bytes(i))
        check_content(target / str(i + 1000), body_bytes(i + 1000))


def test_each_has_its_own_login(target, origin, tls_origin, ca):
    with ScriptedProxy() as proxy:
        haul(ca, "-j1", "-d", target, "--http-proxy", proxy.url(login=SIMPLE), "--https-proxy", proxy.url(),
             origin.url("/bytes/1"), tls_origin.url("/bytes/2"))
    assert proxy.kinds() == ["http", "connect"]
    assert [asked.login for asked in proxy.asked] == [SIMPLE, None]


# What is done over them.


@pytest.mark.parametrize("scheme", ("http", "socks4", "socks5h"))
def test_redirect_to_another_host(target, origin, tls_origin, ca, scheme):
    with ScriptedProxy() as proxy:
        haul(ca, "-d", target, "--all-proxy", proxy.url(scheme),
             origin.url(f"/redirect?to={tls_origin.url('/bytes/1000')}"))
    assert [asked.port for asked in proxy.asked] == [origin.port, tls_origin.port]
    assert len(tls_origin.requests) == 1
    assert [path.read_bytes() for path in target.iterdir()] == [body_bytes(1000)]


def test_redirect_to_where_no_proxy_is_for(target, origin, second_origin):
    with ScriptedProxy() as proxy:
        haul("-d", target, "--all-proxy", proxy.url(login=SIMPLE), f"--no-proxy=127.0.0.1:{second_origin.port}",
             origin.url(f"/redirect?to={second_origin.url('/bytes/1000')}"))
    assert [asked.port for asked in proxy.asked] == [origin.port]
    assert len(second_origin.requests) == 1
    check_hidden(origin, second_origin)


@pytest.mark.parametrize("scheme", ("http", "socks5h"))
@pytest.mark.parametrize("secure", (False, True), ids=("plain", "tls"))
def test_segments(target, origin, tls_origin, ca, scheme, secure):
    server = tls_origin if secure else origin
    with ScriptedProxy() as proxy:
        haul(ca, "-d", target, "-s4", "-k1M", "--all-proxy", proxy.url(scheme),
             server.url("/bytes/20000000?etag=x"))
    check_files(target, {"20000000": body_bytes(20000000)})
    assert sum(request.header("range") is not None for request in server.requests) > 0
    assert len(proxy.asked) >= 4
    assert len({request.connection for request in server.requests}) == server.connections > 1


def test_resumption_and_retries(target, origin):
    with ScriptedProxy() as proxy:
        haul("-d", target, "--retry-wait=0", "--all-proxy", proxy.url(), origin.url("/flaky/2"))
        assert len(proxy.asked) == 3
    assert origin.count("/flaky/2") == 3


@pytest.mark.parametrize("status", (502, 503, 504))
def test_connect_is_tried_again(target, tls_origin, ca, status):
    answers = [f"HTTP/1.1 {status} Later\r\nConnection: close\r\n\r\n".encode()] * 2
    with ScriptedProxy(refuse=lambda asked: answers.pop() if answers else None) as proxy:
        ended = haul(ca, "-d", target, "--retry-wait=0", "--all-proxy", proxy.url(), tls_origin.url("/bytes/9"))
    check_files(target, {"9": body_bytes(9)})
    assert proxy.kinds() == ["connect"] * 3 and proxy.connections == 3
    assert f"answered {status} Later instead of connecting to 127.0.0.1 port {tls_origin.port}" in ended.log


def test_stale_connection_to_the_proxy(target, origin):
    """It closes while we send the next request: that costs no try."""
    @origin.on("/close")
    def close(exchange):
        return Response(200, [], b"x")

    def script(proxy, sock, number):
        data = b""
        while b"\r\n\r\n" not in data:
            data += receive(sock, 1)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        if number == 1:
            raise Over
        proxy.stopping.wait(0.2)

    with ScriptedProxy(script=script) as proxy:
        haul("-d", target, "-j1", "--max-tries=1", "--all-proxy", proxy.url(), origin.url("/close/a"),
             origin.url("/close/b"))
    assert proxy.connections == 2
    check_files(target, {"a": b"x", "b": b"x"})


# Trouble.


@pytest.mark.parametrize("scheme", ("http", "socks4", "socks4a", "socks5", "socks5h"))
@pytest.mark.parametrize("secure", ("http", "https"))
def test_proxy_that_is_not_there(target, scheme, secure):
    port, = free_ports(1)
    ended = haul("-d", target, *QUICK, f"--all-proxy={scheme}://user:secret@127.0.0.1:{port}",
                 f"{secure}://127.0.0.1:9/", status=6)
    assert f"the proxy {scheme}://127.0.0.1:{port} can't be reached: can't connect to 127.0.0.1:{port}" in ended.stderr


def test_proxy_without_address(target):
    ended = haul("-d", target, *QUICK, "--all-proxy=http://no.such.proxy.invalid:1", "http://127.0.0.1:9/", status=19)
    assert "the proxy http://no.such.proxy.invalid:1 can't be reached: can't find the address" in ended.stderr


def talk(*steps):
    """A script: bytes to be sent, numbers of bytes to be received, floats to wait for; then the end."""

    def script(proxy, sock, _):
        for step in steps:
            if isinstance(step, bytes):
                sock.sendall(step)
            elif isinstance(step, float):
                proxy.stopping.wait(step)
            elif step == "head":
                data = b""
                while not data.endswith(b"\r\n\r\n"):
                    data += receive(sock, 1)
            else:
                receive(sock, step)

    return script


def endless(proxy, sock, _):
    talk("head")(proxy, sock, _)
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while not proxy.stopping.is_set():
        sock.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")


SILENT = 60.0
OK = b"HTTP/1.1 200 OK\r\n\r\n"
REQUEST5 = 4 + 4 + 2  # an IPv4 address
HOSTILE = {
    # CONNECT
    "connect-silent": ("http", talk("head", SILENT), 2, "made no connection to 127.0.0.1 port 9 in time"),
    "connect-half": ("http", talk("head", OK[:-2], SILENT), 2, "made no connection"),
    "connect-trickles": ("http", talk("head", OK[:-2], *[b"X: y\r\n", 0.3] * 20), 2, "made no connection"),
    "connect-closed-at-once": ("http", talk(), 6, "ended the connection instead of making one"),
    "connect-closed": ("http", talk("head"), 6, "ended the connection"),
    "connect-closed-in-head": ("http", talk("head", OK[:-2]), 6, "ended the connection"),
    "connect-garbage": ("http", talk("head", b"\x05\x00 what?\r\n\r\n", 1.0), 22, "does not answer as one"),
    "connect-endless": ("http", endless, 22, "more than 64 KiB of header fields"),
    "connect-behind": ("http", talk("head", OK + b"x", 1.0), 22, "something unasked behind its answer"),
    "connect-100": ("http", talk("head", b"HTTP/1.1 100 Continue\r\n\r\n" * 20, 1.0), 22, "interim responses"),
    "connect-101": ("http", talk("head", b"HTTP/1.1 101 Other\r\n\r\n", 1.0), 22, "another protocol"),
    "connect-302": ("http", talk("head", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", 1.0), 22,
                    "answered 302 Found instead of connecting"),
    "connect-403": ("http", talk("head", b"HTTP/1.1 403 \x1b[31mNo\r\nContent-Length: 99999999\r\n\r\n", 1.0), 22, ""),
    "connect-407": ("http", talk("head", b"HTTP/1.0 407 x\r\n\r\n"), 24, "refuses the login (407)"),
    "connect-429": ("http", talk("head", b"HTTP/1.0 429\r\n\r\n"), 22, "answered 429"),
    "connect-tls": ("http", talk("head", b"\x15\x03\x01\x00\x02\x02\x46", 1.0), 22, "TLS"),
    "tunnel-garbage": ("http", talk("head", OK, 1, b"what?what?what?", 1.0), 1, ""),
    "tunnel-closed": ("http", talk("head", OK, 1), 1, "closed the connection in the TLS handshake"),
    # SOCKS
    "socks4-silent": ("socks4", talk(8, SILENT), 2, "made no connection to 127.0.0.1 port 9 in time"),
    "socks4-half": ("socks4", talk(8, b"\0", SILENT), 2, "made no connection"),
    "socks4-half-granted": ("socks4", talk(8, b"\0\x5a\0", SILENT), 2, "made no connection"),
    "socks4-closed": ("socks4", talk(8), 6, "ended the connection"),
    "socks4-closed-granted": ("socks4", talk(8, b"\0\x5a\0"), 6, "ended the connection"),
    "socks4-garbage": ("socks4", talk(8, b"HTTP/1.1 400 Bad\r\n\r\n", 0.5), 22, "does it speak HTTP?"),
    "socks4-refused": ("socks4", talk(8, b"\0\x5b" + bytes(6)), 6, "it could not connect, or may not"),
    "socks4-identd": ("socks4", talk(8, b"\0\x5c" + bytes(6)), 24, "identd"),
    "socks5-silent": ("socks5", talk(4, SILENT), 2, "made no connection"),
    "socks5-closed": ("socks5", talk(4), 6, "ended the connection"),
    "socks5-method": ("socks5", talk(4, b"\5\7", 0.5), 22, "of a kind that it was not offered (7)"),
    "socks5-refused-method": ("socks5", talk(4, b"\5\xff"), 24, "takes neither the login nor none"),
    "socks5-silent-login": ("socks5", talk(4, b"\5\2", 13, SILENT), 2, "made no connection"),
    "socks5-closed-login": ("socks5", talk(4, b"\5\2", 13), 6, "ended the connection"),
    "socks5-refused-login": ("socks5", talk(4, b"\5\2", 13, b"\1\2"), 24, "refuses the login"),
    "socks5-silent-reply": ("socks5", talk(4, b"\5\0", REQUEST5, SILENT), 2, "made no connection"),
    "socks5-closed-reply": ("socks5", talk(4, b"\5\0", REQUEST5), 6, "ended the connection"),
    "socks5-half-reply": ("socks5", talk(4, b"\5\0", REQUEST5, b"\5\0\0\3\xff", SILENT), 2, "made no connection"),
    "socks5-closed-half": ("socks5", talk(4, b"\5\0", REQUEST5, b"\5\0\0\3\xffabc"), 6, "ended the connection"),
    "socks5-kind": ("socks5", talk(4, b"\5\0", REQUEST5, b"\5\0\0\7\0", 0.5), 22, "0x07"),
    "socks5-garbage": ("socks5", talk(4, b"what?", 0.5), 22, "does not answer as a SOCKS proxy does (0x77)"),
    "socks5-rules": ("socks5", talk(4, b"\5\0", REQUEST5, b"\5\2"), 22, "its rules do not allow it"),
    "socks5-refused": ("socks5", talk(4, b"\5\0", REQUEST5, b"\5\5"), 6, "the connection was refused"),
    "socks5-unknown": ("socks5", talk(4, b"\5\0", REQUEST5, b"\5\x63"), 22, "a reason that has no name"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(target, origin, name):
    scheme, script, status, said = HOSTILE[name]
    with ScriptedProxy(script=script) as proxy:
        login = "" if scheme == "socks4" else "user:secret@"
        begin = time.monotonic()
        ended = haul("-d", target, "--max-tries=1", "--connect-timeout=1", "-t5",
                     f"--https-proxy={scheme}://{login}127.0.0.1:{proxy.port}",
                     "https://127.0.0.1:9/x", origin.url("/bytes/1000"), status=status)
        assert time.monotonic() - begin < 8 * PATIENCE
    assert said in ended.stderr
    if not name.startswith("tunnel"):
        assert f"the proxy {scheme}://127.0.0.1:{proxy.port} " in ended.stderr
    check_files(target, {"1000": body_bytes(1000)})  # nobody else was disturbed


def test_stopped_in_a_tunnel(target):
    """Whatever is under way with a proxy, it ends at once and leaves nothing."""
    from haul import Haul

    with ScriptedProxy(script=talk("head", SILENT)) as proxy:
        with Haul("-d", target, "--all-proxy", proxy.url(), "https://127.0.0.1:9/x") as running:
            deadline = time.monotonic() + 10 * PATIENCE
            while proxy.connections == 0:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            running.process.send_signal(2)
            ended = running.finish(10 * PATIENCE)
    assert ended.status == 7, ended.stderr


@pytest.mark.parametrize("url, said", (
    ("https://user:secret@proxy:443", "does not speak TLS to a proxy"),
    ("ftp://user:secret@proxy", "haul knows http, socks4"),
    ("http://user:secret@proxy:99999", "65535"),
    ("http://user:se/secret@proxy:x", "...proxy:x"),
    ("socks5://user:secret" + "x" * 255 + "@proxy", "255 bytes"),
))
@pytest.mark.parametrize("way", ("option", "environment"))
def test_bad_proxy(target, url, said, way):
    arguments = ["--all-proxy", url] if way == "option" else []
    ended = haul("-d", target, *arguments, "http://127.0.0.1:9/", status=28,
                 env={"all_proxy": url} if way == "environment" else None)
    assert "the proxy \"" in ended.stderr and "can't be used" in ended.stderr and said in ended.stderr


# Which one.


@pytest.mark.parametrize("environment, arguments, used", (
    ({"http_proxy": "P"}, (), {"http"}),
    ({"HTTP_PROXY": "P"}, (), set()),
    ({"https_proxy": "P"}, (), {"https"}),
    ({"HTTPS_PROXY": "P"}, (), {"https"}),
    ({"all_proxy": "P"}, (), {"http", "https"}),
    ({"ALL_PROXY": "P"}, (), {"http", "https"}),
    ({"all_proxy": "P", "no_proxy": "127.0.0.0/8"}, (), set()),
    ({"all_proxy": "P", "NO_PROXY": "*"}, (), set()),
    ({"all_proxy": "P", "no_proxy": "*"}, ("--no-proxy=",), {"http", "https"}),
    ({"all_proxy": "P", "http_proxy": "P"}, ("--all-proxy=",), set()),
    ({"all_proxy": "P"}, ("--http-proxy=",), {"https"}),
    ({"all_proxy": "P"}, ("--https-proxy=",), {"http"}),
    ({"http_proxy": "http://127.0.0.1:9"}, ("--all-proxy=P",), {"http", "https"}),
    ({"http_proxy": "http://127.0.0.1:9"}, ("--http-proxy=P",), {"http"}),
    ({}, ("--http-proxy=P",), {"http"}),
    ({}, ("--https-proxy=P",), {"https"}),
    ({}, ("--all-proxy=P", "--no-proxy=127.0.0.1"), set()),
    ({}, ("--all-proxy=P", "--no-proxy=localhost,0.0.1"), {"http", "https"}),
))
def test_which(target, origin, tls_origin, ca, environment, arguments, used):
    with ScriptedProxy() as proxy:
        environment = {name: value.replace("P", proxy.url()) if value == "P" else value
                       for name, value in environment.items()}
        arguments = [argument.replace("=P", f"={proxy.url()}") for argument in arguments]
        haul(ca, "-d", target, *arguments, origin.url("/bytes/1"), tls_origin.url("/bytes/2"), env=environment)
    assert {"https" if kind == "connect" else kind for kind in proxy.kinds()} == used
    check_files(target, {"1": body_bytes(1), "2": body_bytes(2)})


def test_loopback_is_not_exempt(target, origin):
    with ScriptedProxy() as proxy:
        run_good("-d", target, "--all-proxy", proxy.url(), origin.url("/bytes/1", host="localhost"))
    assert proxy.kinds() == ["http"]
