# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the end-to-end tests: servers that live as long as the session, a target directory for each test."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

import testbed
from haul import BINARY, RELEASE
from origin import Origin

SIZES = (0, 1, 16383, 16384, 16385, 65535, 65536, 65537, 262143, 262144, 262145, 5_000_000)
MANY = 320
HOSTS = ("127.0.0.1", "127.0.0.2", "localhost", "::1")


def pytest_configure(config):
    for binary in filter(None, (BINARY, RELEASE)):
        if not os.access(binary, os.X_OK):
            raise pytest.UsageError(f"{binary} is not there to be tested: build it, or name another in HAUL")


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    """What nginx serves: size/N, and many/NNN of 0 to 40 KB."""
    root = tmp_path_factory.mktemp("media")
    spec = {f"size/{size}": size for size in SIZES}
    spec |= {f"many/{i:03}": i * 7919 % 40000 for i in range(MANY)}
    spec |= {"index.html": 100, "folder/index.html": 200, "with space ä%.bin": 300, "n" * 255: 400}
    testbed.make_media(root, spec)
    with open(root / "huge", "wb") as file:
        file.truncate(256 << 20)  # takes no room
    return root


@pytest.fixture(scope="session")
def nginx(media):
    """Good servers: plain HTTP, and TLS 1.2 and 1.3 with either kind of key, on every host of HOSTS."""
    kinds = [kind for kind in testbed.KINDS if not kind.startswith("cert:")]
    with testbed.Nginx(media, kinds=kinds, addresses=("127.0.0.1", "127.0.0.2", "::1"), access_log=True) as server:
        yield server


@pytest.fixture(scope="session")
def bad_nginx(media):
    """A TLS server for each certificate of tools/gencert, good ones and bad ones."""
    kinds = [kind for kind in testbed.KINDS if kind.startswith("cert:")]
    with testbed.Nginx(media, kinds=kinds, addresses=("127.0.0.1",)) as server:
        yield server


@pytest.fixture(scope="session")
def certificates():
    return testbed.shared_certificates()


@pytest.fixture
def origin():
    with Origin() as server:
        yield server


@pytest.fixture
def second_origin():
    with Origin() as server:
        yield server


@pytest.fixture
def tls_origin(certificates):
    with Origin(tls=(certificates / "ecdsa.crt", certificates / "ecdsa.key")) as server:
        yield server


@pytest.fixture
def target(tmp_path):
    """Where downloads go; whatever the test is about, it must not leave a temporary file there."""
    directory = tmp_path / "target"
    directory.mkdir()
    yield directory
    left = [name for name in testbed.tree(directory) if name.endswith((".haul", ".journal"))]
    assert not left, f"left behind: {left}"


@pytest.fixture
def public_directory():
    """A directory that another user reaches and may write to."""
    with tempfile.TemporaryDirectory(prefix="haul-public-") as path:
        os.chmod(path, 0o777)
        yield Path(path)


@pytest.fixture(scope="session")
def slowserver():
    """Starts slowservers: slowserver(delay_ms) -> port."""
    binary = testbed.c_program("slowserver")
    processes = []

    def start(delay_ms):
        process = subprocess.Popen([binary, "0", str(delay_ms)], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return int(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
