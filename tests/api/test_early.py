# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine may be destroyed at any moment, whatever its requests are at; what they had learned by then is saved."""

import subprocess

import testbed
from origin import Origin, Response
from proxies import ScriptedProxy
from test_login import Digest


def test_early(build, tmp_path):
    certificates = testbed.shared_certificates()
    with (Origin() as origin, Origin(tls=(certificates / "ecdsa.crt", certificates / "ecdsa.key")) as tls_origin,
          ScriptedProxy(login="user:pass") as proxy):
        for server in (origin, tls_origin):
            Digest(server, uses=2)

            @server.on("/go")
            def go(exchange):
                return Response(307, [("Location", tls_origin.url("/digest/9")), ("Set-Cookie", "a=1")])

        ended = subprocess.run([build / "tests/early", tmp_path, tmp_path / "cookies", proxy.url(login="user:pass"),
                                origin.url("/go"), tls_origin.url("/digest/8"), tls_origin.url("/go"),
                                origin.url("/stall/100/50"), origin.url("/bytes/5")],
                               capture_output=True, text=True, timeout=100)
        assert ended.returncode == 0 and not ended.stderr, ended.stderr
        assert "\ta\t1\n" in (tmp_path / "cookies").read_text()
