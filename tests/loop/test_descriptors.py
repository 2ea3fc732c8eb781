# SPDX-License-Identifier: GPL-3.0-or-later
"""Few descriptors: downloads are bounded by their sockets, and wait for each other's files and directories."""

import signal
import threading
import time

import pytest

from haul import PATIENCE, Haul, check_files, run_good, run_list
from origin import body_bytes
from testbed import tree

SIZE = 400_000  # more than what comes with the head


def at_most(descriptors):
    return ["prlimit", f"--nofile={descriptors}:{descriptors}"]


@pytest.mark.parametrize("threads, descriptors", ((0, 64), (3, 96)))
def test_few_descriptors_are_enough(origin, target, threads, descriptors):
    """Where no more can be open at once, downloads wait for each other."""
    urls = [origin.url(f"/delay/0.1?seed={i}") for i in range(150)]
    run_good("-j", 150, "-x", 150, f"--threads={threads}", "-d", target, *urls, prefix=at_most(descriptors))
    assert len(tree(target)) == 150


def test_most_descriptors_are_for_requests_that_wait(slowserver, target, tmp_path):
    """190 of 256: all are in flight at once, and nobody waits for a second round."""
    port = slowserver(3000)
    lines = [f"http://127.0.0.1:{port}/{i}" for i in range(190)]
    ended = run_list(tmp_path, lines, "-j", 190, "-x", 190, "-t", 20, "-d", target, prefix=at_most(256))
    assert ended.status == 0, ended.stderr
    assert len(tree(target)) == 190
    assert "may be open" not in ended.stderr
    assert ended.seconds < (6 if PATIENCE == 1 else 60)


def test_fewer_downloads_are_told(origin, target):
    ended = run_good("-j", 200, "-d", target, origin.url("/bytes/5"), prefix=at_most(256))
    assert ended.lines[0] == "only 256 files may be open (ulimit -n): 192 downloads at once, not 200"
    ended = run_good("-j", 192, "-d", target, origin.url("/bytes/6"), prefix=at_most(256))
    assert "may be open" not in ended.stderr


def test_files_wait_for_each_other(origin, target):
    """All heads come at the same time: more than there are files, and than there is memory to hold."""
    count = 78
    urls = [origin.url(f"/gate/{i}?seed={i}") for i in range(count)]
    gate = threading.Barrier(count)

    @origin.on("/gate")
    def gated(exchange):
        gate.wait(20 * PATIENCE)
        exchange.head(200, [("Content-Length", SIZE)])
        gate.wait(20 * PATIENCE)
        time.sleep(0.2)  # so that all that can be taken of heads is taken
        exchange.body(SIZE)

    run_good("-j", count, "-x", count, "-m", 1, "--buffer-memory=1M", "-d", target, *urls, prefix=at_most(128))
    check_files(target, {str(i): body_bytes(SIZE, i) for i in range(count)})


def test_directories_wait_for_each_other(origin, target, tmp_path):
    lines = []
    for i in range(80):
        lines += [origin.url(f"/delay/0.05?seed={i}"), f" out={i % 40}/deep/{i}"]
    ended = run_list(tmp_path, lines, "-j", 24, "-x", 24, "-m", 1, "-d", target, prefix=at_most(64))
    assert ended.status == 0, ended.stderr
    assert sorted(name for name in tree(target)) == sorted(f"{i % 40}/deep/{i}" for i in range(80))


@pytest.mark.parametrize("folders, threads", ((1, 0), (60, 0), (1, 2), (60, 2)))
def test_files_that_break_make_way_for_others(origin, target, tmp_path, folders, threads):
    """Each breaks in the middle, and waits for its second try; meanwhile others have the connections."""
    seen = set()

    @origin.on("/breaking")
    def breaking(exchange):
        start = int((exchange.request.header("range") or "bytes=0-")[6:-1])
        first = exchange.request.path not in seen
        seen.add(exchange.request.path)
        fields = [("ETag", '"x"'), ("Content-Length", SIZE - start)]
        if start:
            fields.append(("Content-Range", f"bytes {start}-{SIZE - 1}/{SIZE}"))
        exchange.head(206 if start else 200, fields)
        exchange.body(SIZE // 2 if first else SIZE, start)
        if first:
            exchange.reset()

    lines = []
    for i in range(60):
        lines += [origin.url(f"/breaking/{i}?seed={i}"), f" out={i % folders}/{i}"]
    ended = run_list(tmp_path, lines, "-j", 24, "-x", 24, "--retry-wait=0.5", f"--threads={threads}", "-d", target,
                     prefix=at_most(80))
    assert ended.status == 0, ended.stderr
    check_files(target, {f"{i % folders}/{i}": body_bytes(SIZE, i) for i in range(60)})
    assert len(origin.requests) == 120


def test_stop_while_files_wait(origin, target):
    """Six have their files and get no further; the others have not even that."""
    urls = [origin.url(f"/stall/{SIZE}/{SIZE // 2}?seed={i}") for i in range(20)]
    with Haul("-j", 24, "-x", 24, "-d", target, *urls, prefix=at_most(64)) as haul:
        origin.wait_requests(20)
        haul.wait_until(lambda: len(tree(target)) == 6, "six files are open")
        haul.signal(signal.SIGTERM)
        assert haul.ends_within(2 * PATIENCE)
        assert haul.finish().status == 7
    check_files(target, {})
