# SPDX-License-Identifier: GPL-3.0-or-later
"""What the library shows to the linker: the functions of haul.h, and nothing else."""

import re
import subprocess


def declared(root):
    code = re.sub(r"/\*.*?\*/", " ", (root / "include/haul/haul.h").read_text(), flags=re.S)
    return set(re.findall(r"^HAUL_API\s+[^;(]*?(\w+)\(", code, re.M))


def test_a_shared_library_exports_the_header(root, release_build):
    answer = subprocess.run(["nm", "-D", "--defined-only", release_build / "tests/libhaul-shared.so"], capture_output=True,
                            text=True, check=True)
    exported = {line.split()[-1].split("@")[0] for line in answer.stdout.splitlines()}
    assert exported - declared(root) == set(), "is shown, but not in haul.h"
    assert declared(root) - exported == set(), "is in haul.h, but not shown"


def test_has_no_writable_state(release_build):
    """No mutable globals: two engines on two threads have nothing in common."""
    answer = subprocess.run(["objdump", "-t", release_build / "src/libhaul.a"], capture_output=True, text=True, check=True)
    writable = [line for line in answer.stdout.splitlines()
                if re.search(r" O \.(data|bss|tdata|tbss)", line) and " .data.rel.ro" not in line]
    assert writable == []
