# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/tidy sees what it is there for: one fault is planted for every check, in a small tree of its own."""

import os
import re
import shutil
import subprocess

import pytest

LICENCE = "SPDX-License-Identifier: GPL-3.0-or-later"
C = f"/* {LICENCE} */\n"
SHELL = f"#!/usr/bin/env bash\n# {LICENCE}\nset -euo pipefail\n"

GOOD = {
    "include/haul/haul.h": C + "#ifndef HAUL_HAUL_H\n#define HAUL_HAUL_H\n\n#endif\n",
    "src/meson.build": f"# {LICENCE}\nsources = files('base/one.c', 'base/two.c', 'ring/file.c')\n",
    "src/base/one.h": C + "#ifndef BASE_ONE_H\n#define BASE_ONE_H\n\nint one(int number);\n\n#endif\n",
    "src/base/one.c": C + '#include "base/one.h"\n\nint one(int number)\n{\n    return number + 1;\n}\n',
    "src/base/two.c": C + '#include "base/one.h"\n',
    "src/ring/file.c": C + "#include <liburing.h>\n",
    "tests/meson.build": f"# {LICENCE}\ntests = ['one']\n",
    "tests/unit/test_one.c": C,
    "tests/loop/help.py": f"# {LICENCE}\n",
    "tools/go": SHELL + "echo good\n",
}


def function(body):
    return C + '#include "base/one.h"\n\nint one(int number)\n{\n' + body + "    return number;\n}\n"


# check: [(file, its content, the start of the finding), ...]; the content is that of GOOD, but for this file.
BAD = {
    "includes": [
        ("src/base/two.c", C + '#include "ring/ring.h"\n', "src/base/two.c:2: src/base may not include ring/ring.h"),
        ("src/base/two.c", C + '#include "haul/haul.h"\n', "src/base/two.c:2: src/base may not include haul/haul.h"),
        ("src/base/two.c", C + "#include <liburing.h>\n", "src/base/two.c:2: <liburing.h> belongs to src/ring"),
        ("src/base/two.c", C + "#include <wolfssl/ssl.h>\n", "src/base/two.c:2: <wolfssl/ssl.h> belongs to"),
        ("src/base/two.c", C + "#include <jansson.h>\n", "src/base/two.c:2: <jansson.h>: neither"),
        ("src/base/two.c", C + '#include "base/none.h"\n', "src/base/two.c:2: base/none.h: name it"),
        ("src/odd/odd.c", C, "src/odd/odd.c:1: src/odd is no layer"),
    ],
    "system_calls": [
        ("src/base/two.c", C + "\nint f(void) { return close(1); }\n", "src/base/two.c:3: close() is for"),
        ("src/base/two.c", C + "\nlong f(void) { return time(0); }\n", "src/base/two.c:3: time() is for"),
    ],
    "library_is_a_guest": [("src/base/two.c", C + 'void f(void) { printf("x"); }\n', "src/base/two.c:2: printf() is for")],
    "forbidden_functions": [("src/base/two.c", C + "int f(void) { return atoi(0); }\n", "src/base/two.c:2: atoi(): use")],
    "function_length": [("src/base/one.c", function("    number++;\n" * 68), "src/base/one.c:5: a function of 71 lines")],
    "file_length": [("src/base/two.c", C + "/* */\n" * 800, "src/base/two.c:801: 801 lines")],
    "licence_lines": [
        ("src/base/two.c", "int two;\n", "src/base/two.c:1: no SPDX"),
        ("tests/loop/help.py", "number = 1\n", "tests/loop/help.py:1: no SPDX"),
        ("tools/go", "#!/usr/bin/env bash\n", "tools/go:1: no SPDX"),
        ("src/meson.build", "sources = []\n", "src/meson.build:1: no SPDX"),
    ],
    "include_guards": [
        ("src/base/one.h", C + "int one(int number);\n", "src/base/one.h:1: no include guard BASE_ONE_H"),
        ("src/base/one.h", C + "#ifndef ONE_H\n#define ONE_H\n#endif\n", "src/base/one.h:1: no include guard"),
    ],
    "leftovers": [("src/base/two.c", C + "/* TO" "DO: all */\n", "src/base/two.c:2: TO" "DO: do it or leave it")],
    "files_are_built": [
        ("src/base/three.c", C, "src/base/three.c:1: src/meson.build does not name it"),
        ("tests/unit/test_two.c", C, "tests/unit/test_two.c:1: tests/meson.build does not name it"),
    ],
    "python_compiles": [("tests/loop/help.py", f"# {LICENCE}\nif True\n", "tests/loop/help.py:2: ")],
    "bash_parses": [
        ("tools/go", SHELL + "if true; then\n", "tools/go:"),
        ("tools/go", SHELL.replace("set -euo pipefail\n", ""), "tools/go:1: no set -euo pipefail"),
    ],
    "layout": [("src/base/one.c", GOOD["src/base/one.c"].replace("    return", "  return"), "src/base/one.c:")],
    "headers_alone": [
        ("src/base/one.h", GOOD["src/base/one.h"].replace("int number", "size_t number"), "src/base/one.h:5: "),
    ],
    "gcc_analyzer": [
        ("src/base/two.c", C + "#include <stdlib.h>\n\nvoid f(int *number)\n{\n    free(number);\n    free(number);\n}\n",
         "src/base/two.c:7: double-"),
    ],
    "clang_tidy": [
        ("src/base/two.c", C + "int f(int number)\n{\n    if (number > 1 && number > 1)\n        return 1;\n    return 0;\n}\n",
         "src/base/two.c:4: "),
    ],
}


def plant(folder, root, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "tools/go").chmod(0o755)
    shutil.copy(root / "tools/tidy", folder / "tools/tidy")
    shutil.copy(root / ".clang-format", folder)


def tidy(folder, *checks):
    answer = subprocess.run([folder / "tools/tidy", *checks], capture_output=True, text=True, timeout=120,
                            env=dict(os.environ, LC_ALL="C.UTF-8"))
    assert answer.stderr == ""
    lines = answer.stdout.splitlines()
    assert re.fullmatch(r"tidy: \d+ checks, \d+ failed, \d+ skipped", lines[-1])
    return answer.returncode, lines[:-1]


def without_libraries(files):
    """The compiling checks shall not need liburing."""
    return files | {"src/ring/file.c": C}


def test_every_check_has_a_fault(root):
    answer = subprocess.run([root / "tools/tidy", "--list"], capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in answer.stdout.splitlines()} == set(BAD)


def test_a_good_tree_is_good(root, tmp_path):
    plant(tmp_path, root, without_libraries(GOOD))
    status, lines = tidy(tmp_path)
    assert (status, [line for line in lines if " skipped: " not in line]) == (0, [])


@pytest.mark.parametrize("check,file,content,finding", [
    pytest.param(check, *case, id=f"{check}-{number}") for check, cases in BAD.items() for number, case in enumerate(cases)
])
def test_finds(root, tmp_path, check, file, content, finding):
    plant(tmp_path, root, without_libraries(GOOD) | {file: content})
    status, lines = tidy(tmp_path, check)
    if lines and " skipped: " in lines[0]:
        pytest.skip(lines[0])
    assert status == 1
    assert len(lines) == 1 or check == "bash_parses", lines
    assert lines[0].startswith(finding), lines


def test_strings_comments_and_members_are_no_calls(root, tmp_path):
    innocent = C + 'const char *text = "close(1)"; /* read(2) */\n\nint f(struct op *op)\n{\n    return op->open(op);\n}\n'
    plant(tmp_path, root, GOOD | {"src/base/two.c": innocent})
    assert tidy(tmp_path, "system_calls") == (0, [])


def test_goes_on_after_a_check_that_breaks(root, tmp_path):
    plant(tmp_path, root, GOOD)
    (tmp_path / "src/base/two.c").write_bytes(b"\xff\xfe")
    status, lines = tidy(tmp_path, "leftovers", "files_are_built")
    assert status == 1
    assert len(lines) == 1 and "leftovers could not be made" in lines[0]


def test_unknown_check(root):
    answer = subprocess.run([root / "tools/tidy", "colours"], capture_output=True, text=True)
    assert answer.returncode == 2 and "no such check: colours" in answer.stderr
