# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests here need a build: HAUL names the command in it, HAUL_RELEASE the one in a build without sanitizers."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "loop"))


def build_folder(variable):
    command = os.environ.get(variable)
    return Path(command).resolve().parents[1] if command else None


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def build():
    """The build folder; meson.build of tests/ says what is in it."""
    return build_folder("HAUL") or ROOT / "build"


@pytest.fixture(scope="session")
def release_build():
    """One without sanitizers, which add symbols of their own."""
    return build_folder("HAUL_RELEASE") or build_folder("HAUL") or ROOT / "build"
