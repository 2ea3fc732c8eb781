# SPDX-License-Identifier: GPL-3.0-or-later
"""What bench/peers measures: works, their rows (a tool and a strategy each) and the bars that haul is held to.

Pure: nothing here runs anything. A result is a dict as it stands in the JSON file, see bench/README.md.
"""

import statistics
from dataclasses import dataclass

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PEERS = ("curl", "aria2c", "wget2")
SAME = "same/"  # below it the server answers every name with one file


@dataclass(frozen=True)
class Row:
    """A tool with what makes it write as it does; the name says both."""

    tool: str  # haul, baseline, floor or one of PEERS
    strategy: str
    arguments: tuple = ()
    floor: str = ""  # the row with the least that can be done in this way
    against: str = ""  # the row that it is compared with where no peer takes part

    @property
    def name(self):
        return f"{self.tool}, {self.strategy}"

    @property
    def is_own(self):
        return self.tool in ("haul", "baseline")


@dataclass(frozen=True)
class Bar:
    """A row's metric is at most `factor` times that of `against` (a row; "": the best peer), or at most `most`."""

    row: str
    metric: str  # a key of METRICS
    factor: float = 0
    against: str = ""
    most: float = 0


@dataclass(frozen=True)
class Work:
    title: str
    kind: str  # of server: one of testbed's, or "slow"
    files: int
    file_bytes: int
    connections: int
    rows: tuple
    bars: tuple
    passes: tuple = ("cpu", "wall")  # pinned, unpinned
    same: bool = False  # all files have one content
    discard: bool = False
    synced: bool = False  # the wall time that counts includes the sync
    patience: float = 0  # a peer whose warm-up took so many times the best peer's is not run again; 0: all are
    sampled: bool = False  # memory and page cache are looked at ten times a second
    calls: bool = True  # system calls are counted
    prefix: str = "f"

    @property
    def total_bytes(self):
        return self.files * self.file_bytes

    def names(self):
        digits = len(str(self.files - 1))
        return [f"{self.prefix}{i:0{digits}}.bin" for i in range(self.files)]

    def source(self, name):
        return f"{self.prefix}.bin" if self.same else name

    def path(self, name):
        return f"/{SAME}{self.prefix}/{name}" if self.same else f"/{name}"

    @property
    def wall_metric(self):
        return "synced" if self.synced else "wall"


# metric: (words, unit, format, the pass that it is taken from)
METRICS = {
    "wall": ("wall", "s", "{:.3f}", "wall"),
    "synced": ("wall until synced", "s", "{:.3f}", "wall"),
    "cpu": ("CPU", "s", "{:.3f}", "cpu"),
    "system": ("system-wide CPU", "s", "{:.2f}", "cpu"),
    "system_synced": ("system-wide CPU until synced", "s", "{:.2f}", "cpu"),
    "memory": ("peak memory", "MiB", "{:.1f}", "wall"),
    "memory_growth": ("memory growth in the second half", "MiB", "{:.1f}", "wall"),
    "cache": ("page cache growth", "MiB", "{:.0f}", "wall"),
    "dirty": ("dirty pages at most", "MiB", "{:.0f}", "wall"),
}

CURL = Row("curl", "page cache")
ARIA2C = Row("aria2c", "page cache, no allocation")
WGET2 = Row("wget2", "page cache")
PEER_ROWS = (CURL, ARIA2C, WGET2)

RECV_WRITE = Row("floor", "recv and write, page cache", ("recv-write", "-c", "256K"))
DIRECT = Row("floor", "O_DIRECT, fallocate", ("direct", "-c", "1M"))
URING = Row("floor", "io_uring, page cache", ("uring", "-c", "1M"))
SMALL_FILES = Row("floor", "openat and write, page cache", ("files", "-c", "64K"))
RENAMED_FILES = Row("floor", "openat, write and rename, page cache", ("renamed", "-c", "64K"))
WAIT = Row("floor", "epoll, discard", ("wait", "-c", "4K"))

CACHED = Row("haul", "page cache (--direct=never)", ("--direct=never",), RECV_WRITE.name)
UNCACHED = Row("haul", "O_DIRECT (--direct=always)", ("--direct=always",), DIRECT.name)


def default_row(floor=None):
    return Row("haul", "default (--direct=auto)", (), floor.name if floor else "")


def small_files(title, kind, floor):
    own = default_row(floor)
    return Work(title, kind, 10000, 16 * KIB, 64, (own, *PEER_ROWS, *([floor, RENAMED_FILES] if floor else [])),
                (Bar(own.name, "wall", 0.8), Bar(own.name, "cpu", 0.6)), prefix="s", patience=3)


def all_works():
    """{name: Work}; the sizes of "dirty" are for the caller to fit to the machine, see dirty_work()."""
    plain, many = default_row(), default_row(DIRECT)
    many_cached = Row("haul", CACHED.strategy, CACHED.arguments, URING.name)
    wait = Row("haul", "discard", (), WAIT.name, WAIT.name)
    listed = Row("haul", "discard")
    one = Row("haul", "default (--direct=auto), --threads=1", ("--threads=1",))
    two = Row("haul", "default (--direct=auto), --threads=2", ("--threads=2",), "", one.name)
    return {
        "http": Work(
            "1 GiB over HTTP, one connection", "http", 1, GIB, 1,
            (CACHED, UNCACHED, *PEER_ROWS, RECV_WRITE, DIRECT),
            (Bar(CACHED.name, "cpu", 1.10, RECV_WRITE.name), Bar(CACHED.name, "wall", 0.75),
             Bar(UNCACHED.name, "cpu", 1.25, DIRECT.name), Bar(UNCACHED.name, "cpu", 0.5)), prefix="one"),
        "https": Work(
            "1 GiB over HTTPS (TLS 1.3), one connection", "tls13-ecdsa", 1, GIB, 1, (plain, *PEER_ROWS),
            (Bar(plain.name, "cpu", 0.70), Bar(plain.name, "wall", 1.0)), prefix="one"),
        "many": Work(
            "16 x 64 MiB over HTTP, 16 at once", "http", 16, 64 * MIB, 16,
            (many, many_cached, *PEER_ROWS, URING, DIRECT),
            (Bar(many.name, "wall", 0.75), Bar(many.name, "cpu", 0.75)), prefix="m"),
        "small": small_files("10,000 x 16 KiB over HTTP, 64 at once", "http", SMALL_FILES),
        "small-https": small_files("10,000 x 16 KiB over HTTPS (TLS 1.3), 64 at once", "tls13-ecdsa", None),
        "dirty": Work(
            "4 x dirty limit in 256 MiB files, 16 at once", "http", 1, 256 * MIB, 16,
            (plain, *PEER_ROWS), (Bar(plain.name, "synced", 0.85), Bar(plain.name, "cache", most=512)),
            passes=("wall",), same=True, synced=True, patience=2, sampled=True, calls=False, prefix="d"),
        "wait": Work(
            "10,000 URLs, answered after 3 s, all in flight", "slow", 10000, 16, 10000, (wait, WAIT),
            (Bar(wait.name, "wall", 1.05, WAIT.name, 3.4), Bar(wait.name, "memory", most=200)),
            passes=("wall",), discard=True, prefix="w"),
        "list": Work(
            "1,000,000 x 1 KiB in one list, 64 at once", "http", 1000000, KIB, 64, (listed,),
            (Bar(listed.name, "memory", most=64), Bar(listed.name, "memory_growth", most=2)),
            passes=("wall",), same=True, discard=True, sampled=True, calls=False, prefix="k"),
        "threads": Work(
            "16 x 64 MiB over HTTPS (TLS 1.3), 16 at once", "tls13-ecdsa", 16, 64 * MIB, 16, (one, two),
            (Bar(two.name, "wall", 1.03, one.name),), passes=("wall",), prefix="m"),
    }


# --- figures -------------------------------------------------------------------------------------


def median(row, metric):
    """Of a row's runs in the pass that the metric is taken from, else in the one that there is; None without any."""
    runs = row["runs"].get(METRICS[metric][3]) or next((runs for runs in row["runs"].values() if runs), [])
    values = [run[metric] for run in runs if run.get(metric) is not None]
    return statistics.median(values) if values else None


def best_peer(rows, metric):
    """(name, median) of the peer with the least, or None."""
    found = [(row["name"], median(row, metric)) for row in rows if row["tool"] in PEERS]
    return min((one for one in found if one[1] is not None), key=lambda one: one[1], default=None)


def of_name(rows, name):
    return next((row for row in rows if row["name"] == name), None)


def base_of(rows, against, metric):
    """(name, median) of what a row is held against, or None."""
    if not against:
        return best_peer(rows, metric)
    row = of_name(rows, against)
    value = row and median(row, metric)
    return (against, value) if value is not None else None


def judge(bar, rows):
    """A bar's verdict as a dict: met is None if it was not measured. CPU bars tell the system-wide ratio besides."""
    words, unit, form, _ = METRICS[bar.metric]
    row = of_name(rows, bar.row)
    value = row and median(row, bar.metric)
    base = base_of(rows, bar.against, bar.metric) if bar.factor else None
    limits, texts = [], []
    if bar.most:
        limits.append(bar.most)
        texts.append(f"{bar.most:g} {unit}")
    if bar.factor:
        texts.append(f"{bar.factor:.2f} x {bar.against or 'the best peer'}")
        if base:
            limits.append(bar.factor * base[1])
    verdict = {"row": bar.row, "metric": bar.metric, "text": f"{words} <= {' or '.join(texts)}", "value": value,
               "limit": max(limits, default=None), "base": base and base[0],
               "ratio": value / base[1] if value is not None and base and base[1] else None, "met": None}
    if value is not None and limits and (base or not bar.factor or value <= max(limits)):
        verdict["met"] = value <= max(limits)
    if bar.metric == "cpu":
        mine, theirs = row and median(row, "system_synced"), base_of(rows, bar.against, "system_synced")
        if mine is not None and theirs and theirs[1]:
            verdict["system_ratio"] = mine / theirs[1]
            verdict["system_base"] = theirs[0]
    return verdict


def compare(row, rows, wall_metric):
    """haul against the best peer, or `against` where no peer was measured, and the floor against the same:
    {"wall": {"ratio", "base", "floor"}, "cpu": ...}; what was not measured is not there, or None."""
    found = {}
    for name, metric in (("wall", wall_metric), ("cpu", "cpu")):
        mine = median(row, metric)
        floor = base_of(rows, row["floor"], metric) if row["floor"] else None
        base = best_peer(rows, metric) or (base_of(rows, row["against"], metric) if row["against"] else None)
        if mine is not None and base and base[1]:
            found[name] = {"ratio": mine / base[1], "base": base[0], "floor": floor[1] / base[1] if floor else None}
    return found
