# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is asked of servers at once, how often, and how long they are waited for."""

import contextlib
import itertools
import re
import signal
import socket
import subprocess
import threading
import time
from email.utils import formatdate

import pytest

from haul import PATIENCE, RELEASE, FullListener, Haul, check_files, run, run_good, run_list
from origin import Origin, Response, body_bytes
from testbed import tree

# A clock is read on both sides, and others use the machine.
TOLERANCE = 0.1


def starts(origin):
    return [request.time for request in origin.requests]


def distances(times):
    return [later - earlier for earlier, later in itertools.pairwise(times)]


class Busy:
    """Counts what origins are at together. (Their own count falls only after a client has its answer.)"""

    def __init__(self, *origins, path="/delay"):
        self.now = self.max = 0
        self._lock = threading.Lock()
        for origin in origins:
            origin.handlers[path] = self._counted(origin.handlers[path])

    def _counted(self, handler):
        def count(exchange):
            with self._lock:
                self.now += 1
                self.max = max(self.max, self.now)
            try:
                return handler(exchange)  # is sent after this
            finally:
                with self._lock:
                    self.now -= 1

        return count


# At once.


def test_a_hundred_requests_to_a_slow_server_at_once(slowserver, tmp_path):
    """100 answers that take 3 s each are there after little more than 3 s."""
    port = slowserver(3000)
    lines = [f"http://127.0.0.1:{port}/{i}" for i in range(100)]
    ended = run_list(tmp_path, lines, "-j", 100, "-x", 100, "--discard", binary=RELEASE or None)
    assert ended.status == 0, ended.stderr
    assert 3 <= ended.seconds <= (3.2 if RELEASE else 6 * PATIENCE)


def test_downloads_at_once_are_bounded(origin, second_origin, tmp_path):
    busy = Busy(origin, second_origin)
    lines = [server.url(f"/delay/0.1?{i}") for i in range(10) for server in (origin, second_origin)]
    ended = run_list(tmp_path, lines, "-j", 5, "-x", 100, "--discard")
    assert ended.status == 0, ended.stderr
    assert busy.max == 5


@pytest.mark.parametrize("bound", (1, 3))
def test_connections_to_a_host_are_bounded_over_all_downloads(origin, second_origin, tmp_path, bound):
    lines = [server.url(f"/delay/0.05?{i}") for i in range(12) for server in (origin, second_origin)]
    busy = [Busy(server) for server in (origin, second_origin)]
    ended = run_list(tmp_path, lines, "-j", 50, "-x", bound, "--discard")
    assert ended.status == 0, ended.stderr
    assert [server.max for server in busy] == [bound, bound]
    assert [server.connections for server in (origin, second_origin)] == [bound, bound]


def test_connections_are_bounded_also_where_none_is_kept(origin, tmp_path):
    @origin.on("/closing")
    def closing(exchange):
        exchange.sleep(0.01)
        return Response(200, [("Connection", "close")], b"ok")

    busy = Busy(origin, path="/closing")
    ended = run_list(tmp_path, [origin.url(f"/closing/{i}") for i in range(30)], "-x", 2, "--discard")
    assert ended.status == 0, ended.stderr
    assert busy.max == 2 and origin.connections == 30


def test_a_host_gets_six_connections_at_most_by_default(origin, tmp_path):
    ended = run_list(tmp_path, [origin.url(f"/delay/0.05?{i}") for i in range(60)], "--discard")
    assert ended.status == 0, ended.stderr
    assert 3 <= origin.busy_max <= 6


def test_a_slow_host_does_not_hold_up_another(origin, second_origin, tmp_path):
    """Hosts take turns, however the list is sorted."""
    lines = [origin.url(f"/delay/0.5?{i}") for i in range(20)] + [second_origin.url(f"/bytes/5?{i}") for i in range(20)]
    ended = run_list(tmp_path, lines, "-j", 8, "-x", 4, "--discard")
    assert ended.status == 0, ended.stderr
    assert second_origin.requests[-1].time - origin.requests[0].time < 1.5


@pytest.fixture
def two_origins(request, certificates):
    """Two origins of http or https."""
    tls = (certificates / "ecdsa.crt", certificates / "ecdsa.key") if request.param == "https" else None
    with Origin(tls=tls) as one, Origin(tls=tls) as other:
        yield one, other


@pytest.mark.parametrize("two_origins", ("http", "https"), indirect=True)
@pytest.mark.parametrize("path", ("/delay/60", "/stall/100000/10", "/stall/600000/300000"))
def test_connections_that_wait_do_not_hold_up_others(two_origins, target, certificates, path):
    """What many slow connections hold must leave enough for those who could go on."""
    slow, fast = two_origins
    count = 300  # more than there are buffers
    with Haul("-j", 1000, "-x", 1000, "--ca-certificate", certificates / "ca.crt", "-d", target, "-i", "-",
              stdin=subprocess.PIPE) as haul:
        haul.feed("".join(slow.url(f"{path}?{i}\n") for i in range(count)))
        haul.wait_until(lambda: len(slow.requests) == count, "all slow requests are there", timeout=30)
        haul.feed("".join(fast.url(f"/bytes/100000?seed={i}\n  out=fast-{i}\n") for i in range(20)))
        haul.wait_until(lambda: len([name for name in tree(target) if re.fullmatch(r"fast-\d+", name)]) == 20,
                        "the fast ones are done")
        haul.signal(signal.SIGINT)
        assert haul.finish(20).status == 7
    check_files(target, {f"fast-{i}": body_bytes(100000, i) for i in range(20)})


def test_many_hosts(tmp_path):
    """Each is a host of its own, with its own connections."""
    with Origin(address="0.0.0.0") as origin:
        hosts = [f"127.0.{i // 200}.{i % 200 + 1}" for i in range(600)]
        lines = [origin.url(f"/bytes/5?{i}", host=host) for i, host in enumerate(hosts) for _ in range(2)]
        ended = run_list(tmp_path, lines, "--discard", "-x", 1)
        assert ended.status == 0, ended.stderr
        assert len(origin.requests) == 1200
        assert {request.header("host") for request in origin.requests} == {f"{host}:{origin.port}" for host in hosts}


# Spacing.


def test_a_list_grouped_by_host_does_not_hold_up_the_second(origin, second_origin, tmp_path):
    """Thousands of files of a host that is busy stand before the first of another."""
    lines = [origin.url(f"/status/503?retry-after=60&n={i}") for i in range(3000)] + [second_origin.url("/bytes/5")]
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    with Haul("--discard", "-i", path) as haul:
        second_origin.wait_requests(1, timeout=10 * PATIENCE)
        haul.signal(signal.SIGTERM)
        ended = haul.finish()
    assert ended.status == 7, ended.stderr


def test_wait_spaces_the_starts_on_a_host(origin, second_origin, tmp_path):
    lines = [server.url(f"/bytes/5?{i}") for i in range(5) for server in (origin, second_origin)]
    ended = run_list(tmp_path, lines, "--wait=0.3", "--discard")
    assert ended.status == 0, ended.stderr
    for server in (origin, second_origin):
        assert all(distance > 0.3 - TOLERANCE for distance in distances(starts(server)))
    assert 4 * 0.3 <= ended.seconds < 2 * 4 * 0.3  # both hosts at the same time


def test_random_wait_varies_the_spacing(origin, tmp_path):
    lines = [origin.url(f"/bytes/5?{i}") for i in range(9)]
    ended = run_list(tmp_path, lines, "--wait=0.2", "--random-wait", "--discard")
    assert ended.status == 0, ended.stderr
    found = distances(starts(origin))
    assert all(distance > 0.1 - TOLERANCE / 2 for distance in found)
    assert max(found) - min(found) > 0.02
    assert 8 * 0.1 <= ended.seconds < 8 * 0.3 + 1


# Busy servers.


def check_pause(seconds, origin, second_origin, tmp_path):
    """After its first answer the one origin hears nothing for so long, while the other one is worked on."""
    lines = [origin.url(f"/busy/{i}") for i in range(3)]
    lines += [second_origin.url(f"/delay/0.05?{i}") for i in range(20)]
    ended = run_list(tmp_path, lines, "-x", 1, "--discard")
    assert ended.status == 0, ended.stderr
    times = starts(origin)
    assert len(times) == 4
    assert seconds <= times[1] - times[0] + TOLERANCE and times[1] - times[0] < seconds + 3
    # One after the other, 50 ms each and a little more.
    assert sum(times[0] < time < times[1] for time in starts(second_origin)) >= min(10, 10 * seconds)


@pytest.mark.parametrize("code", (503, 429))
def test_retry_after_pauses_the_host_alone(origin, second_origin, tmp_path, code):
    @origin.on("/busy")
    def busy(exchange):
        return Response(code, [("Retry-After", "2")]) if len(origin.requests) == 1 else Response(200, [], b"ok")

    check_pause(2, origin, second_origin, tmp_path)


def test_retry_after_may_be_a_date(origin, second_origin, tmp_path):
    @origin.on("/busy")
    def busy(exchange):
        later = formatdate(time.time() + 3, usegmt=True)  # whole seconds: 2 s at least
        return Response(503, [("Retry-After", later)]) if len(origin.requests) == 1 else Response(200, [], b"ok")

    check_pause(2, origin, second_origin, tmp_path)


def test_busy_host_without_a_word_is_paused_too(origin, second_origin, tmp_path):
    @origin.on("/busy")
    def busy(exchange):
        return Response(503) if len(origin.requests) == 1 else Response(200, [], b"ok")

    check_pause(0.5, origin, second_origin, tmp_path)


def test_server_that_is_busy_for_a_while_gives_all_files_in_the_end(origin, target):
    run_good("-m", 3, "-d", target, origin.url("/flaky/2?retry-after=0"))
    check_files(target, {"2": body_bytes(1024)})


def test_server_that_is_busy_for_ever_is_not_waited_for(origin, target):
    """Nobody wants to find in the morning that it sleeps until next year."""
    ended = run("-d", target, origin.url("/status/503?retry-after=99999999999"), origin.url("/bytes/5"))
    assert ended.status == 29
    check_files(target, {"5": body_bytes(5)})


def test_server_that_stays_busy(origin, target):
    ended = run("-m", 1, "-d", target, origin.url("/flaky/5"))
    assert ended.status == 29
    assert "busy (503)" in ended.stderr
    assert len(origin.requests) == 1
    check_files(target, {})


# Trying again.


@pytest.mark.parametrize("tries", (1, 2, 4))
def test_failures_of_the_network_are_tried_again(origin, target, tries):
    ended = run("-m", tries, "--retry-wait=0.05", "-d", target, origin.url("/short/10/5"))
    assert ended.status == 6
    assert len(origin.requests) == tries
    assert (f"({tries} tries)" in ended.stderr) == (tries > 1)


def test_no_bound_on_tries(origin, target):
    @origin.on("/late")
    def late(exchange):
        return Response(500) if len(origin.requests) < 8 else Response(200, [], b"ok")

    run_good("-m", 0, "--retry-wait=0.01", "-d", target, origin.url("/late"))
    check_files(target, {"late": b"ok"})


def test_wait_before_a_retry_doubles(origin, target):
    run("-m", 4, "--retry-wait=0.2", "-d", target, origin.url("/short/10/5"))
    first, second, third = distances(starts(origin))
    # With jitter; the nominal waits are 0.2, 0.4 and 0.8 s.
    assert 0.1 - TOLERANCE / 2 < first < 0.2 + 0.4
    assert 0.2 - TOLERANCE < second and 0.4 - TOLERANCE < third < 1.6


def test_refused_connection_is_tried_again(target):
    """A server that comes up meanwhile is found."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    origin = None

    def start():
        nonlocal origin
        time.sleep(0.3)
        origin = Origin(port=port)
        origin.__enter__()

    thread = threading.Thread(target=start)
    thread.start()
    try:
        run_good("-m", 20, "--retry-wait=0.1", "-d", target, f"http://127.0.0.1:{port}/bytes/5")
    finally:
        thread.join()
        origin.__exit__()
    check_files(target, {"5": body_bytes(5)})


# Silence.


@pytest.mark.parametrize("path", ("/stall/100000/0", "/stall/100000/5000", "/stall/5000000/3000000", "/delay/30"))
def test_server_that_falls_silent(origin, target, path):
    ended = run("-t", 1, "-m", 1, "-d", target, origin.url(path))
    assert ended.status == 2
    assert "1 s" in ended.stderr and "--timeout" in ended.stderr
    assert 1 <= ended.seconds < 4 * PATIENCE
    check_files(target, {})


def test_slow_server_is_not_a_silent_one(origin, target):
    """Bytes keep coming, but not a whole buffer within the timeout."""
    run_good("-t", 1, "-m", 1, "-d", target, origin.url("/trickle/5000/2000"))
    check_files(target, {"2000": body_bytes(5000)})


def test_fast_server_that_becomes_slow_is_not_a_silent_one(origin, target):
    body = body_bytes(2_000_000)

    @origin.on("/tired")
    def tired(exchange):
        exchange.head(200, [("Content-Length", len(body))])
        exchange.send(body[:-5])
        for byte in body[-5:]:
            exchange.sleep(0.5)
            exchange.send(bytes([byte]))

    run_good("-t", 1, "-m", 1, "-d", target, origin.url("/tired"))
    check_files(target, {"tired": body})


def test_slow_chunks_are_not_silence(origin, target):
    @origin.on("/chunks")
    def chunks(exchange):
        exchange.head(200, [("Transfer-Encoding", "chunked")])
        for byte in b"1\r\na\r\n0\r\n\r\n":
            exchange.sleep(0.2)
            exchange.send(bytes([byte]))

    run_good("-t", 1, "-m", 1, "-d", target, origin.url("/chunks"))
    check_files(target, {"chunks": b"a"})


def test_head_that_comes_slowly_is_not_silence(origin, target):
    @origin.on("/slow")
    def slow(exchange):
        for part in (b"HTTP/1.1 200 ", b"OK\r\nContent-", b"Length: 5\r", b"\n\r\nhe", b"llo"):
            exchange.sleep(0.4)
            exchange.send(part)

    run_good("-t", 1, "-m", 1, "-d", target, origin.url("/slow"))
    check_files(target, {"slow": b"hello"})


def test_host_that_does_not_answer(target):
    with FullListener() as listener:
        ended = run("--connect-timeout=1", "-m", 1, "-d", target, f"http://127.0.0.1:{listener.port}/")
    assert ended.status == 2
    assert f"127.0.0.1 port {listener.port}" in ended.stderr
    assert 1 <= ended.seconds < 4 * PATIENCE


def test_server_that_is_silent_in_the_tls_handshake(target):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = run("--connect-timeout=1", "-m", 1, "--check-certificate=false", "-d", target,
                    f"https://127.0.0.1:{listener.getsockname()[1]}/")
    assert ended.status == 2
    assert "TLS handshake" in ended.stderr
    assert 1 <= ended.seconds < 4 * PATIENCE


def test_threads_leave_no_more_connections_open_than_are_allowed(second_origin, target):
    """What one thread keeps for later goes when another needs a connection: redirects lead from many hosts to one, so
    that each thread comes to have some."""
    with contextlib.ExitStack() as stack:
        origins = [stack.enter_context(Origin()) for _ in range(6)]
        haul = stack.enter_context(Haul("-i", "-", "-x", 2, "--threads", 3, "-d", target, stdin=subprocess.PIPE))
        for number in range(96):
            place = second_origin.url("/delay/0.01" if number % 3 else f"/bytes/{number}")
            haul.feed(origins[number % 6].url(f"/redirect?to={place}&number={number}\n"))
        haul.wait_until(lambda: len(second_origin.requests) == 96, "all have been asked for", timeout=30)
        haul.wait_until(lambda: second_origin.open <= 2 and second_origin.busy == 0, "no more are open", timeout=10)
        haul.end_input()
        assert haul.finish().status == 0
    assert second_origin.connections > 2  # or nothing was tried
