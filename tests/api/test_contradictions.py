# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of a request that contradict each other, or are empty: refused, or read in the one way that does no harm."""

import os
import subprocess

from origin import Origin, Response


def test_contradictions(build):
    with Origin() as origin:
        @origin.on("/take")
        def take(exchange):
            return Response(200, [], exchange.request.body)

        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        ended = subprocess.run([build / "tests/contradictions", origin.url("/take")], env=environment,
                               capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0 and "Sanitizer" not in ended.stderr, ended.stderr
        assert "secret" not in ended.stdout
        assert dict(line.split(": ", 1) for line in ended.stdout.splitlines()) == {
            "length without data": "done", "data without length": "done", "type without data": "done",
            "empty method": "refused: the method is not a word such as GET or POST",
            "empty range": "refused: a range looks like 0-499, 500- or -500, counted in bytes from 0; the last one is "
                           "the last 500",
            "password without user": "done", "user without password": "done",
            "colon in user": "refused: the user name holds a colon, which no HTTP login can carry",
            "empty login": "done", "empty bearer": "done", "empty rest": "done"}
        assert [(request.method, request.header("content-length")) for request in origin.requests[:3]] == [
            ("POST", "0"), ("POST", "0"), ("GET", None)]
        assert [request.header("authorization") for request in origin.requests[3:]] == [
            None, "Basic dXNlcjo=", None, None, None]
        assert origin.requests[-1].header("user-agent") is None
