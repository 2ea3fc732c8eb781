# SPDX-License-Identifier: GPL-3.0-or-later
"""haul as the tests run it, and what they look at afterwards.

    ended = run("-d", target, origin.url("/bytes/5"))
    assert ended.status == 0
    check_files(target, {"5": body_bytes(5)})

    with Haul("-d", target, origin.url("/stall/10/5")) as haul:     # while it runs
        origin.wait_requests(1)
        haul.signal(signal.SIGTERM)
        ended = haul.finish()

Environment: HAUL names the binary (build/src/haul), HAUL_WRAP a command that runs it (valgrind with its options),
HAUL_RELEASE a build without sanitizers for the tests of time and memory, HAUL_LONG=1 asks for their long forms,
HAUL_THREADS gives every haul so many threads of its own.
"""

import ctypes
import fcntl
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed import tree

ROOT = Path(__file__).resolve().parents[2]
WRAP = shlex.split(os.environ.get("HAUL_WRAP", ""))
THREADS = ["--threads", os.environ["HAUL_THREADS"]] if os.environ.get("HAUL_THREADS") else []
LONG = os.environ.get("HAUL_LONG", "") not in ("", "0")


def _binary(variable, default=None):
    path = os.environ.get(variable) or default
    return os.path.abspath(path) if path else None


def is_sanitized(binary, by=("asan", "tsan")):
    with open(binary, "rb") as file:
        content = file.read()
        return any(b"__%s_init" % name.encode() in content for name in by)


BINARY = _binary("HAUL", ROOT / "build/src/haul")
RELEASE = _binary("HAUL_RELEASE")


def plain_binary():
    """A build whose time and memory mean something; skips the test where there is none."""
    if RELEASE:
        return RELEASE
    if WRAP or is_sanitized(BINARY):
        pytest.skip("sanitizers and wrappers change time and memory; HAUL_RELEASE names a binary without")
    return BINARY


# A test may be started with signals ignored (nohup, a shell's &), which a program passes on.
DEFAULT_SIGNALS = ["env", "--default-signal=INT,TERM,HUP,PIPE"]
# What would make one test depend on the environment of another's machine.
FOREIGN_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NO_COLOR", "TERM", "http_proxy", "https_proxy", "all_proxy",
                     "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "LOCALDOMAIN", "RES_OPTIONS",
                     "HOSTALIASES")
PATIENCE = 20 if WRAP else 1
BROKEN = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error|haul: bug|ERROR SUMMARY: [1-9]")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@dataclass
class Ended:
    status: int  # the exit status; -N: ended by signal N
    stdout: bytes
    stderr: str
    seconds: float

    @property
    def lines(self):
        return self.stderr.splitlines()


class Haul:
    """A running haul; a context manager that leaves none behind.

    prefix   a command to run it by, inside of HAUL_WRAP
    binary   another one than HAUL, and without HAUL_WRAP
    stdout, stderr   something else than a file that ends up in Ended
    env      variables on top of the environment
    ignored  the name of a signal that it is started with as ignored
    preload  a library for LD_PRELOAD, which prefix and HAUL_WRAP do not get to see
    """

    def __init__(self, *arguments, prefix=(), binary=None, cwd=None, stdin=subprocess.DEVNULL, stdout=None,
                 stderr=None, env=None, ignored=None, preload=None):
        command = [binary] if binary else [*WRAP, BINARY]
        ignore = [f"--ignore-signal={ignored}"] if ignored else []
        preloads = [f"LD_PRELOAD={preload}"] if preload else []
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
        environment |= {"LC_ALL": "C.UTF-8", "HOME": "/nonexistent"} | (env or {})
        self._stdout, self._stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            [*map(str, prefix), *DEFAULT_SIGNALS, *ignore, *preloads, *command, *THREADS, *map(str, arguments)],
            cwd=cwd, env=environment, stdin=stdin, stdout=self._stdout if stdout is None else stdout,
            stderr=self._stderr if stderr is None else stderr)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
        self._stdout.close()
        self._stderr.close()

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        os.kill(self.pid, number)

    def stderr(self):
        """What it has said so far."""
        return _read(self._stderr).decode()

    def feed(self, text):
        """Writes to its standard input, a pipe."""
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(f"it does not read: {self.finish()}") from None

    def end_input(self):
        self.process.stdin.close()

    def status_field(self, name):
        """A field of /proc/PID/status."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return re.search(rf"^{name}:\s*(.*)$", text, re.MULTILINE).group(1)

    def peak_kib(self):
        """The most memory that was resident so far. (getrusage() would count the parent's before the exec too.)"""
        return int(self.status_field("VmHWM").split()[0])

    def wait_until(self, condition, what, timeout=10):
        """Waits for something while it runs; fails if it ends before."""
        deadline = time.monotonic() + timeout * PATIENCE
        while not condition():
            assert self.running(), f"ended before {what}:\n{self.stderr()}"
            assert time.monotonic() < deadline, f"in vain: {what}\n{self.stderr()}"
            time.sleep(0.005)

    def wait_for_handlers(self):
        """Until a signal does not simply end it any more."""
        bit = 1 << (signal.SIGINT - 1)
        self.wait_until(lambda: int(self.status_field("SigCgt"), 16) & bit, "it handles signals")

    def running(self):
        return self.process.poll() is None

    def ends_within(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def finish(self, timeout=60, killed_by=(), or_not=False):
        """Waits for the end. killed_by: the signals one of which is expected to have ended it, or may have (or_not)."""
        self._wait(timeout * PATIENCE)
        seconds = time.monotonic() - self._started
        ended = Ended(self.process.wait(), _read(self._stdout), self.stderr(), seconds)
        assert not BROKEN.search(ended.stderr), ended.stderr
        assert not CONTROL.search(ended.stderr), f"control characters: {ended.stderr!r}"
        by_signal = -ended.status in killed_by
        assert by_signal or (ended.status >= 0 and (or_not or not killed_by)), f"not the expected end: {ended}"
        return ended


    def _wait(self, timeout):
        """As Popen.wait(), which would poll, and so measure the time badly."""
        if self.process.returncode is not None:
            return
        descriptor = os.pidfd_open(self.pid)
        try:
            ready, _, _ = select.select([descriptor], [], [], timeout)
        finally:
            os.close(descriptor)
        assert ready, f"still runs after {timeout} s:\n{self.stderr()}"


def _read(file):
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def run(*arguments, timeout=60, **options):
    with Haul(*arguments, **options) as haul:
        return haul.finish(timeout)


def run_good(*arguments, **options):
    ended = run(*arguments, **options)
    assert ended.status == 0, ended.stderr
    return ended


def run_list(directory, lines, *arguments, **options):
    """With -i: lines is a list of them."""
    path = Path(directory) / "list.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return run("-i", path, *arguments, **options)


def as_nobody(directory):
    """Options for run(), so that it is an ordinary user's. directory: a public one, for a binary within reach."""
    binary = Path(directory) / "haul"
    shutil.copy(BINARY, binary)
    binary.chmod(0o755)
    return {"prefix": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], "binary": binary}


# What is on the disk afterwards.

BLOCK_BYTES = 4096


def resumed_from(stored):
    """Where the next run asks for a file of which this one has stored so many bytes: whole blocks count, the last of
    them is compared."""
    return max(0, stored // BLOCK_BYTES * BLOCK_BYTES - BLOCK_BYTES)


def check_files(directory, expected):
    """There is nothing in the directory but expected: {relative name: bytes, or None if they don't matter}."""
    found = tree(directory)
    assert found == sorted(expected), f"{found} instead of {sorted(expected)}"
    for name, content in expected.items():
        if content is not None:
            check_content(Path(directory) / name, content)


def check_content(path, content):
    found = Path(path).read_bytes()
    if found == content:
        return
    same = next((i for i, (a, b) in enumerate(zip(found, content)) if a != b), min(len(found), len(content)))
    raise AssertionError(f"{path}: {len(found)} bytes instead of {len(content)}, the first {same} are right")


# Namespaces: a network of our own, and files of /etc that say what a test wants.


class Namespace:
    """A network and mount namespace; a context manager.

    files   {path: content} that stand in for files that exist outside
    """

    def __init__(self, directory, files):
        self._directory = Path(directory)
        self._files = files
        self._process = None

    @property
    def prefix(self):
        """Runs a command in it."""
        return ["nsenter", "-t", str(self._process.pid), "-n", "-m"]

    def __enter__(self):
        script = ["set -e", "ip link set lo up"]
        for number, (path, content) in enumerate(self._files.items()):
            source = self._directory / f"namespace-{number}"
            source.write_text(content)
            script.append(f"mount --bind {shlex.quote(str(source))} {shlex.quote(path)}")
        script += ["echo ready", "exec sleep infinity"]
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "-n", "-m", "sh", "-c", "\n".join(script)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        answer = self._process.stdout.readline()
        if answer != "ready\n":
            self._end()
            pytest.skip(f"no namespaces here: {answer.strip()}")
        return self

    def __exit__(self, *exception):
        self._end()

    def _end(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def call(self, function, *arguments, **options):
        """Calls the function on a thread in the network namespace: sockets made there stay there."""
        answer = []

        def body():
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/proc/{self._process.pid}/ns/net") as namespace:
                if libc.setns(namespace.fileno(), 0) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            answer.append(function(*arguments, **options))

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        return answer[0]


# Sockets.


class FullListener:
    """A port that answers no SYN: its queue is full. A context manager."""

    def __init__(self, address="127.0.0.1", port=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family, backlog=0)
        self.address, self.port = self._listener.getsockname()[:2]
        self._fillers = []
        for _ in range(4):
            filler = socket.socket(family)
            filler.setblocking(False)
            filler.connect_ex((self.address, self.port))
            self._fillers.append(filler)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for sock in (*self._fillers, self._listener):
            sock.close()


def has_arrived(sock):
    """Whether the peer's program, on this machine and IPv4, has read all that was sent."""
    if int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder):
        return False
    local, remote = sock.getpeername(), sock.getsockname()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == local[1] and int(fields[2].split(":")[1], 16) == remote[1]:
            return int(fields[4].split(":")[1], 16) == 0
    return True
