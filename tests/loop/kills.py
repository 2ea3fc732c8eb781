# SPDX-License-Identifier: GPL-3.0-or-later
"""haul, killed with SIGKILL at random instants, again and again; for test_kill.py, and for bench/kills, which does it longer.

    with Kills(binary, directory, size=256 << 20, kills=200) as kills:
        figures = kills.run()

A file is fetched over HTTPS through a relay that holds each connection to a rate; whenever the process is killed, the
next one goes on with the same file, and when it is complete and right, the next file begins. The relay counts what came:
what it brought beyond one copy of each file was brought again.
"""

import dataclasses
import random
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import testbed

MIB = 1 << 20
CHUNK_BYTES = MIB
NAME = "killed.bin"
# Of a run that was killed, what it had not yet taken from its sockets, on each connection.
SOCKET_BYTES = 128 << 10
# TLS: 22 bytes for each record of 16 KiB or less, and a handshake with the certificates.
RECORD_SHARE = 0.003
HANDSHAKE_BYTES = 8192


class Wrong(Exception):
    """What must never be."""


@dataclasses.dataclass
class Figures:
    """Of one file, or of all."""

    kills: int = 0
    runs: int = 0
    files: int = 0
    expected_bytes: int = 0  # the files, once each
    received_bytes: int = 0  # of bodies, as the relay counts
    sent_bytes: int = 0  # as nginx's log has it; it hands more to the kernel than what arrives
    again_bytes: int = 0  # as haul counts
    allowed_bytes: int = 0  # to come again

    @property
    def twice_bytes(self):
        return max(0, self.received_bytes - self.expected_bytes)

    def add(self, other):
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def __str__(self):
        per_kill = max(1, self.kills)
        return (f"{self.kills} kills, {self.runs} runs, {self.files} files of {self.expected_bytes / MIB:.0f} MiB in all; "
                f"twice: {self.twice_bytes / MIB:.1f} MiB through the relay, {self.twice_bytes / per_kill / MIB:.2f} per kill "
                f"(allowed {self.allowed_bytes / per_kill / MIB:.2f}); haul counts {self.again_bytes / MIB:.1f} MiB; "
                f"nginx sent {self.sent_bytes / MIB:.1f} MiB")


class Kills:
    """A context manager.

    binary       haul
    directory    for files and logs
    size         of a file
    kills        so many
    rate         bytes per second on each connection
    connections  -s and -x
    interval     --auto-save-interval, seconds
    longest      seconds that a run may have before it is killed
    options      more of haul's
    """

    def __init__(self, binary, directory, *, size, kills, rate=4 * MIB, connections=8, interval=1.0, longest=2.5, seed=0,
                 kind="tls13-ecdsa", options=()):
        self.binary, self.directory = binary, Path(directory)
        self.size, self.kills, self.rate, self.connections = size, kills, rate, connections
        self.interval, self.longest, self.kind, self.options = interval, longest, kind, options
        self.chance = random.Random(seed)
        self.target, self.media = self.directory / "killed", self.directory / "media"
        self.nginx = self.relay = self.digest = None

    def __enter__(self):
        self.target.mkdir()
        (source,) = testbed.make_media(self.media, {NAME: self.size})
        self.digest = testbed.sha256(source)
        self.nginx = testbed.Nginx(self.media, kinds=[self.kind], access_log=True).__enter__()
        scheme = "http" if self.kind == "http" else "https"
        self.relay = testbed.Relay(self.nginx.ports[self.kind], rates=[self.rate], scheme=scheme).__enter__()
        return self

    def __exit__(self, *exception):
        self.relay.__exit__()
        self.nginx.__exit__()

    def run(self, tell=lambda figures: None):
        """Kills as often as it was asked for, finishes the last file, and returns the sum; tell(figures of one file)."""
        total = Figures()
        while total.kills < self.kills:
            figures = self._file(self.kills - total.kills)
            total.add(figures)
            tell(figures)
        return total

    def _file(self, kills_left):
        figures = Figures(files=1, expected_bytes=self.size)
        before = self.relay.report()
        self.nginx.clear_log()
        while not self._once(figures, kills_left - figures.kills):
            figures.kills += 1
        self._count(figures, before, self.relay.report())
        self._check()
        return figures

    def _once(self, figures, kills_left):
        """Whether it came to its end."""
        figures.runs += 1
        command = [self.binary, "-q", "-s", self.connections, "-x", self.connections, "-k", "1M", "-d", self.target,
                   f"--auto-save-interval={self.interval}", "--ca-certificate", self.nginx.ca,
                   "-l", self.directory / "log", "--log-level=info", *self.options, self.relay.url(f"/{NAME}")]
        with tempfile.TemporaryFile() as stderr, \
                subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stderr=stderr) as process:
            try:
                # Some die young: the journal is just being made, or read.
                longest = 0.2 if self.chance.random() < 0.2 else self.longest
                process.wait(self.chance.random() * longest if kills_left > 0 else 60 + self.size / self.rate)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            stderr.seek(0)
            said = stderr.read().decode()
        figures.again_bytes += self._again()
        if process.returncode == -signal.SIGKILL and kills_left > 0:
            return self._published()
        if process.returncode != 0 or said:
            raise Wrong(f"exit status {process.returncode}: {said}")
        return True

    def _published(self):
        """Whether it was killed at its very end, when the file had its name; only the journal may be left then."""
        if not (self.target / NAME).exists():
            return False
        for journal in self.target.glob("*.journal"):
            journal.unlink()
        return True

    def _again(self):
        """What the run's log says that it received once more."""
        log = self.directory / "log"
        found = re.findall(r", (\d+) received twice", log.read_text()) if log.exists() else []
        log.unlink(missing_ok=True)
        return sum(map(int, found))

    def _count(self, figures, before, after):
        opened = len(after["connections"]) - len(before["connections"])
        received = after["down"] - before["down"]
        if self.kind != "http":
            received = int((received - opened * HANDSHAKE_BYTES) / (1 + RECORD_SHARE))
        figures.received_bytes = received
        figures.sent_bytes = sum(request["body_bytes_sent"] for request in self.nginx.requests(figures.runs))
        interval_bytes = int(self.interval * self.rate * self.connections)
        figures.allowed_bytes = figures.kills * (
            self.connections * (2 * CHUNK_BYTES + SOCKET_BYTES) + interval_bytes)

    def _check(self):
        found = testbed.tree(self.target)
        if found != [NAME]:
            raise Wrong(f"in the end there are {found}")
        if testbed.sha256(self.target / NAME) != self.digest:
            raise Wrong(f"a wrong file: {testbed.compare_files(self.media / NAME, self.target / NAME)}")
        (self.target / NAME).unlink()
