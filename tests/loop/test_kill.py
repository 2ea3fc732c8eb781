# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at random instants: the file is right in the end, and little of it is fetched twice.

HAUL_LONG=1 kills 200 times, with files of 256 MiB; bench/kills does that for a released build, and prints figures.
"""

import signal

import pytest

from haul import BINARY, LONG, WRAP, Haul, check_files, run_good
from kills import MIB, Kills
from origin import body_bytes
from test_segments import SIZE, Paced

WAYS = {
    "https": {"kills": 16},
    "http": {"kind": "http", "seed": 1},
    "direct": {"options": ("--direct=always",), "seed": 2},
    "threads": {"options": ("--threads=2",), "seed": 3},
    "one": {"connections": 1, "rate": 24 * MIB, "seed": 4},
    "durable": {"options": ("--durable",), "kind": "http", "seed": 5},
}


@pytest.mark.skipif(bool(WRAP), reason="it would be the wrapper that is killed")
@pytest.mark.parametrize("way", WAYS)
def test_killed_again_and_again(tmp_path, way, capsys):
    settings = {"size": 256 * MIB, "kills": 200} if LONG else {
        "size": 48 * MIB, "kills": 6, "rate": 3 * MIB, "interval": 0.3, "longest": 2.2}
    with Kills(BINARY, tmp_path, **(WAYS[way] | settings if LONG else settings | WAYS[way])) as kills:
        figures = kills.run()
    with capsys.disabled():
        print(f"\n{way}: {figures}")
    assert figures.twice_bytes <= figures.allowed_bytes, figures
    assert figures.again_bytes <= figures.allowed_bytes, figures


def killed(haul):
    haul.signal(signal.SIGKILL)
    haul.finish(killed_by=(signal.SIGKILL,))


def test_what_was_noted_is_not_fetched_again(origin, target):
    """After a few seconds nearly all is noted; the next run asks for the rest, and for no more than a block before it."""
    paced = Paced(origin, rate=MIB)
    with Haul("-s", "4", "-k", "1M", "-d", target, paced.url) as haul:
        haul.wait_until(lambda: not haul.ends_within(3), "three seconds have passed")
        killed(haul)
    before = len(origin.requests)
    paced.rate, paced.sent_bytes = 8 * MIB, 0
    run_good("-s", "4", "-k", "1M", "-d", target, paced.url)
    check_files(target, {"paced": body_bytes(SIZE)})
    assert all(request.header("range") for request in origin.requests[before:])
    assert paced.sent_bytes <= SIZE - 4 * MIB  # 4 x 1 MiB/s x 3 s, less the last second and the chunks


@pytest.mark.parametrize("change", ("etag", "length"))
def test_file_that_changed_meanwhile(origin, target, change):
    paced = Paced(origin, rate=2 * MIB)
    with Haul("-s", "4", "-k", "1M", "--auto-save-interval=0.2", "-d", target, paced.url) as haul:
        haul.wait_until(lambda: not haul.ends_within(1), "a second has passed")
        killed(haul)
    paced.etag, paced.seed, paced.rate = '"y"', 1, 64 * MIB
    if change == "length":
        paced.size += 4096
    run_good("-s", "4", "-k", "1M", "-d", target, paced.url)
    check_files(target, {"paced": paced.content})


def test_server_that_gives_another_file_the_same_etag(origin, target):
    """One block before each point of resumption is fetched again and compared."""
    paced = Paced(origin, rate=2 * MIB)
    with Haul("-s", "4", "-k", "1M", "--auto-save-interval=0.2", "-d", target, paced.url) as haul:
        haul.wait_until(lambda: not haul.ends_within(1), "a second has passed")
        killed(haul)
    paced.seed, paced.rate = 1, 64 * MIB
    run_good("-s", "4", "-k", "1M", "-d", target, paced.url)
    check_files(target, {"paced": paced.content})


def test_interval_of_zero_notes_nothing_until_the_end(origin, target):
    paced = Paced(origin, rate=2 * MIB)
    options = ("-s", "4", "-k", "1M", "--auto-save-interval=0", "-d", target, paced.url)
    with Haul(*options) as haul:
        haul.wait_until(lambda: not haul.ends_within(1.5), "it has some")
        killed(haul)
    before = len(origin.requests)
    with Haul(*options) as haul:
        haul.wait_until(lambda: not haul.ends_within(1.5), "it has some")
        assert not origin.requests[before].header("range"), "there was something to go on from"
        haul.signal(signal.SIGTERM)
        assert haul.finish().status == 7
    before, paced.rate = len(origin.requests), 64 * MIB
    run_good(*options)
    assert all(request.header("range") for request in origin.requests[before:])
    check_files(target, {"paced": paced.content})
