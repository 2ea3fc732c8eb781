# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems that forbid io_uring. Run as a program it is the wrapper that forbids it: test_uring.py ERRNO COMMAND..."""

import ctypes
import errno
import os
import struct
import sys

import pytest

from haul import THREADS, as_nobody, check_files, run, run_good
from origin import body_bytes

IO_URING_SETUP = 425  # on every architecture
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF: word at an offset; with a constant; a constant
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000


def forbid(number, error):
    """From now on, and in what is executed, the system call fails with the error."""
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in (
        (LOAD, 0, 0, 0),  # seccomp_data.nr
        (JUMP_IF_EQUAL, 0, 1, number),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | error),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    ))
    instructions = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header):
        raise OSError(ctypes.get_errno(), "prctl")


def forbidden(error):
    return [sys.executable, __file__, str(error)]


@pytest.mark.parametrize("error, said", ((errno.EPERM, "forbidden"), (errno.ENOSYS, "no io_uring")))
def test_forbidden_io_uring_is_said_plainly(origin, target, error, said):
    ended = run("-d", target, origin.url("/bytes/5"), prefix=forbidden(error))
    assert ended.status == 1
    assert len(ended.lines) == 1
    assert said in ended.stderr and "io_uring" in ended.stderr and "seccomp" in ended.stderr
    assert origin.requests == []
    check_files(target, {})


@pytest.mark.parametrize("option", ("--help", "--version"))
def test_help_needs_no_io_uring(option):
    run_good(option, prefix=forbidden(errno.EPERM))


@pytest.mark.skipif(THREADS != [], reason="each thread has a ring, and they need more")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_little_locked_memory_is_enough(origin, public_directory):
    """The limit of older systems; root has none."""
    user = as_nobody(public_directory)
    user["prefix"] += ["prlimit", "--memlock=65536"]
    run_good("-d", public_directory / "new", origin.url("/bytes/300000"), **user)
    check_files(public_directory / "new", {"300000": body_bytes(300000)})


if __name__ == "__main__":
    forbid(IO_URING_SETUP, int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
