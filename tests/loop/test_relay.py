# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay that other tests put before real servers: what it passes on, how fast, how late, and what it tells."""

import socket
import subprocess
import time

import pytest

import testbed
from haul import PATIENCE, plain_binary
from testbed import Relay

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("relayed")
    testbed.make_media(root, {"file": 8 * MIB, "small": 1000})
    with testbed.Nginx(root, kinds=["http", "tls13-ecdsa"]) as nginx:
        yield nginx


def curl(*arguments):
    """Seconds to the first byte, and to the end."""
    ended = subprocess.run(["curl", "-q", "-sS", "-w", "%{time_starttransfer} %{time_total}\n", *map(str, arguments)],
                           capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return [float(word) for word in ended.stdout.split()[-2:]]


def parallel(count, *arguments):
    """As many at once; seconds until all have ended."""
    began = time.monotonic()
    processes = [subprocess.Popen(["curl", "-q", "-sS", "-o", "/dev/null", *arguments]) for _ in range(count)]
    assert [process.wait(60) for process in processes] == [0] * count
    return time.monotonic() - began


def test_passes_everything_on(server, tmp_path):
    for kind, scheme in (("http", "http"), ("tls13-ecdsa", "https")):
        with Relay(server.ports[kind], scheme=scheme) as relay:
            curl("--cacert", server.ca, "-o", tmp_path / kind, relay.url("/file"))
            report = relay.report()
        assert testbed.compare_files(server.root / "file", tmp_path / kind) is None
        (connection,) = report["connections"]
        assert connection["down"] == report["down"] >= 8 * MIB and connection["up"] == report["up"] > 50
        assert 0 < connection["begin"] <= connection["first"] <= connection["last"] <= report["now"]


def test_rate_is_kept_by_each_connection(server):
    plain_binary()  # a busy machine says nothing about time, one that runs under valgrind is
    with Relay(server.ports["http"], rates=[8 * MIB]) as relay:
        seconds = parallel(4, relay.url("/file"))
        report, cpu = relay.report(), relay.cpu_seconds()
    assert 0.9 < seconds < 1.5 * PATIENCE
    assert cpu < 0.3
    for connection in report["connections"]:
        rate = connection["down"] / (connection["last"] - connection["begin"])
        assert 0.6 * 8 * MIB < rate < 1.05 * 8 * MIB


def test_rates_in_turn(server):
    with Relay(server.ports["http"], rates=[4 * MIB, 0]) as relay:
        _, first = curl("-o", "/dev/null", relay.url("/file"))
        _, second = curl("-o", "/dev/null", relay.url("/file"))
    assert first > 1.8 and second < 1


def test_delay_of_both_ways(server):
    with Relay(server.ports["http"], delay_ms=50) as relay:
        first_byte, _ = curl("-o", "/dev/null", relay.url("/small"))
        assert 0.1 <= first_byte < 0.3 * PATIENCE
        both_first, whole = curl("-o", "/dev/null", relay.url("/file"))
    assert 0.1 <= both_first <= whole < 1 * PATIENCE


def test_rate_and_delay_together(server):
    """The line holds what is under way: the delay does not lower the rate."""
    with Relay(server.ports["http"], rates=[16 * MIB], delay_ms=100) as relay:
        _, whole = curl("-o", "/dev/null", relay.url("/file"))
    assert 0.65 <= whole < 1.2 * PATIENCE


def test_cut_and_stall(server):
    with Relay(server.ports["http"], cuts=[MIB, 0]) as relay:
        ended = subprocess.run(["curl", "-q", "-s", "-o", "/dev/null", relay.url("/file")])
        assert ended.returncode in (18, 56)  # partial file, or reset
        assert relay.report()["connections"][0]["down"] == MIB
        curl("-o", "/dev/null", relay.url("/file"))
    with Relay(server.ports["http"], stalls=[MIB, 0]) as relay:
        ended = subprocess.run(["curl", "-q", "-s", "-m", "0.5", "-o", "/dev/null", relay.url("/file")])
        assert ended.returncode == 28
        assert relay.report()["connections"][0]["down"] == MIB


def test_commands(server):
    with Relay(server.ports["http"], rates=[4 * MIB]) as relay:
        with subprocess.Popen(["curl", "-q", "-s", "-o", "/dev/null", relay.url("/file")]) as process:
            while relay.report()["down"] == 0:
                time.sleep(0.01)
            relay.tell("stall")
            held = relay.report()["down"]
            time.sleep(0.2)
            assert relay.report()["down"] == held
            relay.tell("go")
            time.sleep(0.2)
            assert relay.report()["down"] > held
            relay.tell("cut")
            assert process.wait(5) in (18, 56)
        assert relay.report()["connections"][0]["end"] > 0


def test_server_that_is_not_there():
    with socket.socket() as held:  # so that it is not the relay that gets the port
        held.bind(("127.0.0.1", 0))
        with Relay(held.getsockname()[1]) as relay:
            ended = subprocess.run(["curl", "-q", "-s", "-m", "5", relay.url("/")])
            assert ended.returncode in (7, 52, 56)  # curl may see the reset as early as it connects
            assert len(relay.report()["connections"]) == 1
