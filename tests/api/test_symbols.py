# SPDX-License-Identifier: GPL-3.0-or-later
"""What the library shows to the linker: the functions of haul.h, and nothing else."""

import re
import subprocess


def names(library, *options):
    answer = subprocess.run(["nm", *options, library], capture_output=True, text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in answer.stdout.splitlines() if line}


def declared(root):
    code = re.sub(r"/\*.*?\*/", " ", (root / "include/haul/haul.h").read_text(), flags=re.S)
    return set(re.findall(r"^HAUL_API\s+[^;(]*?(\w+)\(", code, re.M))


def test_a_shared_library_exports_the_header(root, release_build):
    exported = names(release_build / "tests/libhaul-shared.so", "-D", "--defined-only")
    assert exported == declared(root)


def test_has_no_writable_state(release_build):
    """No mutable globals: two engines on two threads have nothing in common."""
    answer = subprocess.run(["nm", "-A", release_build / "src/libhaul.a"], capture_output=True, text=True, check=True)
    writable = [line for line in answer.stdout.splitlines() if re.search(r" [BbDdCGgSs] ", line)]
    writable = [line for line in writable if not re.search(r" d .*\.(ro|rel\.ro)", line)]
    assert writable == []
