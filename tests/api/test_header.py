# SPDX-License-Identifier: GPL-3.0-or-later
"""haul.h is for other people's compilers, in C and in C++, with warnings that are not ours to choose."""

import re
import shutil
import subprocess

import pytest

WARNINGS = ["-Werror", "-Wall", "-Wextra", "-pedantic"]
STRICT_C = ["-Wconversion", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wshadow", "-Wundef", "-Wcast-qual"]
STRICT_CPP = ["-Wconversion", "-Wold-style-cast", "-Wshadow", "-Wundef", "-Wzero-as-null-pointer-constant"]
USE = """
#include <haul/haul.h>
int main(void)
{
    struct haul_options options;
    struct haul_request request;
    HAUL_OPTIONS_INIT(&options);
    HAUL_REQUEST_INIT(&request);
    request.sink = HAUL_SINK_MEMORY;
    return haul_status_exit(HAUL_OK);
}
"""


def check(root, compiler, *flags, language, code=USE):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    command = [compiler, *WARNINGS, *flags, "-fsyntax-only", "-x", language, "-I", root / "include", "-"]
    answer = subprocess.run(command, input=code, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("standard", ["c11", "c17", "gnu17"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compiles_as_c(root, compiler, standard):
    check(root, compiler, f"-std={standard}", *STRICT_C, language="c")


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_compiles_as_cpp(root, compiler, standard):
    check(root, compiler, f"-std={standard}", *STRICT_CPP, language="c++")


def test_needs_no_other_header_and_may_come_twice(root):
    twice = "#include <haul/haul.h>\n#include <haul/haul.h>\nint nothing;\n"
    check(root, "gcc", "-std=c11", "-nostdinc", *freestanding(), language="c", code=twice)


def freestanding():
    """The compiler's own headers and the C library's, nothing of the project but the public header."""
    answer = subprocess.run(["gcc", "-xc", "-E", "-v", "/dev/null"], capture_output=True, text=True)
    listing = answer.stderr.split("search starts here:")[-1].split("End of search")[0]
    return [flag for line in listing.split("\n") if line.startswith(" ") for flag in ("-isystem", line.strip())]


def test_declares_nothing_but_haul(root):
    """Every name that it adds to a program begins with haul_ or HAUL_."""
    text = (root / "include/haul/haul.h").read_text()
    code = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    macros = re.findall(r"^#define\s+(\w+)", code, re.M)
    declared = re.findall(r"^(?:typedef\s.*?|struct|enum)\s*(\w+)\s*[;{]", code, re.M)
    functions = re.findall(r"^HAUL_API\s+[^;(]*?(\w+)\(", code, re.M)
    assert macros and declared and functions
    foreign = [name for name in macros + declared + functions if not re.match(r"(?i)haul_", name)]
    assert foreign == []
