# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that runs out: each allocation of a whole download fails once, and once all that come after it do too.

haul may fail or, if it can do without, succeed; but it ends soon and in good order, says what was wrong, leaks nothing,
and what is there under the final name is the file. Later, with memory again, the same command succeeds.
"""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import testbed
from haul import BINARY, LONG, PATIENCE, WRAP, check_files, is_sanitized, run
from nameserver import NameServer
from origin import Response, body_bytes
from proxies import ScriptedProxy
from test_login import Digest

MIB = 1 << 20
SOON = 5  # seconds; who waits in vain for what was lost takes longer
STATUSES = (0, 1)  # HAUL_OUT_OF_MEMORY is 1
ALLOCATIONS_MAX = 2000

WAYS = {
    "http": ("http", "small", ()),
    "https": ("tls13-ecdsa", "small", ()),
    "known": ("tls13-ecdsa", "small", ("--certificate=CERTIFICATES/client.crt", "--private-key=CERTIFICATES/client.key",
                                       "--pinnedpubkey=CERTIFICATES/pin.pem")),
    "segments": ("http", "large", ("-s", "4", "-k", "1M")),
    "durable": ("http", "small", ("--durable", "--check-digest=require")),
    "checksum": ("http", "small", ("--checksum",)),
    "connect": ("tls13-ecdsa", "small", ("--all-proxy=http://user:password@PROXY",)),
    "socks5": ("http", "small", ("--all-proxy=socks5://user:password@PROXY",)),
    "name": ("http", "small", ("--async-dns-server=NAMESERVER",)),
    "override": ("http", "small", ("--resolve=some.test:PORT:127.0.0.1", "--interface=lo")),
}

HOSTS = {"socks5": "localhost", "name": "some.test", "override": "some.test"}

pytestmark = [
    pytest.mark.skipif(bool(WRAP), reason="valgrind has an allocator of its own"),
    pytest.mark.skipif(is_sanitized(BINARY, by=("tsan",)), reason="ThreadSanitizer wants to be the first library"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("allocation")
    testbed.make_media(root, {"small": 300_000, "large": 4 * MIB})
    digest = subprocess.run(f"openssl dgst -sha256 -binary {root}/small | base64", shell=True, check=True,
                            capture_output=True, text=True).stdout.strip()
    authorities = testbed.shared_certificates()
    (authorities / "pin.pem").write_bytes(subprocess.run(
        ["openssl", "x509", "-in", authorities / "ecdsa.crt", "-noout", "-pubkey"], check=True, capture_output=True).stdout)
    with testbed.Nginx(root, kinds=["http", "tls13-ecdsa"],
                       server_extra=f'location = /small {{ add_header Repr-Digest "sha-256=:{digest}:"; }}'
                                    f"ssl_verify_client optional; ssl_client_certificate {authorities}/ca.crt;") as nginx:
        yield nginx


@pytest.fixture(scope="module")
def proxy():
    with ScriptedProxy(login="user:password") as scripted:
        yield scripted


@pytest.fixture(scope="module")
def name_server():
    with NameServer() as scripted:
        yield scripted


class Runs:
    """The same download many times, each in a directory of its own."""

    def __init__(self, server, proxy, name_server, directory, way):
        kind, self.name, options = WAYS[way]
        options = tuple(option.replace("PROXY", f"127.0.0.1:{proxy.port}").replace("CERTIFICATES", str(server.certificates))
                        .replace("NAMESERVER", name_server.address).replace("PORT", str(server.ports[kind]))
                        for option in options)
        self.source = server.root / self.name
        if options == ("--checksum",):
            options = (f"--checksum=sha-256={testbed.sha256(self.source)}",)
        # What is lost for good is not to be taken for trouble of the network, and tried again.
        self.arguments = ["-m", "2", "--retry-wait=0.01", "-t", 20, "--connect-timeout=20", "--ca-certificate", server.ca,
                          *options, server.url(kind, f"/{self.name}", host=HOSTS.get(way))]
        self.directory = directory
        self.library = testbed.c_program("failing_malloc", "-shared", "-fPIC", "-g")

    def run(self, nth, more):
        directory = self.directory / f"{nth}-{more}"
        report = self.directory / f"{nth}-{more}.report"
        settings = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        ended = run("-d", directory, *self.arguments, preload=self.library, timeout=60,
                    env={"FAILING_MALLOC_NTH": str(nth), "FAILING_MALLOC_MORE": more,
                         "FAILING_MALLOC_REPORT": str(report), "ASAN_OPTIONS": settings})
        return ended, directory, report.read_text()

    def count(self):
        ended, directory, report = self.run(0, "0")
        assert ended.status == 0, ended.stderr
        check_files(directory, {self.name: None})
        return int(re.search(r"^(\d+) allocations$", report, re.MULTILINE).group(1))

    def trouble(self, nth, more):
        """None, or what was wrong when the nth allocation failed."""
        report = ""
        try:
            ended, directory, report = self.run(nth, more)
            assert ended.status in STATUSES, f"exit status {ended.status}: {ended.stderr}"
            assert ended.status == 0 or ended.stderr, "it does not say why"
            assert ended.seconds < SOON * PATIENCE, f"took {ended.seconds:.1f} s: {ended.stderr}"
            self.check(ended, directory)
        except AssertionError as error:
            calls = where(report or (self.directory / f"{nth}-{more}.report").read_text())
            return f"allocation {nth}, and {more} more: {error}\n    {calls}"
        return None

    def check(self, ended, directory):
        found = testbed.tree(directory)
        others = [name for name in found if name != self.name and not name.endswith(".haul")
                  and name.removesuffix(".journal") not in found]
        assert not others, f"files that should not be: {others}"
        if self.name in found:
            assert testbed.compare_files(self.source, directory / self.name) is None
        if ended.status == 0:
            assert found == [self.name], f"{found} after success"
            return
        assert self.name not in found, "it failed, but the file is there"
        again = run("-d", directory, *self.arguments)
        assert again.status == 0, f"with memory again: {again.stderr}"
        assert testbed.tree(directory) == [self.name]
        assert testbed.compare_files(self.source, directory / self.name) is None


class SessionRuns(Runs):
    """A POST with all that a session has: cookies of a file and of a redirect, a login of a netrc file, a challenge."""

    def __init__(self, origin, directory):
        self.name = "go"
        self.source = directory / "expected"
        self.source.write_bytes(body_bytes(30_000))
        (directory / "netrc").write_text("machine other login a password b\nmachine localhost login user password pass\n")
        (directory / "netrc").chmod(0o600)
        (directory / "cookies").write_text("localhost\tFALSE\t/\tFALSE\t0\tname\tvalue\n")
        self.arguments = ["-m", "2", "--retry-wait=0.01", "-t", 20, "--connect-timeout=20", "--data=x",
                          "--netrc-path", directory / "netrc", "--load-cookies", directory / "cookies",
                          "--save-cookies", directory / "saved", "--referer=http://a:b@c/",
                          origin.url("/go", host="localhost")]
        self.directory = directory
        self.library = testbed.c_program("failing_malloc", "-shared", "-fPIC", "-g")

    def check(self, ended, directory):
        if ended.status != 0 and "done: " in ended.stderr:  # and then no cookies could be written
            assert testbed.compare_files(self.source, directory / self.name) is None
        else:
            super().check(ended, directory)


def where(report):
    """The calls that led to the allocation, outermost last."""
    addresses = [match.group(1) for line in report.splitlines()
                 if (match := re.match(rf"{re.escape(BINARY)}\(\+(0x[0-9a-f]+)\)", line))]
    if not addresses:
        return report
    shown = subprocess.run(["addr2line", "-f", "-s", "-e", BINARY, *addresses], capture_output=True, text=True)
    lines = shown.stdout.splitlines()
    return " < ".join(f"{name} ({place.split(' ')[0]})" for name, place in zip(lines[::2], lines[1::2]))


def check_all(runs, more):
    count = runs.count()
    assert 20 < count < ALLOCATIONS_MAX, "too few to be true, or too many for the time that there is"
    # A few more: what one failure makes necessary.
    with ThreadPoolExecutor(2) as threads:
        troubles = list(filter(None, threads.map(lambda nth: runs.trouble(nth, more), range(1, count + 5))))
    assert not troubles, f"{len(troubles)} of {count}:\n" + "\n".join(troubles)


# Where all that follow fail as well: c-ares drops an answer that it has no memory to look at, and waits until its time
# is over; others take long, and have most in common.
WAYS_TO_THE_END = [way for way in WAYS if way in ("http", "https", "segments", "checksum") or LONG and way != "name"]


@pytest.mark.parametrize("way, more", [(way, "0") for way in WAYS] + [(way, "all") for way in WAYS_TO_THE_END])
def test_every_allocation_may_fail(server, proxy, name_server, tmp_path, way, more):
    check_all(Runs(server, proxy, name_server, tmp_path, way), more)


@pytest.mark.parametrize("more", ("0", "all") if LONG else ("0",))
def test_every_allocation_of_a_session_may_fail(origin, tmp_path, more):
    Digest(origin)

    @origin.on("/go")
    def go(exchange):
        return Response(307, [("Location", "/digest/30000"), ("Set-Cookie", "a=1; Max-Age=1000"),
                              ("Set-Cookie", "b=2; Domain=localhost")])

    check_all(SessionRuns(origin, tmp_path), more)
