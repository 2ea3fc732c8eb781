# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses, in a network of our own with a name server of our own."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from haul import (LONG, PATIENCE, THREADS, WRAP, FullListener, Haul, Namespace, check_files, plain_binary, run, run_good,
                  run_list)
from nameserver import NameServer
from origin import Origin, body_bytes

pytestmark = pytest.mark.skipif(not shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin:/bin"), reason="no dnsmasq")

DNSMASQ = ("dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= "
           "--listen-address=127.0.0.1 --bind-interfaces --local=/haul.test/missing/ --log-queries --log-facility=- "
           "--host-record=four.haul.test,127.0.0.1 --host-record=six.haul.test,::1 "
           "--host-record=both.haul.test,127.0.0.1,::1 --host-record=two.haul.test,127.0.0.2 "
           "--host-record=two.haul.test,127.0.0.1 --cname=alias.haul.test,four.haul.test "
           "--host-record=low.haul.test,127.0.0.1,1 --host-record=long.haul.test,127.0.0.1,60 --host-record=blocked.haul.test,127.0.0.1,::1").split()


class Network(Namespace):
    """A namespace with dnsmasq in it."""

    def __init__(self, directory):
        super().__init__(directory, {"/etc/resolv.conf": "nameserver 127.0.0.1\nsearch haul.test\n",
                                     "/etc/hosts": "127.0.0.1 localhost\n127.0.0.1 only-in-hosts\n"
                                                   "127.0.0.3 blocked.haul.test\n"})
        self.log_path = directory / "dnsmasq.log"

    def __enter__(self):
        super().__enter__()
        with open(self.log_path, "wb") as log:
            self.dnsmasq = subprocess.Popen([*self.prefix, *DNSMASQ], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while "started" not in self.log_path.read_text():
            assert self.dnsmasq.poll() is None and time.monotonic() < deadline, self.log_path.read_text()
            time.sleep(0.01)
        return self

    def __exit__(self, *exception):
        self.dnsmasq.kill()
        self.dnsmasq.wait()
        super().__exit__(*exception)

    def queries(self, name):
        """The types of the questions for this name, sorted."""
        return sorted(re.findall(rf"query\[(\w+)\] {re.escape(name)} ", self.log_path.read_text()))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with Network(tmp_path_factory.mktemp("network")) as found:
        yield found


@pytest.fixture
def inner(network):
    """An origin in the network: inner(address, port) -> Origin."""
    origins = []

    def start(address="127.0.0.1", port=0):
        origin = network.call(Origin, address=address, port=port)
        origin.__enter__()
        origins.append(origin)
        return origin

    yield start
    for origin in origins:
        origin.__exit__()


@pytest.mark.parametrize("host, address", (
    ("four.haul.test", "127.0.0.1"), ("six.haul.test", "::1"), ("both.haul.test", "::1"),
    ("alias.haul.test", "127.0.0.1"),
    ("four", "127.0.0.1"), ("only-in-hosts", "127.0.0.1"), ("localhost", "127.0.0.1"), ("FOUR.haul.TEST.", "127.0.0.1"),
))
def test_name(network, inner, target, host, address):
    origin = inner(address)
    ended = run("-m", 1, "-d", target, origin.url("/bytes/5", host=host), prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    assert origin.requests[0].header("host").lower() == f"{host.lower()}:{origin.port}"
    check_files(target, {"5": body_bytes(5)})


def test_dead_ipv6_that_refuses(network, inner, target):
    origin = inner("127.0.0.1")
    ended = run("-m", 1, "-d", target, origin.url("/bytes/5", host="both.haul.test"), prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    assert ended.seconds < 1 * PATIENCE
    check_files(target, {"5": body_bytes(5)})


def test_dead_ipv6_that_swallows(network, inner, target):
    """The other family is tried after a quarter of a second."""
    origin = inner("127.0.0.1")
    with network.call(FullListener, "::1", origin.port):
        ended = run("-m", 1, "-d", target, origin.url("/bytes/5", host="both.haul.test"), prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    assert ended.seconds < 1 * PATIENCE
    check_files(target, {"5": body_bytes(5)})


def test_dead_ipv6_that_swallows_many(network, inner, target):
    """There are not enough sockets for two attempts each."""
    origin = inner("127.0.0.1")
    urls = [origin.url(f"/bytes/5?seed={i}", host="both.haul.test") for i in range(24)]
    with network.call(FullListener, "::1", origin.port):
        ended = run("-j", 24, "-x", 24, "-m", 1, "-d", target, *urls,
                    prefix=[*network.prefix, "prlimit", "--nofile=64:64"])
    assert ended.status == 0, ended.stderr
    assert ended.seconds < 3 * PATIENCE
    assert len(list(target.iterdir())) == 24


def test_one_of_two_addresses_is_dead(network, inner, target):
    origin = inner("127.0.0.2")
    ended = run("-m", 1, "-d", target, origin.url("/bytes/5", host="two.haul.test"), prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    check_files(target, {"5": body_bytes(5)})


def test_refusal_on_all_addresses_is_told(network, target):
    ended = run("-m", 1, "-d", target, "http://both.haul.test:1/", prefix=network.prefix)
    assert ended.status == 6
    assert "Connection refused" in ended.stderr and "both.haul.test" in ended.stderr


@pytest.mark.parametrize("host", ("missing.haul.test", "missing"))
def test_unknown_name(network, target, host):
    ended = run("-d", target, f"http://{host}/", prefix=network.prefix)
    assert ended.status == 19
    assert host in ended.stderr and "no such name" in ended.stderr
    assert ended.seconds < 5 * PATIENCE
    check_files(target, {})


def test_unknown_name_among_good_ones(network, inner, target):
    origin = inner()
    ended = run("-d", target, "http://missing.haul.test/", origin.url("/bytes/5", host="four.haul.test"),
                "http://missing.haul.test/2", prefix=network.prefix)
    assert ended.status == 19
    assert ended.lines[-1].startswith("1 done, 2 failed")
    check_files(target, {"5": body_bytes(5)})


@pytest.mark.skipif(THREADS != [], reason="each thread asks for itself")
def test_each_family_is_asked_for_once_for_many_urls(network, inner, target, tmp_path):
    origin = inner()
    before = network.queries("four.haul.test")
    lines = [origin.url(f"/no-keepalive?seed={i}", host="four.haul.test") for i in range(200)]
    ended = run_list(tmp_path, lines, "-d", target, "-x", 20, "-j", 20, prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    assert len(network.queries("four.haul.test")) == len(before) + 2
    assert {"A", "AAAA"} <= set(network.queries("four.haul.test"))


def test_answers_are_kept_for_their_time(network, inner, target):
    """Three downloads, each on a connection of its own, a second and a half apart."""
    origin = inner()
    for host, asked in (("low.haul.test", 3), ("long.haul.test", 1)):
        before = network.queries(host).count("A")
        run_good("-x", 1, "--wait=1.5", "-d", target, *(origin.url(f"/no-keepalive?seed={i}&x={host}", host=host)
                                                       for i in range(3)), prefix=network.prefix)
        assert network.queries(host).count("A") == before + asked


@pytest.mark.skipif(THREADS != [], reason="each thread asks for itself")
def test_that_a_name_is_unknown_is_kept(network, target):
    before = network.queries("missing.haul.test")
    urls = [f"http://missing.haul.test/{i}" for i in range(20)]
    ended = run("-j", 2, "-d", target, *urls, prefix=network.prefix)
    assert ended.status == 19
    assert sorted(network.queries("missing.haul.test")) == sorted([*before, "A", "AAAA"])


def test_a_name_of_the_hosts_file_has_no_other_address(network, inner, target):
    origin = inner("127.0.0.3")
    ended = run("-m", 1, "-d", target, origin.url("/bytes/5", host="blocked.haul.test"), prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    assert network.queries("blocked.haul.test") == []


def test_names_that_nobody_is_asked_for(network, target):
    before = network.log_path.read_text().count("query[")
    for host in ("a." * 126 + "ab", "a" * 64 + ".test", "some.localhost", "hidden.onion"):
        assert run("--connect-timeout=2", "-m", 1, "-d", target, f"http://{host}:1/", prefix=network.prefix).status != 0
    assert network.log_path.read_text().count("query[") == before


@pytest.mark.skipif(THREADS != [], reason="each thread remembers for itself")
def test_broken_ipv6_costs_its_time_once(network, inner, target):
    origin = inner("127.0.0.1")
    urls = [origin.url(f"/no-keepalive?seed={i}", host="both.haul.test") for i in range(12)]
    with network.call(FullListener, "::1", origin.port):
        ended = run("-j", 1, "-m", 1, "-d", target, *urls, prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    assert len(list(target.iterdir())) == 12
    assert 0.25 <= ended.seconds < 1.5 * PATIENCE  # 12 times would be 3 seconds


# Options.


def test_disabled_ipv6(network, inner, target):
    origin = inner("127.0.0.1")
    before = network.queries("both.haul.test")
    ended = run("--disable-ipv6", "-m", 1, "-d", target, origin.url("/bytes/5", host="both.haul.test"),
                prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    assert network.queries("both.haul.test") == sorted([*before, "A"])


def test_disabled_ipv6_is_the_reason(network, inner, target):
    origin = inner("::1")
    for host in ("::1", "six.haul.test"):
        ended = run("--disable-ipv6", "-d", target, origin.url("/bytes/5", host=host), prefix=network.prefix)
        assert ended.status == 19
        assert "IPv6 is switched off" in ended.stderr and host in ended.stderr
    assert not origin.requests


def test_resolve(network, inner, target):
    origin = inner("127.0.0.2")
    before = network.log_path.read_text().count("query[")
    urls = [origin.url("/bytes/5", host="nowhere.test"), origin.url("/bytes/6", host="Other.Test"),
            origin.url("/bytes/7", host="127.0.0.77")]
    ended = run("--resolve", f"nowhere.test:{origin.port}:127.0.0.9,[::1],127.0.0.2",
                "--resolve", f"*:{origin.port}:127.0.0.2", "-m", 1, "-d", target, *urls, prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    assert sorted(request.header("host") for request in origin.requests) == sorted(
        f"{host}:{origin.port}" for host in ("nowhere.test", "other.test", "127.0.0.77"))
    assert network.log_path.read_text().count("query[") == before


@pytest.mark.parametrize("option, text", (
    ("--resolve=some.test:80", "some.test:80"), ("--resolve=some.test:80:other.test", "other.test"),
    ("--resolve=-some.test:80", "some.test:80"), ("--async-dns-server=dns.test", "dns.test"),
    ("--async-dns-server=127.0.0.1,", None), ("--async-dns-server=127.0.0.1:x", "127.0.0.1:x"),
    ("--interface=nosuch0", "nosuch0"), ("--interface=192.0.2.77", "192.0.2.77"),
    ("--interface=2001:db8::77", "2001:db8::77"),
))
def test_what_makes_no_sense_is_refused_at_once(origin, target, option, text):
    ended = run(option, "-d", target, origin.url("/bytes/5"))
    if text is None:
        assert ended.status == 0
        return
    assert ended.status == 28 and text in ended.stderr, ended
    assert not origin.requests


@pytest.mark.parametrize("interface, peer", (("lo", "127.0.0.1"), ("127.0.0.7", "127.0.0.7")))
def test_interface(origin, target, interface, peer):
    run_good("--interface", interface, "-d", target, origin.url("/bytes/5"))
    assert origin.requests[0].peer[0] == peer


def test_interface_whose_binding_is_forbidden(network, inner, target, tmp_path):
    """Where SO_BINDTODEVICE asks for more than one may, the interface's address is bound to."""
    if WRAP:
        pytest.skip("strace in valgrind")
    if not shutil.which("strace"):
        pytest.skip("no strace")
    origin = inner("127.0.0.1")
    tracer = ["strace", "-f", "-o", tmp_path / "trace", "-e", "trace=setsockopt,bind",
              "-e", "inject=setsockopt:error=EPERM"]
    ended = run("--interface=lo", "-d", target, origin.url("/bytes/5"), prefix=[*network.prefix, *tracer],
                env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert ended.status == 0, ended.stderr
    trace = (tmp_path / "trace").read_text()
    assert re.search(r'SO_BINDTODEVICE.*EPERM', trace) and re.search(r'bind\(.*127\.0\.0\.1', trace)


def test_interface_of_one_family(network, inner, target):
    origin = inner("::1")
    for host in ("six.haul.test", "::1"):
        ended = run("--interface=127.0.0.1", "-d", target, origin.url("/bytes/5", host=host), prefix=network.prefix)
        assert ended.status == 19
        assert "connections start from an IPv4 address" in ended.stderr
    run_good("--interface=::1", "-d", target, origin.url("/bytes/5", host="both.haul.test"), prefix=network.prefix)
    assert origin.requests[0].peer[0] == "::1"


def test_no_name_is_asked_for_an_address(network, inner, target):
    origin = inner()
    before = network.log_path.read_text().count("query[")
    run("-d", target, origin.url("/bytes/5"), prefix=network.prefix)
    assert network.log_path.read_text().count("query[") == before


# Name servers that are of no use.


def silent_network(directory):
    return Namespace(directory, {"/etc/resolv.conf": "nameserver 127.0.0.1\n", "/etc/hosts": "127.0.0.1 localhost\n"})


def bound_socket():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    return sock


def test_name_server_that_does_not_answer(target, tmp_path):
    with silent_network(tmp_path) as network, network.call(bound_socket):
        ended = run("--connect-timeout=1", "-m", 1, "-d", target, "http://some.haul.test/", prefix=network.prefix)
    assert ended.status in (2, 19)
    assert "some.haul.test" in ended.stderr
    assert 1 <= ended.seconds < 5 * PATIENCE
    check_files(target, {})


def test_name_server_that_is_not_there(target, tmp_path):
    with silent_network(tmp_path) as network:
        ended = run("--connect-timeout=2", "-m", 2, "--retry-wait=0.1", "-d", target, "http://some.haul.test/",
                    prefix=network.prefix)
    assert ended.status == 19
    assert "some.haul.test" in ended.stderr and "(2 tries)" in ended.stderr
    assert ended.seconds < 10 * PATIENCE
    check_files(target, {})


def test_silent_name_server_does_not_hold_up_other_hosts(target, tmp_path):
    with silent_network(tmp_path) as network, network.call(bound_socket):
        with network.call(Origin) as origin:
            ended = run("--connect-timeout=2", "-m", 1, "-d", target, "http://some.haul.test/", origin.url("/bytes/5"),
                        prefix=network.prefix)
            assert ended.status in (2, 19)
            assert origin.requests
    check_files(target, {"5": body_bytes(5)})
    assert ended.lines[0].startswith("done:")


@pytest.mark.parametrize("dead", ("127.0.0.9", "silent"))
def test_one_of_two_name_servers_is_dead(origin, target, dead):
    with NameServer() as server, NameServer(delay=None) as silent:
        dead = silent.address if dead == "silent" else dead
        ended = run("--async-dns-server", f"{dead},{server.address}", "-m", 1, "-d", target,
                    origin.url("/bytes/5", host="some.test"))
    assert ended.status == 0, ended.stderr
    assert ("A", "some.test") in server.queries


def test_what_is_cut_short_is_asked_for_by_tcp(origin, target):
    """More addresses than a datagram holds; the last one counts."""
    addresses = [f"127.0.1.{i}" for i in range(1, 12)] + ["127.0.0.1"]
    with NameServer(truncate=True, addresses={"A": addresses}) as server:
        ended = run("--async-dns-server", server.address, "-m", 1, "-d", target,
                    origin.url("/bytes/5", host="some.test"))
    assert ended.status == 0, ended.stderr
    assert ("A", "some.test") in server.tcp_queries


# Many names.


def test_names_in_flight_are_bounded(target, tmp_path):
    """A name server that takes its time gets so many questions at once; each download has its whole timeout from its
    question on, and who needs no name isn't held up."""
    names, literals = 1500, 50
    with Origin(address="0.0.0.0") as origin, NameServer(delay=0.2) as server:
        lines = [origin.url(f"/bytes/1?{i}", host=f"host{i}.test") for i in range(names)]
        lines[100:100] = [origin.url(f"/bytes/2?{i}", host=f"127.0.2.{i}") for i in range(literals)]
        ended = run_list(tmp_path, lines, "--async-dns-server", server.address, "-m", 1, "--connect-timeout=1",
                         "-j", 400, "-d", target)
        order = [request.path for request in origin.requests]
    assert ended.status == 0, ended.stderr
    assert 80 <= server.waiting_max <= 100 + 2 * len(THREADS)
    assert len(server.queries) == 2 * names
    assert max(i for i, path in enumerate(order) if path == "/bytes/2") < names // 6


def test_names_that_wait_are_given_up_at_once(origin, target):
    """The name server never answers, and most have not been asked for when the user has had enough."""
    with NameServer(delay=None) as server:
        urls = [f"http://host{i}.test/" for i in range(500)]
        with Haul("--async-dns-server", server.address, "-j", 500, "-d", target, *urls) as haul:
            haul.wait_until(lambda: len(server.queries) >= 100, "it asks")
            started = time.monotonic()
            haul.signal(2)
            haul.finish(killed_by=(2,), or_not=True)
            assert time.monotonic() - started < 2 * PATIENCE
            assert len(set(server.queries)) <= 100 + 2 * len(THREADS)


def free_port():
    """For UDP and TCP alike: somebody's connection may have the one and not the other."""
    for _ in range(100):
        with socket.socket() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                datagrams.bind(stream.getsockname())
                return stream.getsockname()[1]
    raise AssertionError("no port is free for both")


@contextlib.contextmanager
def dnsmasq_for_all(directory):
    """On a port of its own: every name is 127.0.0.1."""
    port = free_port()
    log_path = directory / "dnsmasq-all.log"
    command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
               "--pid-file=", "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}",
               "--address=/#/127.0.0.1", "--log-facility=-"]
    with open(log_path, "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env=os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    try:
        deadline = time.monotonic() + 10
        while "started" not in log_path.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log_path.read_text()
            time.sleep(0.01)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_very_many_hosts(nginx, target, tmp_path):
    """Tens of thousands of hosts within a minute, in little memory."""
    binary = plain_binary()
    count = 20000 if LONG else 4000
    list_path = tmp_path / "list.txt"
    with open(list_path, "w") as file:
        for i in range(count):
            file.write(nginx.url("http", "/size/1", host=f"host{i}.test") + f"\n  out={i}\n")
    with dnsmasq_for_all(tmp_path) as server:
        with Haul("--async-dns-server", server, "-i", list_path, "-d", target, binary=binary) as haul:
            peak = 0
            while haul.running():
                with contextlib.suppress(OSError, AttributeError, ProcessLookupError):
                    peak = max(peak, haul.peak_kib())
                time.sleep(0.02)
            ended = haul.finish()
    assert ended.status == 0, ended.lines[-5:]
    print(f"{count} hosts in {ended.seconds:.1f} s, {count / ended.seconds:.0f} a second; peak {peak} KiB")
    assert ended.seconds < 60 * count / 20000
    assert peak < 64 * 1024
