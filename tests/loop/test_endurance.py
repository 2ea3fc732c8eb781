# SPDX-License-Identifier: GPL-3.0-or-later
"""What long downloads live through: full disks, few descriptors, processes that are stopped, servers and networks that go away
and come back, and another process that wants the same file."""

import os
import re
import signal
import subprocess
import threading
import time

import pytest

import testbed
from haul import Haul, Namespace, check_files, run, run_good, run_list
from origin import Origin
from test_segments import Paced
from testbed import Mounts, Relay, Unavailable, compare_files

MIB = 1 << 20
FOUR = ("-s", "4", "-k", "1M")
SIZE = 6 * MIB + 77


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("endurance")
    testbed.make_media(root, {"file": SIZE, "large": 32 * MIB} | {f"many/{i}": 3 * MIB for i in range(24)})
    return root


@pytest.fixture
def server(files):
    with testbed.Nginx(files, kinds=["http", "tls13-ecdsa"], access_log=True) as nginx:
        yield nginx


# Full disks.


@pytest.fixture
def small():
    """A file system of 8 MiB in a file."""
    try:
        with Mounts() as mounts:
            yield mounts.image("small", "ext4", 8 * MIB, "-q", "-m", "0", "-O", "^has_journal")
    except Unavailable as reason:
        pytest.skip(str(reason))


def fill(disk, room):
    """A file that leaves so many bytes."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - room)
    return ballast


WAYS = {"auto": (), "grows": ("--file-allocation=none", "--direct=never"), "direct": ("--file-allocation=none", "--direct=always")}


@pytest.mark.parametrize("split", ((), FOUR))
@pytest.mark.parametrize("way", WAYS)
def test_full_disk(server, files, small, target, tmp_path, way, split):
    """Others on another file system go on; what is there is gone on from once there is room."""
    ballast = fill(small, 3 * MIB)
    lines = [server.url("http", "/file"), f" dir={small}"]
    for i in range(4):
        lines += [server.url("http", f"/many/{i}"), f" dir={target}"]
    ended = run_list(tmp_path, lines, *WAYS[way], *split)
    assert ended.status == 9
    assert "No space left" in ended.stderr and ended.stderr.count("failed:") == 1
    check_files(target, {str(i): (files / f"many/{i}").read_bytes() for i in range(4)})
    assert not (small / "file").exists()
    ballast.unlink()
    log = tmp_path / "log"
    run_good(*split, "-l", log, "--log-level=info", "-d", small, server.url("http", "/file"))
    assert compare_files(files / "file", small / "file") is None
    assert not [path for path in small.iterdir() if path.name not in ("file", "lost+found")]
    if way != "auto":  # which knows at once that it won't fit
        assert int(re.search(r"done; \d+ bytes, (\d+) of them from before", log.read_text()).group(1)) > MIB


@pytest.mark.parametrize("split", ((), FOUR))
@pytest.mark.parametrize("way", WAYS)
def test_full_disk_is_waited_for(server, files, small, target, tmp_path, way, split):
    ballast = fill(small, 3 * MIB)
    path = tmp_path / "list.txt"
    path.write_text(f"{server.url('http', '/file')}\n dir={small}\n" +
                    "".join(f"{server.url('http', f'/many/{i}')}\n dir={target}\n" for i in range(4)))
    with Haul("--disk-full=wait", *WAYS[way], *split, "-i", path) as haul:
        haul.wait_until(lambda: all((target / str(i)).exists() for i in range(4)), "the others are done")
        haul.wait_until(lambda: "waiting for room" in haul.stderr(), "it says that it waits")
        assert not haul.ends_within(1.5)
        ballast.unlink()
        ended = haul.finish(30)
    assert ended.status == 0, ended.stderr
    assert ended.stderr.count("waiting for room") == 1
    assert compare_files(files / "file", small / "file") is None


def test_stop_while_a_full_disk_is_waited_for(server, files, small):
    ballast = fill(small, 3 * MIB)
    with Haul("--disk-full=wait", *WAYS["grows"], *FOUR, "-d", small, server.url("http", "/file")) as haul:
        assert not haul.ends_within(1.5)
        haul.signal(signal.SIGTERM)
        assert haul.finish(5).status == 7
    ballast.unlink()
    run_good(*FOUR, "-d", small, server.url("http", "/file"))
    assert compare_files(files / "file", small / "file") is None


# Limits of the process.


@pytest.mark.parametrize("options", ((), ("-j", "24"), ("--durable",), ("--threads=2",)))
def test_few_descriptors(server, files, target, options):
    descriptors = 96 if options == ("--threads=2",) else 64
    run_good("-s", "8", "-x", "16", "-k", "1M", *options, "-d", target,
             *(server.url("http", f"/many/{i}") for i in range(24)),
             prefix=["prlimit", f"--nofile={descriptors}:{descriptors}"])
    check_files(target, {str(i): (files / f"many/{i}").read_bytes() for i in range(24)})


@pytest.mark.parametrize("way", WAYS)
def test_limit_on_the_size_of_files(server, files, target, way):
    ended = run(*FOUR, *WAYS[way], "-d", target, server.url("http", "/file"), server.url("http", "/many/1"),
                prefix=["prlimit", f"--fsize={4 * MIB}"])
    assert ended.status == 17
    assert "File too large" in ended.stderr
    assert (target / "1").read_bytes() == (files / "many/1").read_bytes()
    assert not (target / "file").exists()
    run_good(*FOUR, "-d", target, server.url("http", "/file"))
    check_files(target, {"file": (files / "file").read_bytes(), "1": None})


# Processes that are stopped.


@pytest.mark.parametrize("seconds, timeout", ((1, "60"), (4, "2")))
def test_stopped_process(server, files, target, seconds, timeout):
    """SIGSTOP, as by a laptop's lid: even where it was longer than -t, the file is right."""
    with Relay(server.ports["http"], rates=[4 * MIB]) as relay:
        with Haul(*FOUR, "-t", timeout, "--retry-wait=0.1", "-d", target, relay.url("/large")) as haul:
            haul.wait_until(lambda: relay.report()["down"] > 8 * MIB, "it is in the middle")
            haul.signal(signal.SIGSTOP)
            time.sleep(seconds)
            haul.signal(signal.SIGCONT)
            assert haul.finish().status == 0
        report = relay.report()
    check_files(target, {"large": (files / "large").read_bytes()})
    assert report["down"] < 32 * MIB + 8 * MIB


# Servers and networks that go away.


@pytest.mark.parametrize("kind", ("http", "tls13-ecdsa"))
@pytest.mark.parametrize("split", ((), FOUR))
def test_server_is_restarted(files, target, kind, split):
    with testbed.Nginx(files, kinds=[kind], access_log=True, server_extra="limit_rate 4m;") as server:
        with Haul(*split, "--retry-wait=0.2", "-m", 20, "--ca-certificate", server.ca, "-d", target,
                  server.url(kind, "/large")) as haul:
            haul.wait_until(lambda: written(target) > MIB, "it is in the middle")
            server.stop()
            time.sleep(1)
            server.start_again()
            assert haul.finish(90).status == 0
        sent = sum(request["body_bytes_sent"] for request in server.requests(2))
    check_files(target, {"large": (files / "large").read_bytes()})
    assert sent < 32 * MIB + 24 * MIB  # what was on its way does not arrive


def written(directory):
    """Bytes of disk that the files there have, at most so many have come."""
    return sum(path.stat().st_blocks * 512 for path in directory.iterdir())


@pytest.mark.parametrize("split", ((), FOUR))
def test_connections_are_reset(server, files, target, split):
    """All at once, several times."""
    with Relay(server.ports["http"], rates=[4 * MIB]) as relay:
        with Haul(*split, "--retry-wait=0.1", "-m", 20, "-d", target, relay.url("/large")) as haul:
            for i in range(1, 4):
                haul.wait_until(lambda: relay.report()["down"] > i * 5 * MIB, "some more has come")
                relay.tell("cut")
            assert haul.finish().status == 0
        report = relay.report()
    check_files(target, {"large": (files / "large").read_bytes()})
    assert report["down"] < 32 * MIB + 16 * MIB


@pytest.mark.parametrize("split", ((), FOUR))
def test_line_is_dead_for_a_while(server, files, target, split):
    with Relay(server.ports["http"], rates=[4 * MIB]) as relay:
        with Haul(*split, "-t", "2", "--retry-wait=0.1", "-m", 20, "-d", target, relay.url("/large")) as haul:
            haul.wait_until(lambda: relay.report()["down"] > 4 * MIB, "some has come")
            relay.tell("stall")
            assert not haul.ends_within(4)
            relay.tell("go")
            assert haul.finish().status == 0
    check_files(target, {"large": (files / "large").read_bytes()})


@pytest.mark.parametrize("split", ((), FOUR))
def test_address_is_gone_for_a_while(target, tmp_path, split):
    with Namespace(tmp_path, {}) as namespace:

        def address(what):
            subprocess.run([*namespace.prefix, "ip", "address", what, "10.77.0.1/32", "dev", "lo"], check=True)

        address("add")
        with namespace.call(Origin, "10.77.0.1") as origin:
            paced = Paced(origin, rate=2 * MIB)
            with Haul(*split, "-t", "2", "--connect-timeout=2", "--retry-wait=0.1", "-m", 20, "-d", target, paced.url,
                      prefix=namespace.prefix) as haul:
                haul.wait_until(lambda: paced.sent_bytes > 2 * MIB, "some has come")
                address("del")
                assert not haul.ends_within(4)
                address("add")
                assert haul.finish().status == 0
            check_files(target, {"paced": paced.content})


# Two of them.


@pytest.mark.parametrize("split", ((), FOUR))
def test_two_processes_on_one_target(server, files, target, split):
    with Relay(server.ports["http"], rates=[4 * MIB]) as relay:
        with Haul(*split, "-d", target, relay.url("/large")) as first:
            first.wait_until(lambda: relay.report()["down"] > 2 * MIB, "the first is in the middle")
            second = run(*split, "-d", target, relay.url("/large"))
            assert second.status == 11
            assert "another" in second.stderr
            assert first.finish().status == 0
    check_files(target, {"large": (files / "large").read_bytes()})


def test_two_processes_that_begin_at_once(server, files, target):
    """Many pairs: one has the file, or each has one, but nothing is mixed or lost."""
    url = server.url("http", "/file")
    for i in range(10):
        directory = target / str(i)
        with Haul("-q", *FOUR, "-d", directory, url) as one, Haul("-q", *FOUR, "-d", directory, url) as other:
            statuses = sorted((one.finish().status, other.finish().status))
        assert statuses in ([0, 11], [0, 0])
        names = testbed.tree(directory)
        assert names == (["file"] if statuses[1] else ["file", "file.1"])
        assert all(compare_files(files / "file", directory / name) is None for name in names)


def test_process_that_takes_over_from_a_killed_one(server, files, target):
    """A lock ends with its holder, whatever that was doing. It is waited for a second, in vain as long as he lives."""
    with Relay(server.ports["http"], rates=[MIB]) as relay:
        with Haul(*FOUR, "-d", target, relay.url("/large")) as first:
            first.wait_until(lambda: relay.report()["down"] > 4 * MIB, "the first is in the middle")
            killer = threading.Timer(3, first.signal, (signal.SIGKILL,))
            killer.start()
            assert run(*FOUR, "-d", target, relay.url("/large")).status == 11
            first.finish(killed_by=(signal.SIGKILL,))
        run_good(*FOUR, "-d", target, relay.url("/large"))
    check_files(target, {"large": (files / "large").read_bytes()})
