# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses, in a network of our own with a name server of our own."""

import re
import shutil
import socket
import subprocess
import time

import pytest

from haul import PATIENCE, THREADS, FullListener, Namespace, check_files, run, run_list
from origin import Origin, body_bytes

pytestmark = pytest.mark.skipif(not shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin:/bin"), reason="no dnsmasq")

DNSMASQ = ("dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= "
           "--listen-address=127.0.0.1 --bind-interfaces --local=/haul.test/missing/ --log-queries --log-facility=- "
           "--host-record=four.haul.test,127.0.0.1 --host-record=six.haul.test,::1 "
           "--host-record=both.haul.test,127.0.0.1,::1 --host-record=two.haul.test,127.0.0.2 "
           "--host-record=two.haul.test,127.0.0.1 --cname=alias.haul.test,four.haul.test").split()


class Network(Namespace):
    """A namespace with dnsmasq in it."""

    def __init__(self, directory):
        super().__init__(directory, {"/etc/resolv.conf": "nameserver 127.0.0.1\nsearch haul.test\n",
                                     "/etc/hosts": "127.0.0.1 localhost\n127.0.0.1 only-in-hosts\n"})
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
    lines = [origin.url(f"/no-keepalive?seed={i}", host="four.haul.test") for i in range(50)]
    ended = run_list(tmp_path, lines, "-d", target, "-x", 20, "-j", 20, prefix=network.prefix)
    assert ended.status == 0, ended.stderr
    assert len(network.queries("four.haul.test")) == len(before) + 2
    assert {"A", "AAAA"} <= set(network.queries("four.haul.test"))


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
