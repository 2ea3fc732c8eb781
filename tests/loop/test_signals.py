# SPDX-License-Identifier: GPL-3.0-or-later
"""Being told to stop."""

import signal
import socket
import subprocess

import pytest

from haul import PATIENCE, FullListener, Haul, check_files
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


def test_what_the_summary_promises_is_true(origin, target, tmp_path):
    """Where it says that the same command goes on with the rest, that does not fetch again what is done."""
    path = tmp_path / "list.txt"
    path.write_text("".join(origin.url(f"/bytes/{i}\n") for i in range(5)) + origin.url("/delay/60\n"))
    with Haul("-d", target, "-i", path) as haul:
        haul.wait_until(lambda: (target / "4").exists() and origin.count("/delay/60"), "all but one are done")
        haul.signal(signal.SIGINT)
        ended = haul.finish(10)
    if "goes on with the rest" not in ended.stderr:
        return
    with Haul("-d", target, "-i", path) as haul:
        haul.wait_until(lambda: origin.count("/delay/60") == 2, "the rest is under way")
        haul.signal(signal.SIGINT)
        haul.finish(10)
    check_files(target, {str(i): body_bytes(i) for i in range(5)})


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
