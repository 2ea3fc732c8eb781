# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked of TLS: the least version, certificates of our own, pinned keys, OCSP; and sessions resumed with them."""

import base64
import hashlib
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

import testbed
from haul import BINARY, WRAP, check_files, run, run_good
from origin import Origin, body_bytes
from testbed import openssl_server

NOTHING_PIN = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, **options).stdout


def refused_at_once(*arguments):
    """Before there is any connection; what was said."""
    with Origin() as origin:
        ended = run(*arguments, origin.url("/bytes/5"))
        assert origin.connections == 0
    assert ended.status == 28
    assert len(ended.lines) == 1
    return ended.stderr


# The least version.


@pytest.mark.parametrize("kind", ("tls13-ecdsa", "tls12-ecdsa"))
def test_least_version(nginx, target, kind):
    ended = run("-m", 1, "-d", target, f"--ca-certificate={nginx.ca}", "--min-tls-version=TLSv1.3",
                nginx.url(kind, "/size/1"))
    if kind == "tls13-ecdsa":
        assert ended.status == 0, ended.stderr
    else:
        assert ended.status == 1
        assert "does not take TLS 1.3, and nothing less is allowed (--min-tls-version)" in ended.stderr
    check_files(target, {"1": None} if kind == "tls13-ecdsa" else {})


def test_server_that_offers_less_than_was_asked_for(certificates, target):
    """A ServerHello of TLS 1.1 and of 1.2, whatever the ClientHello says."""
    for minor, version in ((2, "TLS 1.1"), (3, "TLS 1.2")):
        hello = bytes((2, 0, 0, 38, 3, minor)) + bytes(32) + b"\0\xc0\x2b\0"
        greeting = bytes((22, 3, minor, 0, len(hello))) + hello

        def greet(sock):
            sock.recv(65536)
            sock.sendall(greeting)
            sock.recv(65536)
            sock.close()

        with Origin(tls=(certificates / "ecdsa.crt", certificates / "ecdsa.key"), on_accept=greet) as origin:
            ended = run("-m", 1, "-d", target, f"--ca-certificate={certificates / 'ca.crt'}",
                        "--min-tls-version=TLSv1.3", origin.url("/bytes/5"))
        assert ended.status == 1
        assert f"offers {version}, and TLS 1.3 is the least that is allowed" in ended.stderr


# Whom to trust.


def authorities(tmp_path, certificates, **files):
    """A directory with these files: name -> name of a certificate, or bytes."""
    directory = tmp_path / "authorities"
    directory.mkdir()
    for name, content in files.items():
        content = content if isinstance(content, bytes) else (certificates / f"{content}.crt").read_bytes()
        (directory / name.replace("_", ".")).write_bytes(content)
    return directory


@pytest.mark.parametrize("name", ("ca_pem", "ca_crt", "c01dcafe_0"))
def test_directory_of_authorities(bad_nginx, certificates, target, tmp_path, name):
    directory = authorities(tmp_path, certificates, **{"other_pem": "otherca", "README": b"nothing\n", name: "ca"})
    (directory / "link.pem").symlink_to(name.replace("_", "."))
    (directory / "folder.pem").mkdir()
    os.mkfifo(directory / "pipe.pem")
    run_good("-d", target, f"--ca-certificate={directory}", bad_nginx.url("cert:ecdsa", "/size/1"),
             bad_nginx.url("cert:unknown", "/size/0"))
    check_files(target, {"1": None, "0": b""})
    ended = run("-m", 1, "-d", target, f"--ca-certificate={directory}", bad_nginx.url("cert:selfsigned", "/size/1"))
    assert ended.status == 1 and "self-signed" in ended.stderr


@pytest.mark.parametrize("files", ({}, {"README": b"nothing\n"}, {"a_pem": b"-----BEGIN CERTIFICATE-----\nAA==\n"
                                                                           b"-----END CERTIFICATE-----\n"}))
def test_directory_without_authorities(bad_nginx, certificates, target, tmp_path, files):
    directory = authorities(tmp_path, certificates, **files)
    ended = run("-d", target, f"--ca-certificate={directory}", bad_nginx.url("cert:ecdsa", "/size/1"))
    assert ended.status == 28
    assert str(directory) in ended.stderr and "certificate" in ended.stderr
    check_files(target, {})


# Pinned keys.


def pin_of(certificates, name):
    key = openssl("x509", "-in", certificates / f"{name}.crt", "-noout", "-pubkey")
    der = openssl("pkey", "-pubin", "-outform", "DER", input=key)
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


@pytest.mark.parametrize("check", ("true", "false"))
@pytest.mark.parametrize("kind", ("tls13-ecdsa", "tls12-ecdsa"))
def test_pinned_key(nginx, certificates, target, kind, check):
    pin = pin_of(certificates, "ecdsa")
    arguments = ("-m", 1, "-d", target, f"--ca-certificate={nginx.ca}", f"--check-certificate={check}")
    ended = run(*arguments, f"--pinnedpubkey={NOTHING_PIN}", nginx.url(kind, "/size/1"))
    assert ended.status == 1
    assert f"the public key of 127.0.0.1 is not one of those pinned: it is {pin}\n" in ended.stderr
    check_files(target, {})
    run_good(*arguments, f"--pinnedpubkey={NOTHING_PIN};{pin}", nginx.url(kind, "/size/1"))
    check_files(target, {"1": None})


def test_pinned_key_of_a_file(nginx, certificates, target, tmp_path):
    key = tmp_path / "key.pem"
    key.write_bytes(openssl("x509", "-in", certificates / "ecdsa.crt", "-noout", "-pubkey"))
    run_good("-d", target, f"--ca-certificate={nginx.ca}", f"--pinnedpubkey={key}", nginx.url("tls13-ecdsa", "/size/1"))
    ended = run("-d", target, f"--ca-certificate={nginx.ca}", f"--pinnedpubkey={key}", nginx.url("tls13-rsa", "/size/0"))
    assert ended.status == 1 and "not one of those pinned" in ended.stderr
    check_files(target, {"1": None})


def test_pin_is_not_trust(bad_nginx, certificates, target):
    ended = run("-d", target, f"--ca-certificate={bad_nginx.ca}", f"--pinnedpubkey={pin_of(certificates, 'unknown')}",
                bad_nginx.url("cert:unknown", "/size/1"))
    assert ended.status == 1 and "is not trusted here" in ended.stderr
    check_files(target, {})


@pytest.mark.parametrize("pins", ("sha256//AAAA", f"{NOTHING_PIN};md5//AAAA", "sha256//", "/nonexistent"))
def test_bad_pins_are_refused_at_once(pins):
    assert "pinned public key" in refused_at_once(f"--pinnedpubkey={pins}")


# Certificates of our own.


@pytest.fixture(scope="module")
def strict_nginx(media, certificates):
    """Serves those whom the tests' authority has certified, and says who they are."""
    extra = (f"ssl_client_certificate {certificates}/ca.crt; ssl_verify_client on; ssl_verify_depth 3;"
             "location = /who { add_header Content-Type text/plain always; return 200 \"$ssl_client_s_dn\"; }"
             "location /close/ { keepalive_timeout 0; root " + f"{media}; rewrite ^/close/(.*) /$1 break; }}")
    with testbed.Nginx(media, kinds=("tls13-ecdsa", "tls12-ecdsa"), server_extra=extra, access_log=True) as server:
        yield server


@pytest.mark.parametrize("kind", ("tls13-ecdsa", "tls12-ecdsa"))
@pytest.mark.parametrize("name", ("client", "clientrsa", "clientchain"))
def test_client_certificate(strict_nginx, certificates, target, kind, name):
    run_good("-d", target, f"--ca-certificate={strict_nginx.ca}", f"--certificate={certificates / name}.crt",
             f"--private-key={certificates / name}.key", strict_nginx.url(kind, "/who"))
    assert f"CN={name}" in (target / "who").read_text()


def test_client_certificate_with_its_key_from_a_pipe(strict_nginx, certificates, target):
    """Read once, for all workers."""
    both = (certificates / "client.crt").read_bytes() + (certificates / "client.key").read_bytes()
    read, write = os.pipe()
    os.write(write, both)
    os.close(write)
    os.set_inheritable(read, True)
    process = subprocess.run(
        [*WRAP, BINARY, "--threads=2", "-d", target, f"--ca-certificate={strict_nginx.ca}",
         f"--certificate=/dev/fd/{read}", *(strict_nginx.url("tls13-ecdsa", f"/many/{i:03}") for i in range(20))],
        pass_fds=(read,), capture_output=True, text=True)
    os.close(read)
    assert process.returncode == 0, process.stderr
    assert len(list(target.iterdir())) == 20


@pytest.mark.parametrize("kind", ("tls13-ecdsa", "tls12-ecdsa"))
def test_server_that_asks_in_vain(strict_nginx, target, kind):
    """nginx takes whoever has none, and says 400."""
    ended = run("-d", target, f"--ca-certificate={strict_nginx.ca}", strict_nginx.url(kind, "/who"))
    assert ended.status == 22
    assert "400" in ended.stderr
    check_files(target, {})


@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
@pytest.mark.parametrize("name, reason", ((None, "asks for a client certificate (--certificate)"),
                                          ("unknown", "does it take the client certificate (--certificate)?")))
def test_server_that_insists_on_a_certificate(certificates, target, version, name, reason):
    """TLS 1.3 says so only when the client is done with the handshake; which is not tried again."""
    own = [f"--certificate={certificates / name}.crt", f"--private-key={certificates / name}.key"] if name else []
    with openssl_server(certificates, "ecdsa", version, "-Verify", "1", "-verify_return_error", "-verify_quiet",
                        "-CAfile", certificates / "ca.crt") as port:
        ended = run("-m", 3, "--retry-wait=10", "-d", target, f"--ca-certificate={certificates / 'ca.crt'}", *own,
                    f"https://localhost:{port}/page")
    assert ended.status == 1
    assert ended.seconds < 8
    assert reason in ended.stderr
    check_files(target, {})


@pytest.mark.parametrize("kind", ("tls13-ecdsa", "tls12-ecdsa"))
def test_certificate_is_not_shown_to_those_that_do_not_ask(nginx, certificates, target, kind):
    run_good("-d", target, f"--ca-certificate={nginx.ca}", f"--certificate={certificates / 'client'}.crt",
             f"--private-key={certificates / 'client'}.key", nginx.url(kind, "/size/1"))
    check_files(target, {"1": None})


def test_bad_client_certificates_are_refused_at_once(certificates, tmp_path):
    certificate, key = certificates / "client.crt", certificates / "client.key"
    encrypted, old = tmp_path / "encrypted.key", tmp_path / "old.key"
    openssl("pkey", "-in", key, "-aes128", "-passout", "pass:secret", "-out", encrypted)
    openssl("ec", "-in", key, "-aes128", "-passout", "pass:secret", "-out", old)
    for own, other, reason in (
            (certificate, encrypted, f"the private key in {encrypted} is encrypted"),
            (certificate, old, f"the private key in {old} is encrypted"),
            (certificate, certificates / "rsa.key", "is not that of the certificate in"),
            (certificate, None, f"no PEM private key in {certificate}"),
            (key, key, f"no PEM certificate in {key}"),
            ("/nonexistent", key, "/nonexistent: No such file or directory"),
            (certificate, "/nonexistent", "/nonexistent: No such file or directory"),
            (None, key, "a private key is of no use without its certificate")):
        said = refused_at_once(*([f"--certificate={own}"] if own else []), *([f"--private-key={other}"] if other else []))
        assert reason in said, (own, other)
        assert "secret" not in said


# Sessions resumed.


def resumed(server, count):
    """Of the connections, how many: a pair."""
    entries = {entry["connection"]: entry["tls_reused"] for entry in server.requests(at_least=count)}
    return sum(flag == "r" for flag in entries.values()), len(entries)


@pytest.mark.parametrize("parallel", (1, 4))
@pytest.mark.parametrize("threads", (0, 2))
def test_sessions_are_resumed_with_everything(strict_nginx, certificates, target, threads, parallel):
    """Each request on a connection of its own, with a client's certificate and a pin."""
    strict_nginx.clear_log()
    arguments = [f"--threads={threads}"] if threads else []
    run_good("-j", parallel, "-x", parallel, "-d", target, *arguments, f"--ca-certificate={strict_nginx.ca}",
             "--min-tls-version=TLSv1.3", f"--pinnedpubkey={pin_of(certificates, 'ecdsa')}",
             f"--certificate={certificates / 'client'}.crt", f"--private-key={certificates / 'client'}.key",
             *(strict_nginx.url("tls13-ecdsa", f"/close/many/{i:03}") for i in range(40)))
    reused, connections = resumed(strict_nginx, 40)
    print(f"{reused} of {connections} connections resumed a session")
    assert connections == 40
    assert reused >= 40 - parallel * max(1, threads)


# OCSP.


def tlv(der, at):
    """Where the contents of the element begin, and where they end."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7f
        length = int.from_bytes(der[at + 2:start], "big")
    return start, start + length


class Responder:
    """Makes OCSP responses (RFC 6960) about gencert's certificates."""

    def __init__(self, certificates, directory):
        self.certificates = certificates
        self.directory = directory

    def respond(self, name, issuer="ca", revoked=False, signer=None, extra=(), days=7):
        """The name of a file."""
        path = {part: str(self.certificates / part) for part in (name, issuer, signer or issuer)}
        serial = openssl("x509", "-in", f"{path[name]}.crt", "-noout", "-serial").decode().strip().partition("=")[2]
        status = "R\t401231235959Z\t260101000000Z" if revoked else "V\t401231235959Z\t"
        index = self.directory / "index.txt"
        index.write_text(f"{status}\t{serial}\tunknown\t/CN=x\n")
        response = self.directory / f"{name}.{'revoked' if revoked else 'good'}.der"
        openssl("ocsp", "-index", index, "-CA", f"{path[issuer]}.crt", "-issuer", f"{path[issuer]}.crt",
                "-rsigner", f"{path[signer or issuer]}.crt", "-rkey", f"{path[signer or issuer]}.key",
                "-cert", f"{path[name]}.crt", "-ndays", days, *extra, "-respout", response)
        return response

    def respond_of_old(self, name, issuer):
        """One that was good until the year 2021. The issuer's key is an RSA key, so that no length changes."""
        file = self.respond(name, issuer, extra=("-resp_no_certs",))
        der = bytearray(file.read_bytes())
        at = tlv(der, 0)[0]            # OCSPResponse: the status, then
        at = tlv(der, at)[1]
        at = tlv(der, at)[0]           # [0]
        at = tlv(der, at)[0]           # ResponseBytes: the type, then
        at = tlv(der, tlv(der, at)[1])[0]
        at = tlv(der, at)[0]           # BasicOCSPResponse: what is signed
        end = tlv(der, at)[1]
        for match in re.finditer(rb"\x18\x0f20\d{12}Z", der[at:end]):
            der[at + match.start() + 2:at + match.start() + 6] = b"2020"
        signature = openssl("dgst", "-sha256", "-sign", self.certificates / f"{issuer}.key", input=bytes(der[at:end]))
        assert len(signature) == 256
        der[-256:] = signature
        file.write_bytes(der)
        return file


@pytest.fixture
def responder(certificates, tmp_path):
    return Responder(certificates, tmp_path)


def fetch_stapled(certificates, target, name, response, *arguments, authority="ca", options=("--cert-status",), relay=None):
    """The end of a haul whose server sends this response."""
    stapled = ["-status_file", response] if response else []
    with openssl_server(certificates, name, *stapled, *arguments) as port:
        with (relay(port) if relay else open(os.devnull)) as between:
            ended = run("-m", 1, "-d", target, f"--ca-certificate={certificates / authority}.crt", *options,
                        f"https://localhost:{between.port if relay else port}/page")
    assert (target / "page").exists() == (ended.status == 0)
    return ended


VERSIONS = ("-tls1_2", "-tls1_3")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("extra", ((), ("-resp_no_certs",), ("-resp_key_id",)))
def test_good_response(certificates, target, responder, version, extra):
    response = responder.respond("ecdsa", extra=extra)
    ended = fetch_stapled(certificates, target, "ecdsa", response, version)
    assert ended.status == 0, ended.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_response_by_rsa(certificates, target, responder, version):
    response = responder.respond("rsa256", "rsaca")
    ended = fetch_stapled(certificates, target, "rsa256", response, version, authority="rsaca")
    assert ended.status == 0, ended.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_response_that_says_revoked(certificates, target, responder, version):
    ended = fetch_stapled(certificates, target, "ecdsa", responder.respond("ecdsa", revoked=True), version)
    assert ended.status == 1
    assert "revoked" in ended.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ("other", "foreign", "signer", "old", "garbage", "damaged", "empty", "later"))
def test_response_that_is_no_good(certificates, target, responder, version, kind):
    name, authority = ("rsa256", "rsaca") if kind == "old" else ("ecdsa", "ca")
    if kind == "old":
        response = responder.respond_of_old(name, authority)
    elif kind == "other":  # of another certificate of the same authority
        response = responder.respond("wildcard")
    elif kind == "foreign":  # of this one, by another authority
        response = responder.respond("ecdsa", signer="otherca")
    elif kind == "signer":  # by whom the authority has certified, but not for this
        response = responder.respond("ecdsa", signer="client")
    else:
        response = responder.respond("ecdsa")
        content = response.read_bytes()
        basic = b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01"
        response.write_bytes({"garbage": b"\x30\x1b\x0a\x01\0\xa0\x16\x30\x14" + basic + b"\x04\x07garbage",
                              "damaged": content[:-1] + bytes((content[-1] ^ 1,)),
                              "empty": b"\x30\x03\x0a\x01\x00",
                              "later": b"\x30\x03\x0a\x01\x03"}[kind])  # tryLater
    ended = fetch_stapled(certificates, target, name, response, version, authority=authority)
    assert ended.status == 1
    assert "does not vouch for its certificate" in ended.stderr and "(--cert-status)" in ended.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_no_response(certificates, target, version):
    ended = fetch_stapled(certificates, target, "ecdsa", None, version)
    assert ended.status == 1
    assert "sends no OCSP response with its certificate, and one is required (--cert-status)" in ended.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_responses_do_not_matter_unless_asked_for(certificates, target, responder, version):
    """Which keeps them from being sent at all."""
    ended = fetch_stapled(certificates, target, "ecdsa", responder.respond("ecdsa", revoked=True), version, options=())
    assert ended.status == 0, ended.stderr


class Trickle:
    """Passes connections on, downwards in small pieces that come one by one; a context manager."""

    def __init__(self, port, size):
        self._target, self._size = port, size
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass, args=(client, server, 65536, 0), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, self._size, 0.0005), daemon=True).start()

    @staticmethod
    def _pass(source, sink, size, wait):
        pause = threading.Event()
        try:
            while data := source.recv(size):
                sink.sendall(data)
                pause.wait(wait)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", (7, 500))
def test_response_by_an_authority_in_between(certificates, target, responder, version, size):
    """wolfSSL forgets such authorities between two steps; however the messages come."""
    response = responder.respond("chain", "intermediate", extra=("-resp_no_certs",))
    for relay in (None, lambda port: Trickle(port, size)):
        ended = fetch_stapled(certificates, target, "chain", response, version, "-cert_chain", certificates / "chain.crt",
                              relay=relay)
        assert ended.status == 0, ended.stderr
        (target / "page").unlink()


@pytest.mark.parametrize("version", VERSIONS)
def test_response_of_nginx(certificates, media, target, responder, version):
    response = responder.respond("ecdsa")
    extra = f"ssl_stapling on; ssl_stapling_file {response}; ssl_trusted_certificate {certificates}/ca.crt;"
    kind = "tls13-ecdsa" if version == "-tls1_3" else "tls12-ecdsa"
    with testbed.Nginx(media, kinds=(kind,), server_extra=extra, access_log=True) as nginx:
        run_good("-j", 1, "-d", target, f"--ca-certificate={nginx.ca}", "--cert-status", nginx.url(kind, "/size/1"),
                 nginx.url(kind, "/size/0"))
    check_files(target, {"1": None, "0": b""})


def test_sessions_are_resumed_once_there_was_a_response(certificates, target, responder):
    """Its ticket comes from a handshake that had one."""
    with openssl_server(certificates, "ecdsa", "-tls1_3", "-status_file", responder.respond("ecdsa")) as port:
        run_good("-m", 1, "-j", 1, "-d", target, f"--ca-certificate={certificates / 'ca.crt'}", "--cert-status",
                 *(f"https://localhost:{port}/{name}" for name in "abc"))
    assert ["Reused, TLSv1.3" in (target / name).read_text() for name in "abc"] == [False, True, True]


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
def test_responders_are_not_asked(certificates, target, responder):
    """Revocation is the server's to tell: there are no connections but those to it."""
    trace = target.parent / "trace"
    with openssl_server(certificates, "stapled", "-status_file", responder.respond("stapled")) as port:
        ended = run("-m", 1, "-d", target, f"--ca-certificate={certificates / 'ca.crt'}", "--cert-status",
                    f"https://127.0.0.1:{port}/page", env={"ASAN_OPTIONS": "detect_leaks=0"},
                    prefix=["strace", "-f", "-o", trace, "-e", "trace=socket,connect"])
    assert ended.status == 0, ended.stderr
    assert "connect(" not in trace.read_text().replace("io_uring", "")


def test_response_is_no_use_without_a_check():
    assert "not checked" in refused_at_once("--cert-status", "--check-certificate=false")


# What is too much.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("check", ("true", "false"))
@pytest.mark.parametrize("count", (8, 9, 100, 1000))
def test_chain_of_many(certificates, target, tmp_path, version, check, count):
    chain = tmp_path / "chain.pem"
    chain.write_bytes((certificates / "otherca.crt").read_bytes() * count)
    with openssl_server(certificates, "ecdsa", version, "-cert_chain", chain, "-no_check_time") as port:
        ended = run("-m", 1, "-d", target, f"--ca-certificate={certificates / 'ca.crt'}", f"--check-certificate={check}",
                    f"https://localhost:{port}/page")
    if count == 8:
        assert ended.status == 0, ended.stderr
    else:
        assert ended.status == 1
        assert "too many" in ended.stderr or "too long" in ended.stderr
    check_files(target, {"page": None} if count == 8 else {})


def test_other_downloads_go_on(certificates, nginx, target, tmp_path):
    """While one server sends a hundred certificates."""
    chain = tmp_path / "chain.pem"
    chain.write_bytes((certificates / "otherca.crt").read_bytes() * 100)
    with openssl_server(certificates, "ecdsa", "-cert_chain", chain) as port:
        ended = run("-m", 1, "-d", target, f"--ca-certificate={certificates / 'ca.crt'}",
                    *(nginx.url("tls13-ecdsa", f"/many/{i:03}") for i in range(10)), f"https://localhost:{port}/page",
                    *(nginx.url("tls13-ecdsa", f"/many/{i:03}") for i in range(10, 20)))
    assert ended.status == 1
    assert ended.lines[-1].startswith("20 done, 1 failed")
    assert len(list(target.iterdir())) == 20
