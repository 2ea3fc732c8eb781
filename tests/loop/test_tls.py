# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom haul believes to be who it says it is."""

import contextlib
import shutil
import socket
import ssl

import pytest

from haul import check_files, run, run_good
from origin import Origin, Response, body_bytes
from testbed import openssl_server

BODY_SIZE = 16385

# certificate -> hosts that it is good for
ACCEPTED = {
    "ecdsa": ("127.0.0.1", "localhost"),
    "rsa": ("127.0.0.1", "localhost"),
    "chain": ("127.0.0.1", "localhost"),
    "ipsan": ("127.0.0.1",),
    "noip": ("localhost",),
    "wildcard": ("a.wild.localhost", "A.WILD.localhost"),
}
# (certificate, host) -> what the refusal says
REFUSED = {
    ("unknown", "localhost"): "issued by \"haul other CA\", which is not trusted",
    ("selfsigned", "localhost"): "self-signed",
    ("nochain", "localhost"): "issued by \"haul intermediate CA\", which is not trusted",
    ("expired", "localhost"): "expired on 20",
    ("future", "localhost"): "not valid before 20",
    ("wrongname", "localhost"): "for other.example, not for localhost",
    ("cnonly", "localhost"): "not for localhost",
    ("cnonly", "127.0.0.1"): "not for IP address 127.0.0.1",
    ("noip", "127.0.0.1"): "for localhost, not for IP address 127.0.0.1",
    ("dnslooksip", "127.0.0.1"): "not for IP address 127.0.0.1",
    ("ipsan", "localhost"): "for IP address 127.0.0.1, not for localhost",
    ("wildcard", "a.b.wild.localhost"): "for *.wild.localhost, not for a.b.wild.localhost",
    ("wildcard", "wild.localhost"): "for *.wild.localhost, not for wild.localhost",
    ("wildcard", "127.0.0.1"): "not for IP address 127.0.0.1",
    ("ecdsa", "a.localhost"): "not for a.localhost",
}


def fetch(server, target, certificate, host, *arguments):
    url = server.url(f"cert:{certificate}", f"/size/{BODY_SIZE}", host=host)
    return run("-d", target, *arguments, url)


def ca(server):
    return f"--ca-certificate={server.ca}"


@pytest.mark.parametrize("certificate, host", [(name, host) for name, hosts in ACCEPTED.items() for host in hosts])
def test_good_certificate_is_accepted(bad_nginx, media, target, certificate, host):
    ended = fetch(bad_nginx, target, certificate, host, ca(bad_nginx))
    assert ended.status == 0, ended.stderr
    check_files(target, {str(BODY_SIZE): (media / f"size/{BODY_SIZE}").read_bytes()})


@pytest.mark.parametrize("certificate, host", REFUSED)
def test_bad_certificate_is_refused_with_the_reason(bad_nginx, target, certificate, host):
    ended = fetch(bad_nginx, target, certificate, host, ca(bad_nginx))
    assert ended.status == 1
    assert REFUSED[certificate, host] in ended.stderr
    assert len(ended.lines) == 1
    check_files(target, {})


@pytest.mark.parametrize("certificate, host", REFUSED)
def test_unchecked_certificate_is_accepted(bad_nginx, target, certificate, host):
    ended = fetch(bad_nginx, target, certificate, host, "--check-certificate=false")
    assert ended.status == 0, ended.stderr
    check_files(target, {str(BODY_SIZE): None})


def test_authority_is_not_trusted_without_being_named(bad_nginx, target):
    ended = fetch(bad_nginx, target, "ecdsa", "localhost")
    assert ended.status == 1
    check_files(target, {})


def test_one_good_server_does_not_vouch_for_another(bad_nginx, target):
    """The intermediate that one server sends must not complete the chain that another leaves out."""
    urls = [bad_nginx.url(f"cert:{name}", "/size/1", host="localhost") for name in ("chain", "nochain", "chain")]
    ended = run("-j", 1, "-d", target, ca(bad_nginx), *urls)
    assert ended.status == 1
    assert ended.lines[-1].startswith("2 done, 1 failed")
    check_files(target, {"1": None, "1.1": None})


def test_refusals_among_many_downloads(bad_nginx, target):
    urls = [bad_nginx.url(f"cert:{name}", "/size/262145", host="localhost")
            for name in ("ecdsa", "expired", "rsa", "unknown", "chain") for _ in range(6)]
    ended = run("-d", target, ca(bad_nginx), *urls)
    assert ended.status == 1
    assert ended.lines[-1].startswith("18 done, 12 failed")
    assert len(list(target.iterdir())) == 18


# Where trust comes from.


def test_trust_comes_from_the_environment(bad_nginx, target):
    url = bad_nginx.url("cert:ecdsa", "/size/1", host="localhost")
    run_good("-d", target, url, env={"SSL_CERT_FILE": bad_nginx.ca})
    check_files(target, {"1": None})


def test_trust_comes_from_a_directory_of_the_environment(bad_nginx, target, tmp_path):
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    shutil.copy(bad_nginx.ca, authorities / "one.pem")
    (authorities / "README").write_text("not a certificate\n")
    run_good("-d", target, bad_nginx.url("cert:ecdsa", "/size/1"), env={"SSL_CERT_DIR": str(authorities)})
    check_files(target, {"1": None})


def test_option_outweighs_the_environment(bad_nginx, certificates, target):
    url = bad_nginx.url("cert:ecdsa", "/size/1")
    ended = run("-d", target, f"--ca-certificate={certificates / 'otherca.crt'}", url,
                env={"SSL_CERT_FILE": bad_nginx.ca})
    assert ended.status == 1
    check_files(target, {})


@pytest.mark.parametrize("content", (None, b"", b"nonsense"))
def test_authorities_that_cannot_be_read(bad_nginx, origin, target, tmp_path, content):
    """Said once and clearly, where they are needed; downloads without TLS go on."""
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_bytes(content)
    ended = run("-d", target, f"--ca-certificate={path}", bad_nginx.url("cert:ecdsa", "/size/1"),
                origin.url("/bytes/5"))
    assert ended.status == 28
    assert str(path) in ended.stderr
    check_files(target, {"5": body_bytes(5)})


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
def test_trust_is_not_read_for_http(origin, target, tmp_path):
    trace = tmp_path / "trace"
    run_good("-d", target, origin.url("/bytes/5"), env={"ASAN_OPTIONS": "detect_leaks=0"},
             prefix=["strace", "-f", "-o", trace, "-e", "trace=openat,open"])
    opened = trace.read_text()
    assert "open" in opened and not any(word in opened for word in (".pem", ".crt", "/ssl", "/pki"))


# What else goes wrong.


VERSIONS = {"1.2": (ssl.TLSVersion.TLSv1_2,) * 2, "1.3": (ssl.TLSVersion.TLSv1_3,) * 2}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("behaviour", ("until-close", "bytes", "chunked"))
def test_body_that_ends_in_good_order(certificates, target, version, behaviour):
    """However the records lie that hold its end, and the close_notify behind them."""
    sizes = [*range(8), *(16384 * i + k for i in (1, 3, 16) for k in range(-2, 3)), 100_000, 1_000_000]
    with Origin(tls=key_pair(certificates), tls_versions=VERSIONS[version]) as origin:
        run_good("-m", 1, "-d", target, f"--ca-certificate={certificates / 'ca.crt'}",
                 *(origin.url(f"/{behaviour}/{size}") for size in sizes))
    check_files(target, {str(size): body_bytes(size) for size in sizes})


@pytest.mark.parametrize("version", VERSIONS)
def test_body_until_close_that_is_cut_off_is_a_failure(certificates, target, version):
    """Whoever sits on the way could end it anywhere by a FIN."""
    with Origin(tls=key_pair(certificates), tls_versions=VERSIONS[version], tls_truncate=True) as origin:
        ended = run("-m", 2, "--retry-wait=0.1", "-d", target, f"--ca-certificate={certificates / 'ca.crt'}",
                    origin.url("/until-close/100000"))
        assert len(origin.requests) == 2
    assert ended.status == 6
    assert "close_notify" in ended.stderr
    check_files(target, {})


def test_body_of_known_length_needs_no_close_notify(certificates, target):
    with Origin(tls=key_pair(certificates), tls_truncate=True) as origin:
        run_good("-d", target, f"--ca-certificate={certificates / 'ca.crt'}", origin.url("/no-keepalive"))
    check_files(target, {"no-keepalive": body_bytes(1024)})


def key_pair(certificates):
    return certificates / "ecdsa.crt", certificates / "ecdsa.key"


def fetch_from_impostor(certificates, target, greeting):
    """From a server that sends these bytes instead of TLS, and closes."""

    def greet(sock):
        sock.recv(65536)
        sock.sendall(greeting)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536)
        sock.close()

    with Origin(tls=key_pair(certificates), on_accept=greet) as origin:
        ended = run("-m", 1, "-d", target, f"--ca-certificate={certificates / 'ca.crt'}", origin.url("/bytes/5"))
    check_files(target, {})
    return ended


def test_alert_is_named(certificates, target):
    ended = fetch_from_impostor(certificates, target, b"\x15\x03\x03\x00\x02\x02\x28")
    assert ended.status == 1
    assert "handshake_failure" in ended.stderr


@pytest.mark.parametrize("greeting", (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00" * 1000))
def test_server_that_does_not_speak_tls(certificates, target, greeting):
    ended = fetch_from_impostor(certificates, target, greeting)
    assert ended.status == 1
    assert "does not speak TLS" in ended.stderr


def test_server_that_hangs_up_in_the_handshake(certificates, target):
    ended = fetch_from_impostor(certificates, target, b"")
    assert ended.status == 1
    assert "closed the connection in the TLS handshake" in ended.stderr


def test_https_to_a_port_of_http(nginx, target):
    ended = run("-d", target, f"--ca-certificate={nginx.ca}", f"https://127.0.0.1:{nginx.ports['http']}/")
    assert ended.status == 1
    assert "TLS" in ended.stderr
    check_files(target, {})


def test_http_to_a_port_of_https(nginx, target):
    ended = run("-d", target, f"http://127.0.0.1:{nginx.ports['tls13-rsa']}/")
    assert ended.status == 22
    check_files(target, {})


@pytest.mark.parametrize("version", ("-tls1", "-tls1_1"))
def test_old_versions_of_tls_are_refused(certificates, target, version):
    with openssl_server(certificates, "rsa", version) as port:
        ended = run("-m", 1, "-d", target, "--check-certificate=false", f"https://127.0.0.1:{port}/")
    assert ended.status == 1
    assert "TLS" in ended.stderr
    check_files(target, {})


# (certificate, who is trusted, what is sent with it, what the refusal says)
FORBIDDEN = (
    ("sha1", "ca", None, "is signed with SHA-1, which protects no more"),
    ("rsasha1", "rsaca", None, "is signed with SHA-1, which protects no more"),
    ("rsamd5", "rsaca", None, "is signed with MD5, which protects no more"),
    ("chainsha1", "ca", "chainsha1ca", "\"chainsha1ca\", is signed with SHA-1"),
    ("ipoutside", "ca", "ipoutsideca", "name constraints leave out names"),
    ("ipexcluded", "ca", "ipexcludedca", "name constraints leave out names"),
    ("forged", "selfsigned", None, "\"localhost\", is not an authority"),
)


@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
@pytest.mark.parametrize("certificate, anchor, sent, reason", FORBIDDEN)
def test_chain_that_breaks_the_rules_is_refused(certificates, target, certificate, anchor, sent, reason, version):
    arguments = ["-cert_chain", certificates / f"{sent}.crt"] if sent else []
    host = "127.0.0.1" if certificate.startswith("ip") else "localhost"
    trust = f"--ca-certificate={certificates / anchor}.crt"
    with openssl_server(certificates, certificate, version, *arguments) as port:
        url = f"https://{host}:{port}/page"
        ended = run("-m", 1, "-d", target, trust, url)
        assert ended.status == 1
        assert reason in ended.stderr
        check_files(target, {})
        # It is the check that refuses it, not something else.
        run_good("-m", 1, "-d", target, "--check-certificate=false", url)
        check_files(target, {"page": None})


def test_certificate_that_is_trusted_is_good_for_itself(certificates, target):
    with openssl_server(certificates, "selfsigned") as port:
        run_good("-m", 1, "-d", target, f"--ca-certificate={certificates / 'selfsigned.crt'}",
                 f"https://localhost:{port}/page")
    check_files(target, {"page": None})


def test_many_tickets_and_a_late_answer(certificates, target):
    """What TLS 1.3 sends between responses (session tickets) does not break kept connections."""
    with Origin(tls=key_pair(certificates)) as origin:
        origin.on("/n")(lambda exchange: Response(200, [], exchange.request.path.encode()))
        urls = [origin.url(f"/n/{i}") for i in range(30)]
        run_good("-x", 1, "-d", target, f"--ca-certificate={certificates / 'ca.crt'}", *urls)
        assert origin.connections == 1
    check_files(target, {str(i): f"/n/{i}".encode() for i in range(30)})


# Sessions resumed.


def fetch_pages(certificates, target, port, names, *arguments):
    """One after the other, each on a connection of its own: the server says on each page how it came about."""
    run_good("-m", 1, "-j", 1, "-d", target, f"--ca-certificate={certificates / 'ca.crt'}", *arguments,
             *(f"https://localhost:{port}/{name}" for name in names))
    return ["Reused, TLSv1.3" in (target / name).read_text() for name in names]


def test_sessions_are_resumed(certificates, target):
    with openssl_server(certificates, "ecdsa", "-tls1_3") as port:
        assert fetch_pages(certificates, target, port, "abcde") == [False, True, True, True, True]


def test_server_without_tickets_gets_full_handshakes(certificates, target):
    with openssl_server(certificates, "ecdsa", "-tls1_3", "-num_tickets", "0") as port:
        assert fetch_pages(certificates, target, port, "abc") == [False, False, False]


def test_sessions_of_tls12_are_not_resumed(certificates, target):
    with openssl_server(certificates, "ecdsa", "-tls1_2") as port:
        assert fetch_pages(certificates, target, port, "abc") == [False, False, False]


@contextlib.contextmanager
def replaced_origin(certificates, **other):
    """Becomes another server once it has answered, and given tickets to, the first connection. Gives it and the option
    to trust it."""
    with Origin(tls=key_pair(certificates)) as origin:

        @origin.on("/replaced")
        def replaced(exchange):
            if other:
                origin.change_tls(**other)
            return Response(200, [("Connection", "close")], b"one")

        yield origin, f"--ca-certificate={certificates / 'ca.crt'}"


def test_server_that_took_the_place_of_a_good_one_is_checked(certificates, target):
    """The ticket of the one does not speak for the other."""
    bad = (certificates / "unknown.crt", certificates / "unknown.key")
    with replaced_origin(certificates, tls=bad) as (origin, trust):
        ended = run("-j", 1, "-d", target, trust, origin.url("/replaced"), origin.url("/bytes/5"))
        assert origin.connections == 2
    assert ended.status == 1
    assert "is not trusted" in ended.stderr
    check_files(target, {"replaced": b"one"})


def test_server_that_speaks_tls13_no_more(certificates, target):
    with replaced_origin(certificates, tls=key_pair(certificates), versions=VERSIONS["1.2"]) as (origin, trust):
        run_good("-m", 1, "-j", 1, "-d", target, trust, origin.url("/replaced"), origin.url("/bytes/5"))
        assert origin.connections == 3  # with a ticket in vain, without
    check_files(target, {"replaced": b"one", "5": body_bytes(5)})


def test_server_that_trips_over_a_ticket(certificates, target):
    with replaced_origin(certificates) as (origin, trust):
        origin.on_accept = lambda sock: sock.close() if origin.connections == 2 else None
        run_good("-m", 1, "-j", 1, "-d", target, trust, origin.url("/replaced"), origin.url("/bytes/5"))
        assert origin.connections == 3
    check_files(target, {"replaced": b"one", "5": body_bytes(5)})
