# SPDX-License-Identifier: GPL-3.0-or-later
"""Being told to stop."""

import os
import pty
import re
import signal
import socket
import subprocess
import termios

import pytest

from haul import PATIENCE, FullListener, Haul, check_files, run_good
from origin import body_bytes

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", STOPS)
def test_stops_in_good_order(origin, target, number):
    with Haul("-d", target, origin.url("/bytes/5"), origin.url("/stall/1000/10"), origin.url("/delay/60")) as haul:
        haul.wait_until(lambda: len(origin.requests) == 3 and (target / "5").exists(), "all is under way")
        haul.signal(number)
        ended = haul.finish(10)
    assert ended.status == 7
    assert "stopping" in ended.lines[-2]
    assert ended.lines[-1].startswith("1 done, 2 unfinished")
    check_files(target, {"5": body_bytes(5)})


@pytest.mark.parametrize("number", STOPS)
def test_stops_while_it_waits_for_the_list(target, number):
    with Haul("-d", target, "-i", "-", stdin=subprocess.PIPE) as haul:
        haul.wait_for_handlers()
        haul.signal(number)
        ended = haul.finish(10)
    assert ended.status == 7
    assert ended.seconds < 5 * PATIENCE


def test_stops_while_it_waits_for_a_retry(origin, target):
    urls = [origin.url("/short/10/5"), origin.url("/status/503?retry-after=60")]
    with Haul("-d", target, "--retry-wait=60", *urls) as haul:
        haul.wait_until(lambda: len(origin.requests) == 2, "both have failed once")
        haul.signal(signal.SIGINT)
        ended = haul.finish(10)
    assert ended.status == 7
    check_files(target, {})


def test_stops_while_it_connects(target):
    with FullListener() as listener, Haul("-d", target, f"http://127.0.0.1:{listener.port}/") as haul:
        haul.wait_for_handlers()
        haul.signal(signal.SIGINT)
        assert haul.finish(10).status == 7
    check_files(target, {})


def test_stops_in_a_tls_handshake(target):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with Haul("-d", target, "--check-certificate=false", url) as haul:
            accepted, _ = listener.accept()
            haul.signal(signal.SIGINT)
            assert haul.finish(10).status == 7
            accepted.close()
    check_files(target, {})


def test_stops_with_a_long_list(origin, target, tmp_path):
    """What is not begun is not counted, but makes the work unfinished."""
    path = tmp_path / "list.txt"
    path.write_text("".join(origin.url(f"/delay/60?{i}\n") for i in range(20000)))
    with Haul("-d", target, "-i", path) as haul:
        haul.wait_until(lambda: origin.requests, "it has begun")
        haul.signal(signal.SIGINT)
        ended = haul.finish(10)
    assert ended.status == 7
    assert "unfinished" in ended.lines[-1]
    check_files(target, {})


def test_what_the_summary_promises_is_true(origin, target):
    """It counts the partial files that are kept, and these the same URLs take up again."""

    @origin.on("/halting")
    def halting(exchange):
        if exchange.request.header("range"):
            return origin.handlers["/bytes"](exchange)
        size = exchange.number(0)
        exchange.head(200, [("Content-Length", size), ("ETag", '"x"')])
        exchange.body(size // 2)
        exchange.sleep(3600)
        return exchange.close()

    paths = ("/bytes/5", "/delay/60", "/halting/3000000?etag=x", "/halting/4000000?etag=x")
    urls = [origin.url(path) for path in paths]
    with Haul("-d", target, *urls) as haul:
        haul.wait_until(lambda: (target / "5").exists() and
                        sum(path.stat().st_size > 0 for path in target.glob("*.haul")) == 2, "two have begun")
        haul.signal(signal.SIGINT)
        ended = haul.finish(10)
    assert ended.lines[-1].startswith("1 done, 3 unfinished")
    assert ended.lines[-1].endswith("; 2 partial files kept: the same URLs to the same place go on")
    for url in urls[2:]:
        run_good("-d", target, url)
        assert origin.requests[-1].header("range")
    check_files(target, {"5": body_bytes(5), "3000000": body_bytes(3000000), "4000000": body_bytes(4000000)})


def small_files(origin, path, count):
    long = "name-to-make-lines-longer-than-they-would-be"
    path.write_text("".join(origin.url(f"/bytes/5?{long}={i}\n") for i in range(count)))
    return path


@pytest.mark.parametrize("term", ("xterm", "dumb"))
def test_terminal_that_was_stopped(origin, tmp_path, term):
    """With ^S: the downloads go on, and so does the first ^C."""
    path = small_files(origin, tmp_path / "list.txt", 2000)
    master, slave = pty.openpty()
    with Haul("--discard", "-i", path, origin.url("/delay/60"), stdout=slave, stderr=slave,
              env={"TERM": term}) as haul:
        termios.tcflow(slave, termios.TCOOFF)
        haul.wait_until(lambda: len(origin.requests) == 2001, "all have been asked for", 60)
        haul.signal(signal.SIGINT)
        assert haul.finish(10).status == 7
    os.close(master)
    os.close(slave)


def test_terminal_that_goes_on(origin, tmp_path):
    """What was left out is counted, and what is newest is shown."""
    path = small_files(origin, tmp_path / "list.txt", 2000)
    master, slave = pty.openpty()
    with Haul("--discard", "-i", path, origin.url("/delay/60"), stdout=slave, stderr=slave,
              env={"TERM": "xterm"}) as haul:
        termios.tcflow(slave, termios.TCOOFF)
        haul.wait_until(lambda: len(origin.requests) == 2001, "all have been asked for", 60)
        origin.stopping.wait(0.5)
        termios.tcflow(slave, termios.TCOON)
        os.close(slave)
        haul.signal(signal.SIGINT)
        shown = b""
        while True:
            try:
                shown += os.read(master, 65536)
            except OSError:  # the other side is closed
                break
        assert haul.finish(10).status == 7
    os.close(master)
    left_out = re.search(rb"\.\.\. (\d+) lines left out\r\n", shown)
    assert left_out
    assert shown.count(b"/bytes/5?") + int(left_out[1]) == 2000
    assert b"stopping" in shown and b"2000 done, 1 unfinished" in shown


def test_messages_that_nobody_reads(origin, tmp_path):
    path = small_files(origin, tmp_path / "list.txt", 2000)
    with Haul("--discard", "-i", path, origin.url("/delay/60"), stderr=subprocess.PIPE) as haul:
        haul.wait_until(lambda: len(origin.requests) == 2001, "all have been asked for", 60)
        origin.stopping.wait(0.5)
        haul.signal(signal.SIGINT)
        origin.stopping.wait(0.5)
        lines = haul.process.stderr.read().decode().splitlines()
        assert haul.finish(10).status == 7
    assert len([line for line in lines if line.startswith("done: ")]) == 2000
    assert lines[-1].startswith("2000 done, 1 unfinished")


def test_listing_that_nobody_reads(origin, tmp_path):
    """It waits for its reader, but can be stopped."""
    path = small_files(origin, tmp_path / "list.txt", 2000)
    with Haul("--dry-run", "-i", path, origin.url("/delay/60"), stdout=subprocess.PIPE) as haul:
        haul.wait_until(lambda: len(origin.requests) == 2001, "all have been asked for", 60)
        haul.signal(signal.SIGINT)
        assert haul.finish(10).status == 7


def test_long_pause_is_told(origin, target):
    """Once, and only where there is nothing else to see."""
    with Haul("-d", target, origin.url("/status/503?retry-after=60"), origin.url("/bytes/5")) as haul:
        haul.wait_until(lambda: "waiting: 1 host asked for a pause\n" in haul.stderr(), "it is told", 15)
        origin.stopping.wait(6)
        haul.signal(signal.SIGINT)
        ended = haul.finish(10)
    assert ended.stderr.count("waiting:") == 1


def test_ignored_signal_stays_ignored(origin, target):
    """As nohup asks for it."""
    with Haul("-d", target, origin.url("/delay/0.5"), ignored="HUP") as haul:
        haul.wait_until(lambda: origin.requests, "it has begun")
        haul.signal(signal.SIGHUP)
        assert haul.finish(10).status == 0
    check_files(target, {"0.5": body_bytes(1024)})


def test_reader_of_standard_output_that_leaves(origin):
    with Haul("-o", "-", origin.url("/bytes/5000000"), stdout=subprocess.PIPE) as haul:
        assert haul.process.stdout.read(10) == body_bytes(10)
        haul.process.stdout.close()
        ended = haul.finish(10)
    assert ended.status == 17
    assert len(ended.lines) == 1 and "Broken pipe" in ended.stderr


def test_reader_of_standard_output_that_stops_reading(origin):
    """A write that waits for its reader must not keep haul from stopping."""
    with Haul("-o", "-", origin.url("/bytes/5000000"), stdout=subprocess.PIPE) as haul:
        assert haul.process.stdout.read(10) == body_bytes(10)
        haul.signal(signal.SIGINT)
        assert haul.finish(10).status == 7


def test_reader_of_the_listing_that_leaves(origin):
    urls = [origin.url(f"/bytes/{size}") for size in range(100)]
    with Haul("--dry-run", *urls, stdout=subprocess.PIPE) as haul:
        haul.process.stdout.close()
        ended = haul.finish(10)
    assert ended.status == 17
    assert "standard output" in ended.stderr


def test_reader_of_the_messages_that_leaves(origin, target):
    with Haul("-d", target, *(origin.url(f"/bytes/{size}") for size in range(100)), stderr=subprocess.PIPE) as haul:
        haul.process.stderr.close()
        assert haul.finish(10).status == 0
    check_files(target, {str(size): None for size in range(100)})


def test_stopped_and_continued(origin, target):
    with Haul("-d", target, origin.url("/trickle/3000/5000"), "-t", 1) as haul:
        haul.wait_until(lambda: origin.requests, "it has begun")
        haul.signal(signal.SIGSTOP)
        haul.wait_until(lambda: haul.status_field("State").startswith("T"), "it stands still")
        haul.signal(signal.SIGCONT)
        assert haul.finish(10).status == 0
    check_files(target, {"5000": body_bytes(3000)})


def test_long_stop_is_not_held_against_the_server(origin, target):
    """A computer that slept longer than the timeout goes on: what has come meanwhile counts."""
    with Haul("-d", target, origin.url("/trickle/2000/1000"), "-t", 1, "-m", 1) as haul:
        haul.wait_until(lambda: origin.requests, "it has begun")
        haul.signal(signal.SIGSTOP)
        origin.stopping.wait(1.5)
        haul.signal(signal.SIGCONT)
        assert haul.finish(10).status == 0
    check_files(target, {"1000": body_bytes(2000)})
