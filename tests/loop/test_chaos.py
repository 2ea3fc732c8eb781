# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that fail in every way at random, and processes that are stopped and killed: in the end all files are right.

Everything but the time follows from the seed. HAUL_LONG=1 tries many seeds.
"""

import random
import re
import signal

import pytest

from haul import LONG, Haul, check_content
from origin import Origin, Response, body_bytes, head_bytes
from testbed import tree

FILES = 60
SIZES = (0, 1, 1000, 65536, 200_000, 262_144, 700_000, 2_000_000)
MANNERS = ("good",) * 3 + ("chunked", "close", "reset", "short", "slow", "hints", "silent")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class Chaos:
    """An origin's /file/N, whose manners depend on the seed, the file, and how often it was asked for."""

    def __init__(self, origin, seed):
        self.origin, self.seed = origin, seed
        origin.on("/file")(self.answer)

    def size(self, number):
        return random.Random(f"{self.seed}/{number}").choice(SIZES)

    def content(self, number):
        return body_bytes(self.size(number), number)

    def answer(self, exchange):
        number = exchange.number(0)
        chance = random.Random(f"{self.seed}/{number}/{self.origin.count(exchange.request.path)}")
        size = self.size(number)
        start = self.start(exchange.request, chance)
        fields = [("ETag", f'"{number}"')]
        if start >= size > 0:
            return Response(416, [*fields, ("Content-Range", f"bytes */{size}")])
        if start:
            fields.append(("Content-Range", f"bytes {start}-{size - 1}/{size}"))
        self.misbehave(exchange, chance, 206 if start else 200, fields, self.content(number)[start:])
        return None

    @staticmethod
    def start(request, chance):
        """Where the answer begins; sometimes a server does not care for ranges."""
        match = re.fullmatch(r"bytes=(\d+)-", request.header("range", ""))
        return int(match.group(1)) if match and chance.random() < 0.8 else 0

    @staticmethod
    def misbehave(exchange, chance, status, fields, body):
        manner = chance.choice(MANNERS)
        if manner == "silent":
            exchange.close() if chance.random() < 0.5 else exchange.reset()
        if manner == "hints":
            exchange.send(head_bytes(103, [("Link", "x")]) * chance.randrange(1, 5))
        if manner == "chunked":
            exchange.head(status, [*fields, ("Transfer-Encoding", "chunked")])
            for part in pieces(body, lambda: chance.choice((100, 16384, 300_000))):
                exchange.send(b"%x\r\n%s\r\n" % (len(part), part))
            if chance.random() < 0.2:
                exchange.close()
            exchange.send(b"0\r\n\r\n")
            return
        if manner == "close":
            fields = [*fields, ("Connection", "close")]
        exchange.head(status, [*fields, ("Content-Length", len(body))])
        if manner in ("reset", "short"):
            exchange.send(body[: chance.randrange(len(body) + 1)])
            exchange.close() if manner == "short" else exchange.reset()
        for part in pieces(body, lambda: 100_000 if manner == "slow" else 1 << 20):
            exchange.send(part)
            if manner == "slow":
                exchange.sleep(0.005)
        if manner == "close":
            exchange.close()


def pieces(body, size):
    start = 0
    while start < len(body):
        end = start + size()
        yield body[start:end]
        start = end


def fetch(chaos, directory, missing, arguments, stop):
    """One run over a list of the missing files. stop: (seconds, signal) or None. Returns what is still missing."""
    path = directory.parent / "list.txt"
    path.write_text("".join(chaos.origin.url(f"/file/{number}\n  out={number}\n") for number in missing))
    with Haul("-i", path, "-d", directory, *arguments) as haul:
        if stop and not haul.ends_within(stop[0]):
            haul.signal(stop[1])
        ended = haul.finish(60, killed_by=STOPS, or_not=True)
    assert ended.status in ((0, 7, *(-number for number in STOPS)) if stop else (0,)), ended.stderr
    done = [number for number in missing if (directory / str(number)).exists()]
    for number in done:
        check_content(directory / str(number), chaos.content(number))
    return [number for number in missing if number not in done]


@pytest.mark.parametrize("seed", range(200 if LONG else 8))
def test_all_files_are_right_in_the_end(certificates, target, seed):
    chance = random.Random(seed)
    arguments = ["-m", 0, "--retry-wait=0.01", "-t", 10, "-x", chance.choice((1, 3, 6, 20)),
                 "-j", chance.choice((1, 5, 60)), "--ca-certificate", certificates / "ca.crt"]
    tls = (certificates / "ecdsa.crt", certificates / "ecdsa.key") if seed % 2 else None
    missing = list(range(FILES))
    with Origin(tls=tls) as origin:
        chaos = Chaos(origin, seed)
        for _ in range((0, 0, 3, 6)[seed % 4]):
            missing = fetch(chaos, target, missing, arguments, (chance.random() * 0.4, chance.choice(STOPS)))
        assert fetch(chaos, target, missing, arguments, None) == []
    assert tree(target) == sorted(map(str, range(FILES)))
