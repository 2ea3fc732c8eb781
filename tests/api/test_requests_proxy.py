# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy of one request, which goes before the engine's; the library itself reads no environment."""

import os
import subprocess

import pytest

from origin import Origin
from proxies import ScriptedProxy


@pytest.fixture(params=(0, 2))
def fetch(request, build, tmp_path):
    def fetch_all(engine_proxy, *pairs):
        environment = dict(os.environ, all_proxy="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")
        ended = subprocess.run([build / "tests/proxy", tmp_path, str(request.param), engine_proxy, *pairs],
                               env=environment, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0 and "Sanitizer" not in ended.stderr, ended.stderr
        assert "secret" not in ended.stdout
        return ended.stdout.splitlines()

    return fetch_all


def test_requests_proxy(fetch):
    with Origin() as origin, ScriptedProxy() as one, ScriptedProxy(login="user:secret") as other:
        url = origin.url("/bytes/1")
        lines = fetch(one.url(), url, "-", url, other.url("socks5h", "user:secret"), url, "", url, "-",
                      url, other.url(login="user:secret"), url, other.url(), url, "socks5://127.0.0.1:x")
        assert lines[:5] == ["done: "] * 5
        assert lines[5] == f"failed: the proxy {other.url()} asks for a login (407)"
        assert lines[6].startswith("refused: the proxy \"socks5://127.0.0.1:x\" can't be used")
        assert len(lines) == 7
    assert one.kinds() == ["http"] * 2 and one.connections == 1
    assert [(asked.kind, asked.login) for asked in other.asked] == [
        ("socks5", "user:secret"), ("http", "user:secret"), ("http", None)]
    assert len(origin.requests) == 5


def test_requests_proxy_is_for_all_its_urls(fetch):
    """no_proxy is the engine's."""
    with Origin(address="127.0.0.2") as origin, ScriptedProxy() as proxy:
        url = origin.url("/bytes/1")
        assert fetch(proxy.url(), url, "-", url, proxy.url()) == ["done: "] * 2
    assert proxy.kinds() == ["http"]


def test_no_environment(fetch):
    with Origin() as origin:
        assert fetch("-", origin.url("/bytes/1"), "-") == ["done: "]


def test_bad_proxy_of_the_engine(fetch):
    line, = fetch("https://user:secret@127.0.0.1:1")
    assert line.startswith("no engine: the proxy \"") and "TLS" in line
