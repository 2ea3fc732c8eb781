# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program and tells what it cost: wall time, its own CPU time, the machine's, memory, page cache, system calls."""

import ctypes
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

RUN_SECONDS_MAX = 900
SAMPLE_SECONDS = 0.1
SERIES_MAX = 100
PR_SET_CHILD_SUBREAPER = 36
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
LIBC = ctypes.CDLL(None, use_errno=True)


class Trouble(Exception):
    """A run that counts for nothing; code is the program's exit status, if it ended."""

    def __init__(self, words, code=None):
        super().__init__(words)
        self.code = code


def be_ready():
    """Once for the process that measures.

    It becomes the parent of its orphaned grandchildren, see Launched, and gives all tools as many descriptors as it
    may itself."""
    import resource

    if LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    def on_alarm(number, frame):
        raise Trouble(f"no end after {RUN_SECONDS_MAX} s")

    signal.signal(signal.SIGALRM, on_alarm)


# --- the machine ---------------------------------------------------------------------------------


def memory_info():
    """/proc/meminfo in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in lines)}


def dirty_limit():
    """How many bytes may wait for the disk before writers are held up."""
    vm = Path("/proc/sys/vm")
    fixed = int((vm / "dirty_bytes").read_text())
    if fixed:
        return fixed
    info = memory_info()
    room = info["MemFree"] + info["Active(file)"] + info["Inactive(file)"]
    return room * int((vm / "dirty_ratio").read_text()) // 100


class DirtyLimit:
    """Another limit of dirty pages for the time of a run; needs root."""

    def __init__(self, limit_bytes):
        self.limit_bytes = limit_bytes

    def __enter__(self):
        vm = Path("/proc/sys/vm")
        self.before = {name: (vm / name).read_text() for name in ("dirty_bytes", "dirty_ratio")}
        if self.limit_bytes:
            (vm / "dirty_bytes").write_text(str(self.limit_bytes))

    def __exit__(self, *exception):
        if self.limit_bytes:  # to write one of the two sets the other to 0
            name = "dirty_bytes" if int(self.before["dirty_bytes"]) else "dirty_ratio"
            (Path("/proc/sys/vm") / name).write_text(self.before[name])


def family(pid):
    """A process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *map(int, children)]


def pin(pids, cores):
    for pid in pids:
        os.sched_setaffinity(pid, cores)


def sync_file_system(directory):
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if LIBC.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(descriptor)


class Clock:
    """CPU seconds so far: the machine's, less the servers' and our own."""

    def __init__(self, servers):
        fields = Path("/proc/stat").read_text().split(maxsplit=9)[1:8]
        user, nice, system, _, _, interrupts, soft = map(int, fields)
        self.servers = sum(map(ticks_of, servers)) / TICK
        self.others = (user + nice + system + interrupts + soft) / TICK - self.servers - time.process_time()


def ticks_of(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


class Sampler(threading.Thread):
    """Looks at the page cache and at a process's memory ten times a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.ended = threading.Event()
        self.memory = []
        self.cache = []
        self.dirty = []

    def run(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            self.look()

    def look(self):
        info = memory_info()
        self.cache.append(info["Cached"] + info["Buffers"])
        self.dirty.append(info["Dirty"] + info["Writeback"])
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return
        if pages:  # 0: it has ended and is not yet waited for
            self.memory.append(pages * PAGE)

    def end(self):
        self.ended.set()
        self.join()

    def figures(self, cache_before):
        mib = 1 << 20
        half = len(self.memory) // 2
        step = len(self.memory) // SERIES_MAX + 1
        return {
            "cache": (max(self.cache, default=cache_before) - cache_before) / mib,
            "dirty": max(self.dirty, default=0) / mib,
            "memory_growth": max(0, max(self.memory[half:]) - max(self.memory[:half])) / mib if half else None,
            "memory_series": [round(size / mib, 1) for size in self.memory[::step]],
        }


# --- a run ---------------------------------------------------------------------------------------


def run(command, environment, *, servers, cores, out, sampled):
    """Runs a command to its end and syncs the file system of `out`; returns the figures as a dict, times in seconds, sizes
    in MiB.

    servers  processes whose CPU time is not the tool's
    cores    where the command may run
    sampled  look at its memory and the page cache meanwhile"""
    with tempfile.TemporaryFile() as said:  # a pipe that nobody reads would stop a talkative tool
        info = memory_info()
        launched = Launched(command, environment, said, cores)
        pid, sampler = launched.pid, Sampler(launched.pid)
        before, start = Clock(servers), time.monotonic()
        launched.start()
        signal.setitimer(signal.ITIMER_REAL, RUN_SECONDS_MAX)
        try:
            if sampled:
                sampler.start()
            _, status, usage = os.wait4(pid, 0)
            wall = time.monotonic() - start
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if sampled:
                sampler.end()
        after = Clock(servers)
        sync_file_system(out)
        synced, after_sync = time.monotonic() - start, Clock(servers)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            raise Trouble(f"ended with {code}: {words_of(said)}", code)
    return {
        "wall": wall,
        "synced": synced,
        "cpu": usage.ru_utime + usage.ru_stime,
        "system": after.others - before.others,
        "system_synced": after_sync.others - before.others,
        "server": after.servers - before.servers,
        "memory": usage.ru_maxrss / 1024,
        **(sampler.figures(info["Cached"] + info["Buffers"]) if sampled else {}),
    }


def words_of(said):
    said.seek(0)
    return " ".join(said.read(2000).decode(errors="replace").split())[:500]


# Waits for a line, for the command must not end before its parent, the shell, does.
STARTER = 'exec 3<&0; { read -r go <&3; exec "$@" 3<&-; } >&2 & echo $!'


class Launched:
    """A command that is ready to start, as an orphan that comes to us; pid is its process id.

    A program's peak memory counts what its process held before exec, so that a child of Python looks as big as Python.
    A small shell starts it and exits."""

    def __init__(self, command, environment, output, cores):
        mine = os.sched_getaffinity(0)
        reading, self.line = os.pipe()
        os.sched_setaffinity(0, cores)  # inherited
        try:
            shell = subprocess.run(["/bin/sh", "-c", STARTER, "sh", *map(str, command)], env=environment,
                                   stdin=reading, stdout=subprocess.PIPE, stderr=output, check=True)
        finally:
            os.sched_setaffinity(0, mine)
            os.close(reading)
        self.pid = int(shell.stdout)

    def start(self):
        os.write(self.line, b"\n")
        os.close(self.line)


def count_calls(command, environment):
    """Runs a command under strace; returns {system call: how often}. What io_uring does is not seen."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "calls"
        ended = subprocess.run(["strace", "-f", "-c", "-U", "calls,name", "-qq", "-o", report, *map(str, command)], env=environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               timeout=RUN_SECONDS_MAX)
        if ended.returncode != 0:
            raise Trouble(f"ended with {ended.returncode} under strace: {ended.stderr.decode(errors='replace')[-300:]}",
                          ended.returncode)
        return parse_calls(report.read_text())


def parse_calls(report):
    """strace's summary: a count and a name a line, in the end the total."""
    found = re.findall(r"^ *(\d+) +(\w+)$", report, re.M)
    return {name: int(count) for count, name in found if name != "total"}
