# SPDX-License-Identifier: GPL-3.0-or-later
"""No option without its place in the README, nor without a test that runs haul with it."""

import re
from pathlib import Path

import pytest

from haul import ROOT, run

HERE = Path(__file__)
OPTION = re.compile(r"^  (?:-(\w), |    )--([\w-]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def options():
    """[(letter or "", name)]"""
    found = OPTION.findall(run("--help").stdout.decode())
    assert len(found) > 80
    return found


def missing(options, text, *forms):
    """Those that occur in none of their forms; {} is the name."""
    return [name for letter, name in options
            if not any(re.search(form.format(re.escape(name)) + r"(?![\w-])", text) for form in forms)
            and not (letter and re.search(rf"(?<![\w-])-{letter}\b", text))]


def test_every_option_stands_in_the_readme(options):
    assert missing(options, (ROOT / "README.md").read_text(), "--{}") == []


def test_readme_names_no_other_option(options):
    names = {name for _, name in options} | {"update", "help"}
    text = (ROOT / "README.md").read_text()
    ours = "\n".join(line for line in text.splitlines() if line.startswith(("| `-", "    haul ")))
    assert [name for name in re.findall(r"(?<![\w-])--([\w-]+)", ours) if name not in names] == []


def test_every_option_is_tried(options):
    tests = "\n".join(path.read_text() for path in HERE.parent.glob("test_*.py") if path != HERE)
    assert missing(options, tests, "--{}", r'["\s\\n ]{}=') == []
