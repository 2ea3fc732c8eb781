# SPDX-License-Identifier: GPL-3.0-or-later
"""One file over several connections: what is asked for, how fast it is, and servers and mirrors that do not play along."""

import hashlib
import re
import time

import pytest

import testbed
from haul import PATIENCE, THREADS, Haul, check_content, check_files, plain_binary, run, run_good, run_list
from origin import Response, body_bytes
from testbed import Relay, compare_files

KIB, MIB = 1 << 10, 1 << 20
SIZE = 16 * MIB + 123
EIGHT = ("-s", "8", "-x", "8", "-k", "1M")
BLOCK = 4096
QUICKLY = ("-m", "4", "--retry-wait=0.05")
# What nginx has handed to the kernel for a connection that is closed before its end.
UNREAD = MIB


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("segments")
    testbed.make_media(root, {"file": SIZE, "other": SIZE, "three": 3 * MIB, "one": MIB, "less": MIB - 1, "empty": 0,
                              "large": 64 * MIB})
    return root


@pytest.fixture(scope="module")
def server(files):
    with testbed.Nginx(files, kinds=["http", "tls13-ecdsa"], access_log=True) as nginx:
        yield nginx


@pytest.fixture
def slow(server):
    """The same, but each connection brings 4 MiB/s."""
    with Relay(server.ports["http"], rates=[4 * MIB]) as relay:
        yield relay


@pytest.fixture
def requests(server):
    """What nginx was asked for in this test: requests(at_least)."""
    server.clear_log()
    return lambda at_least=1: settled(server, at_least)


def settled(server, at_least):
    """The log, once it does not grow any more: a request is logged when nginx notices that nobody wants its rest."""
    found = server.requests(at_least)
    while True:
        time.sleep(0.3)
        more = server.requests(at_least)
        if len(more) == len(found):
            return found
        found = more


def open_at_once(report, moment=0):
    """How many connections a relay had at the same time, at most; those in their last moment don't count."""
    changes = [(c["begin"], 1) for c in report["connections"]]
    changes += [(max(c["begin"], (c["end"] or report["now"]) - moment), -1) for c in report["connections"]]
    count = most = 0
    for _, change in sorted(changes):
        count += change
        most = max(most, count)
    return most


# What is asked for.


@pytest.mark.parametrize("kind", ("http", "tls13-ecdsa"))
def test_content_and_ranges(server, files, target, requests, kind):
    with Relay(server.ports[kind], rates=[4 * MIB], scheme="http" if kind == "http" else "https") as relay:
        run_good(*EIGHT, "--ca-certificate", server.ca, "-d", target, relay.url("/file"))
        assert open_at_once(relay.report()) == 8
    assert compare_files(files / "file", target / "file") is None
    log = requests(8)
    first, *others = sorted(log, key=lambda request: request["time"] - request["request_time"])
    assert not first["if_range"]
    for request in others:
        start, end = re.fullmatch(r"bytes=(\d+)-(\d*)", request["range"]).groups()
        assert request["status"] == 206 and request["if_range"].startswith('"')
        assert int(start) % BLOCK == 0 and int(start) < SIZE
        assert not end or int(end) == SIZE - 1 or (int(end) + 1) % BLOCK == 0
    assert sum(request["body_bytes_sent"] for request in log) <= SIZE + 8 * UNREAD


@pytest.mark.parametrize("options, expected", (
    (("-s", "8", "-k", "1M"), 8),  # -x follows, unless it is given
    (("-s", "8", "-x", "3", "-k", "1M"), 3),
    (("-s", "3", "-x", "8", "-k", "1M"), 3),
    (("-s", "8", "-x", "8"), 1),  # not worth a second one
    (("-s", "8", "-x", "8", "-k", "7M"), 2),
    (("-k", "1M"), 1),
))
def test_number_of_connections(slow, target, requests, options, expected):
    run_good(*options, "-d", target, slow.url("/file"))
    assert open_at_once(slow.report()) == expected
    log = requests(expected)
    if expected == 1:
        assert len(log) == 1 and not log[0]["range"]


def test_x_is_for_all_files_of_a_host(slow, files, target):
    run_good("-s", "4", "-x", "5", "-k", "1M", "-d", target,
             *(slow.url(f"/{name}") for name in ("file", "other", "three")))
    for name in ("file", "other", "three"):
        assert compare_files(files / name, target / name) is None
    # A connection that is cut short may be seen to end a moment after the next one has begun; and where several threads
    # share a host, one may have a connection before another has closed its own.
    assert 5 <= open_at_once(slow.report(), moment=0.05) <= 5 + bool(THREADS)


@pytest.mark.parametrize("name, most", (("three", 3), ("one", 1), ("less", 1), ("empty", 1)))
def test_small_files(slow, files, target, requests, name, most):
    """Nothing is asked for that is less than -k."""
    run_good(*EIGHT, "-d", target, slow.url(f"/{name}"))
    assert compare_files(files / name, target / name) is None
    assert open_at_once(slow.report()) <= most
    if most == 1:
        assert len(requests()) == 1


def test_fast_and_small_servers_need_no_help(server, files, target):
    """Without any limit: whatever is opened, the file is right, many times."""
    for i in range(10):
        run_good("-q", *EIGHT, "--ca-certificate", server.ca, "-d", target, "-o", str(i),
                 server.url("tls13-ecdsa" if i % 2 else "http", "/file"))
        assert compare_files(files / "file", target / str(i)) is None


@pytest.mark.parametrize("threads", (1, 2))
def test_with_threads(slow, files, target, threads):
    run_good(*EIGHT, f"--threads={threads}", "-d", target,
             *(slow.url(f"/{name}") for name in ("file", "other")))
    for name in ("file", "other"):
        assert compare_files(files / name, target / name) is None


@pytest.mark.parametrize("way", ("--direct=always", "--direct=never", "--file-allocation=none", "--file-allocation=prealloc"))
def test_ways_of_writing(slow, files, target, way):
    run_good(*EIGHT, way, "-d", target, slow.url("/file"))
    assert compare_files(files / "file", target / "file") is None


def test_outputs_that_want_their_bytes_in_order(slow, files, target, requests):
    ended = run_good(*EIGHT, "-o", "-", slow.url("/file"))
    assert ended.stdout == (files / "file").read_bytes()
    assert len(requests()) == 1


def test_discarded_files(slow):
    run_good(*EIGHT, "--discard", slow.url("/file"))
    assert slow.report()["down"] <= SIZE + 8 * UNREAD


# How fast.


def test_eight_are_as_fast_as_eight(server, files, target):
    """bench/capped does it with a larger file, and has stricter bars."""
    binary = plain_binary()
    rate, delay_ms = 5e6, 50
    with Relay(server.ports["http"], rates=[rate], delay_ms=delay_ms) as relay:
        one = run_good("-q", "-d", target, "-o", "one", relay.url("/file"), binary=binary).seconds
    with Relay(server.ports["http"], rates=[rate], delay_ms=delay_ms) as relay:
        eight = run_good("-q", *EIGHT, "-d", target, relay.url("/large"), binary=binary).seconds
        report = relay.report()
    assert compare_files(files / "large", target / "large") is None
    ratio = (64 * MIB / eight) / (SIZE / one)
    assert ratio > 6, f"{ratio:.1f} times as fast"
    ends = sorted((connection["last"] for connection in report["connections"]), reverse=True)[:8]
    assert ends[0] - ends[-1] < 0.2 * eight, ends
    assert report["down"] < 64 * MIB + 8 * MIB


def test_fast_connections_take_over_from_a_slow_one(server, files, target):
    with Relay(server.ports["http"], rates=[MIB // 2, 8 * MIB]) as relay:
        ended = run_good("-s", "4", "-k", "1M", "-d", target, relay.url("/large"))
    assert compare_files(files / "large", target / "large") is None
    assert ended.seconds < 10 * PATIENCE  # a quarter of the file takes it 32 s, and twice -k, which is its own, 4 s


def test_connection_that_becomes_slow(server, files, target):
    """It stalls for good after a megabyte; its rest is taken over long before the timeout."""
    with Relay(server.ports["http"], rates=[8 * MIB], stalls=[MIB, 0]) as relay:
        ended = run_good("-s", "4", "-k", "1M", "-t", "5", "-d", target, relay.url("/file"))
    assert compare_files(files / "file", target / "file") is None
    assert ended.seconds < 15 * PATIENCE


@pytest.mark.parametrize("split", (("-s", "1"), ("-s", "4", "-k", "1M")))
def test_slow_connection_is_replaced(server, files, target, split):
    with Relay(server.ports["http"], rates=[100 * KIB, 8 * MIB]) as relay:
        ended = run_good(*split, "--lowest-speed-limit=1M", *QUICKLY, "-d", target, relay.url("/file"))
        report = relay.report()
    assert compare_files(files / "file", target / "file") is None
    assert ended.seconds < 40  # the slow one alone would take it 160
    assert report["connections"][0]["down"] < 5 * MIB
    assert report["down"] < SIZE + 8 * MIB


def test_all_connections_are_too_slow(server, target):
    with Relay(server.ports["http"], rates=[100 * KIB]) as relay:
        ended = run("-m", "2", "--retry-wait=0.05", "--lowest-speed-limit=1M", "-d", target, relay.url("/file"))
    assert ended.status == 5
    assert "bytes per second" in ended.stderr and "--lowest-speed-limit" in ended.stderr
    left(target)


def test_fast_enough_connection_is_left_alone(server, files, target):
    with Relay(server.ports["http"], rates=[4 * MIB]) as relay:
        run_good("--lowest-speed-limit=1M", "-d", target, relay.url("/file"))
        assert len(relay.report()["connections"]) == 1
    assert compare_files(files / "file", target / "file") is None


def left(directory):
    """Removes the unfinished files, which the fixture would object to; their names."""
    found = [path for path in directory.iterdir() if path.name.endswith((".haul", ".journal"))]
    for path in found:
        path.unlink()
    return [path.name for path in found]


# Servers that do not play along.


class Paced:
    """A path /paced that brings SIZE bytes at a rate on each connection, with ranges and an ETag; manner(exchange,
    start, end) may do it its own way, and return True."""

    def __init__(self, origin, manner=lambda exchange, start, end: False, rate=4 * MIB, etag='"x"', size=SIZE):
        self.origin, self.manner, self.rate, self.etag, self.size = origin, manner, rate, etag, size
        self.seed = 0
        self.sent_bytes = 0  # of all bodies
        origin.on("/paced")(self.answer)

    @property
    def url(self):
        return self.origin.url("/paced")

    @property
    def content(self):
        return body_bytes(self.size, self.seed)

    def answer(self, exchange):
        start, end = self.range(exchange)
        if not self.manner(exchange, start, end):
            self.send(exchange, start, end)

    def range(self, exchange):
        """(start, end), or (None, None): the whole file."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.request.header("range", ""))
        condition = exchange.request.header("if-range")
        if not match or condition not in (None, self.etag):
            return None, None
        return int(match.group(1)), min(self.size, int(match.group(2)) + 1 if match.group(2) else self.size)

    def send(self, exchange, start, end, *, until=None, shift=0, total=None, etag=None):
        """start None: the whole. until: so far and no further."""
        fields = [("ETag", etag or self.etag)] if etag or self.etag else []
        if start is not None:
            total = self.size if total is None else total
            fields.append(("Content-Range", f"bytes {start + shift}-{end - 1 + shift}/{total}"))
        status, start, end = (200, 0, self.size) if start is None else (206, start, end)
        exchange.head(status, [*fields, ("Content-Length", end - start)])
        content, step = self.content, 64 * KIB
        for at in range(start, min(end, until or end), step):
            piece = content[at : min(at + step, until or end, end)]
            exchange.send(piece)
            self.sent_bytes += len(piece)
            exchange.sleep(step / self.rate)

    def get(self, target, *options):
        ended = run_good("-s", "4", "-k", "1M", *QUICKLY, *options, "-d", target, self.url)
        check_files(target, {"paced": self.content})
        return ended


def ranged(requests):
    return [request for request in requests if request.header("range")]


def test_server_that_plays_along(origin, target):
    paced = Paced(origin)
    paced.get(target)
    assert origin.busy_max == 4
    assert all(request.header("if-range") == '"x"' for request in ranged(origin.requests))


def whole(paced, exchange, start, end):
    paced.send(exchange, None, None)


def not_satisfiable(paced, exchange, start, end):
    exchange.respond(Response(416, [("Content-Range", f"bytes */{paced.size}")]))


def other_total(paced, exchange, start, end):
    paced.send(exchange, start, end, total=paced.size + 1)


def unknown_total(paced, exchange, start, end):
    paced.send(exchange, start, end, total="*")


def shifted(paced, exchange, start, end):
    paced.send(exchange, start, end - 1, shift=1)


def too_long(paced, exchange, start, end):
    paced.send(exchange, max(0, start - 1), end)


def without_range(paced, exchange, start, end):
    exchange.respond(Response(206, [("ETag", paced.etag)], paced.content[start:end]))


def several_parts(paced, exchange, start, end):
    head = f"--x\r\nContent-Range: bytes {start}-{end - 1}/{paced.size}\r\n\r\n".encode()
    exchange.respond(Response(206, [("ETag", paced.etag), ("Content-Type", "multipart/byteranges; boundary=x")],
                              head + paced.content[start:end] + b"\r\n--x--\r\n"))


def other_etag(paced, exchange, start, end):
    paced.send(exchange, start, end, etag='"y"')


def weak_etag(paced, exchange, start, end):
    paced.send(exchange, start, end, etag='W/"x"')


def forbidden(paced, exchange, start, end):
    exchange.respond(Response(403, [], b"one connection a client\n"))


def busy(paced, exchange, start, end):
    exchange.respond(Response(503, [("Retry-After", "1")], b"one connection a client\n"))


def hang_up(paced, exchange, start, end):
    exchange.close()


@pytest.mark.parametrize("manner", (whole, not_satisfiable, other_total, shifted, too_long, without_range, several_parts,
                                    other_etag, weak_etag, forbidden, busy, hang_up))
def test_server_that_has_only_whole_files(origin, target, manner):
    """Whatever it makes of ranges, the one stream that it can do brings the file."""

    def answer(exchange, start, end):
        if start is None:
            return False
        manner(paced, exchange, start, end)
        return True

    paced = Paced(origin, answer, rate=8 * MIB)
    ended = paced.get(target)
    assert len(ranged(origin.requests)) <= 12, "it goes on to ask for parts"
    assert len(origin.requests) - len(ranged(origin.requests)) <= 2
    assert ended.seconds < 10 * PATIENCE


def test_total_that_is_not_said(origin, target):
    """bytes 1-2/*: not wrong, but no proof either."""
    paced = Paced(origin, lambda exchange, start, end: start is not None and not unknown_total(paced, exchange, start, end))
    paced.get(target)


def test_range_is_honoured_once_in_a_while(origin, target):
    """Every second answer is the whole file."""

    def answer(exchange, start, end):
        if start is None or len(origin.requests) % 2:
            return False
        paced.send(exchange, None, None)
        return True

    paced = Paced(origin, answer, rate=8 * MIB)
    paced.get(target)


def test_server_of_several_machines(origin, target):
    """Every second connection sees another ETag: one of them brings the file."""

    def answer(exchange, start, end):
        paced.etag = ('"x"', '"y"')[exchange.request.connection % 2]
        paced.send(exchange, *paced.range(exchange))
        return True

    paced = Paced(origin, answer, rate=8 * MIB)
    paced.get(target)
    assert len(origin.requests) <= 4, "it began anew"


def test_complete_file_does_not_wait_for_its_parts(origin, target):
    """One part trickles; the others are not to be had, so the first connection fetches all."""

    def answer(exchange, start, end):
        if start is None:
            return False
        if len(ranged(origin.requests)) == 1:
            trickling.send(exchange, start, end)
        exchange.sleep(0.2)
        paced.send(exchange, None, None)
        return True

    trickling = Paced(origin, rate=64 * KIB)
    paced = Paced(origin, answer, rate=8 * MIB)
    assert paced.get(target).seconds < 8 * PATIENCE


@pytest.mark.parametrize("good_for", (1, 2))
def test_redirect_that_is_good_for_a_short_time(origin, second_origin, target, good_for):
    """For so many requests, as signed URLs of a CDN may be: parts are asked for there too, and then the source again."""
    def answer(exchange, start, end):
        if sum(request.target == exchange.request.target for request in second_origin.requests) > good_for:
            exchange.respond(Response(403))
            return True
        return False

    @origin.on("/led")
    def led(exchange):
        return Response(302, [("Location", f"{paced.url}?token={len(origin.requests)}")])

    paced = Paced(second_origin, answer)
    run_good("-s", "4", "-k", "1M", *QUICKLY, "-d", target, origin.url("/led"))
    check_files(target, {"led": paced.content})
    assert 2 <= len(origin.requests) <= 8


def test_further_connections_do_not_stand_for_downloads(origin, second_origin, target):
    """-j 1: while one waits for another try, the next may begin; then the first waits until that has ended."""

    def answer(exchange, start, end):
        if len(origin.requests) > 1:
            return False
        paced.send(exchange, start, end, until=MIB)
        return exchange.close()

    paced, other = Paced(origin, answer), Paced(second_origin, rate=8 * MIB)
    run_good("-j", "1", "-x", "1", "-s", "2", "-k", "1M", *QUICKLY, "-d", target, paced.url, other.url)
    check_files(target, {"paced": paced.content, "paced.1": other.content})
    assert origin.requests[1].time - second_origin.requests[0].time > 1


@pytest.mark.parametrize("etag", (None, 'W/"x"'))
def test_no_segments_without_a_strong_validator(origin, target, etag):
    paced = Paced(origin, etag=etag, rate=16 * MIB)
    paced.get(target)
    assert [request.header("range") for request in origin.requests] == [None]


@pytest.mark.parametrize("honest", (True, False))
@pytest.mark.parametrize("when", (2, 4, 6))
def test_file_that_changes_in_the_middle(origin, target, honest, when):
    """From its nth request on, it is another one, and so is its ETag; an honest server then gives it whole, another one
    goes on with parts. What is stored is one of the two, not a mixture."""

    def answer(exchange, start, end):
        if len(origin.requests) >= when and paced.etag == '"x"':
            paced.etag, paced.seed = '"y"', 1
            start, end = paced.range(exchange)
        if honest or start is None or paced.etag == '"x"':
            paced.send(exchange, start, end)
        else:
            paced.send(exchange, *asked(exchange, paced.size))
        return True

    paced = Paced(origin, answer, rate=4 * MIB)
    run_good("-s", "4", "-k", "1M", *QUICKLY, "-d", target, paced.url)
    content = (target / "paced").read_bytes()
    assert content in (body_bytes(SIZE, 0), body_bytes(SIZE, 1)), "a mixture"
    assert [path.name for path in target.iterdir()] == ["paced"]


def asked(exchange, size):
    """What the request asks for, whatever its If-Range says."""
    start, end = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.request.header("range")).groups()
    return int(start), int(end) + 1 if end else size


@pytest.mark.parametrize("end", ("close", "reset"))
def test_parts_that_break_off(origin, target, end):
    """Each connection's first answer is cut off somewhere in the middle; what has come of it is not asked for again."""
    broken = set()

    def answer(exchange, start, until):
        if exchange.request.connection in broken or len(broken) == 4:
            return False
        broken.add(exchange.request.connection)
        begin, finish = (0, SIZE) if start is None else (start, until)
        paced.send(exchange, start, until, until=begin + min(finish - begin, 3 * MIB) // 2)
        exchange.close() if end == "close" else exchange.reset()
        return True

    paced = Paced(origin, answer)
    paced.get(target)
    starts = [asked(request_of(request), SIZE)[0] for request in ranged(origin.requests)]
    assert len(starts) == len(set(starts)), f"the same is asked for twice: {sorted(starts)}"


class request_of:
    """An exchange as asked() knows it."""

    def __init__(self, request):
        self.request = request


def test_parts_that_stall(origin, target):
    stalled = []

    def answer(exchange, start, end):
        if start is None or stalled:
            return False
        stalled.append(start)
        paced.send(exchange, start, end, until=start + 100_000)
        exchange.sleep(3600)
        return True

    paced = Paced(origin, answer)
    ended = paced.get(target, "-t", "2")
    assert stalled and ended.seconds < 15 * PATIENCE


# Mirrors.


@pytest.fixture
def mirrors(server):
    """Two relays before the same server, which are two hosts."""
    with Relay(server.ports["http"], rates=[4 * MIB]) as one, Relay(server.ports["http"], rates=[4 * MIB]) as other:
        yield one, other


def nobody():
    return f"http://127.0.0.1:{testbed.free_ports(1)[0]}/file"


def checksum(path):
    return f"--checksum=sha-256={testbed.sha256(path)}"


@pytest.mark.parametrize("how", ("option", "list"))
@pytest.mark.parametrize("checked", (False, True))
def test_mirrors_that_fail_are_left_out(server, origin, files, target, tmp_path, how, checked):
    bad = [nobody(), origin.url("/missing"), origin.url("/status/500")]
    good = server.url("http", "/file")
    options = [*EIGHT, *QUICKLY, "-d", target]
    decides = [checksum(files / "file")] if checked else []
    if how == "option":
        ended = run(*options, *decides, "-o", "file", bad[0], *(f"--mirror={url}" for url in (*bad[1:], good)))
    else:
        lines = ["\t".join((*bad, good)), " out=file", *(f" {option.removeprefix('--')}" for option in decides)]
        ended = run_list(tmp_path, lines, *options)
    assert ended.status == 0, ended.stderr
    check_files(target, {"file": None})
    assert compare_files(files / "file", target / "file") is None


def test_all_mirrors_fail(origin, target):
    ended = run(*QUICKLY, "-d", target, "-o", "file", nobody(), f"--mirror={origin.url('/missing')}")
    assert ended.status in (3, 6)
    check_files(target, {})


def test_mirrors_are_used_together_where_a_checksum_decides(mirrors, files, target):
    one, other = mirrors
    run_good("-s", "4", "-k", "1M", checksum(files / "file"), "-d", target, one.url("/file"),
             f"--mirror={other.url('/file')}")
    assert compare_files(files / "file", target / "file") is None
    reports = [relay.report() for relay in mirrors]
    assert all(report["down"] > 2 * MIB for report in reports), reports
    assert sum(report["down"] for report in reports) < SIZE + 8 * MIB


def test_mirrors_are_used_one_after_the_other_without(mirrors, files, target):
    one, other = mirrors
    run_good("-s", "4", "-k", "1M", "-d", target, one.url("/file"), f"--mirror={other.url('/file')}")
    assert compare_files(files / "file", target / "file") is None
    assert sorted(report["down"] > 0 for report in (one.report(), other.report())) == [False, True]


def test_slow_mirror_does_little(server, files, target):
    with Relay(server.ports["http"], rates=[256 * KIB]) as slow, Relay(server.ports["http"], rates=[8 * MIB]) as fast:
        ended = run_good("-s", "4", "-k", "1M", checksum(files / "file"), "-d", target, slow.url("/file"),
                         f"--mirror={fast.url('/file')}")
        assert slow.report()["down"] < fast.report()["down"]
    assert compare_files(files / "file", target / "file") is None
    assert ended.seconds < 10 * PATIENCE  # the slow one alone: 16 s with 4 connections


@pytest.mark.parametrize("checked", (False, True))
def test_mirror_that_dies_in_the_middle(server, files, target, checked):
    with Relay(server.ports["http"], rates=[4 * MIB]) as dying, Relay(server.ports["http"], rates=[8 * MIB]) as other:
        options = [checksum(files / "file")] if checked else []
        with Haul("-s", "2", "-k", "1M", "-m", "8", "--retry-wait=0.05", *options, "-d", target, dying.url("/file"),
                  f"--mirror={other.url('/file')}") as haul:
            haul.wait_until(lambda: dying.report()["down"] > 4 * MIB, "it is in the middle")
            dying.process.kill()
            assert haul.finish().status == 0
        assert other.report()["down"] > MIB
    assert compare_files(files / "file", target / "file") is None


@pytest.mark.parametrize("etags", (('"x"', '"x"'), ('"x"', '"y"')))
def test_mirrors_of_different_content(origin, second_origin, target, etags):
    """The same length, the same ETag perhaps: only the checksum knows. What is wrong never gets the name."""
    one, other = Paced(origin, etag=etags[0]), Paced(second_origin, etag=etags[1])
    other.seed = 1
    ended = run("-s", "4", "-k", "1M", *QUICKLY, f"--checksum=sha-256={digest(one.content)}", "-d", target, one.url,
                f"--mirror={other.url}")
    if ended.status == 0:
        check_files(target, {"paced": one.content})
        return
    assert ended.status == 32
    assert "paced.checksum-mismatch" in ended.stderr
    check_files(target, {"paced.checksum-mismatch": None})


def test_mirror_of_another_length_is_left_out(origin, second_origin, target):
    one, other = Paced(origin), Paced(second_origin, etag='"y"', size=SIZE - 4096)
    run_good("-s", "4", "-k", "1M", *QUICKLY, f"--checksum=sha-256={digest(one.content)}", "-d", target, one.url,
             f"--mirror={other.url}")
    check_content(target / "paced", one.content)


def digest(content):
    return hashlib.sha256(content).hexdigest()
