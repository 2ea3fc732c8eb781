# SPDX-License-Identifier: GPL-3.0-or-later
"""Many downloads in one process leave neither descriptors nor memory behind."""

import os
import subprocess

from haul import BINARY, LONG, RELEASE, Haul
from testbed import compare_files, tree

# Freed memory must not be kept for long, or nothing could be said about it.
ASAN_OPTIONS = "quarantine_size_mb=1:thread_local_quarantine_size_kb=16:malloc_context_size=4"


def descriptors(haul):
    return len(os.listdir(f"/proc/{haul.pid}/fd"))


def resident_kib(haul):
    return int(haul.status_field("VmRSS").split()[0])


def feed(haul, nginx, target, batch, size):
    """Another `size` files, by all kinds of servers; returns when haul has nothing left to do."""
    kinds = ("http", "tls13-ecdsa", "http", "tls12-rsa")
    lines = []
    for i in range(size):
        lines.append(nginx.url(kinds[i % 4], f"/many/{i % 300:03}"))
        lines.append(f"\n out={batch}-{i}\n" if i % 10 else f"\n out={batch}-{i}\n discard\n")
    before = haul.stderr().count("\n")
    haul.feed("".join(lines))
    haul.wait_until(lambda: haul.stderr().count("\n") == before + size, f"batch {batch} is done", timeout=120)


def test_descriptors_and_memory_stay_where_they_are(nginx, media, target):
    size, batches, binary = (5000, 20, RELEASE or BINARY) if LONG else (500, 6, BINARY)
    found = []
    with Haul("-i", "-", "-x", 8, "--ca-certificate", nginx.ca, "-d", target, stdin=subprocess.PIPE,
              binary=binary if binary != BINARY else None, env={"ASAN_OPTIONS": ASAN_OPTIONS}) as haul:
        for batch in range(batches):
            feed(haul, nginx, target, batch, size)
            found.append((descriptors(haul), resident_kib(haul)))
        haul.end_input()
        assert haul.finish().status == 0
    assert len(tree(target)) == batches * size * 9 // 10
    for i in range(1, size, size // 50):
        if i % 10:
            assert compare_files(media / f"many/{i % 300:03}", target / f"{batches - 1}-{i}") is None
    # The first batch opens connections and fills pools.
    settled = found[1:]
    assert max(count for count, _ in settled) <= found[0][0] + 2, found
    assert max(kib for _, kib in settled) - settled[0][1] <= 4 * 1024, found
