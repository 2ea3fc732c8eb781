# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that do what they should not, or what is seldom done; and redirects."""

import gzip
import os
import pty
import re

import pytest

from haul import THREADS, Haul, check_files, run, run_good, run_list
from origin import Origin, Response, body_bytes, head_bytes

# path -> the body that arrives
GOOD = {
    "/chunked/0": b"",
    "/chunked/1": body_bytes(1),
    "/chunked/300000": body_bytes(300000),
    "/chunked/3000?piece=1": body_bytes(3000),
    "/chunked/700000?piece=262145": body_bytes(700000),
    "/chunk-trailers": body_bytes(5000),
    "/until-close/0": b"",
    "/until-close/300000": body_bytes(300000),
    "/early-hints": body_bytes(1024),
    "/early-hints?count=16": body_bytes(1024),
    "/big-head/250000": b"ok\n",
    "/many-fields/900": b"ok\n",
    "/no-keepalive": body_bytes(1024),
    "/close-after-response": body_bytes(1024),
    "/204": b"",
    "/lf-only": b"hello",
    "/content-encoding": gzip.compress(body_bytes(10000), mtime=0),
}
# path -> exit status, tries out of 2, what is said
BAD = {
    "/short/300000/0": (6, 2, "after 0 of 300000 bytes"),
    "/short/300000/299999": (6, 2, "after 299999 of 300000 bytes"),
    "/reset/before-head": (6, 2, "Connection reset by peer"),
    "/reset/mid-head": (6, 2, "Connection reset by peer"),
    "/reset/after-head": (6, 2, "Connection reset by peer"),
    "/reset/mid-body": (6, 2, "Connection reset by peer"),
    "/garbage": (22, 1, "not HTTP/1.1"),
    "/http09": (22, 1, "not HTTP/1.1"),
    "/big-head/310000": (22, 1, "300 KiB"),
    "/many-fields/1001": (22, 1, "1000 header fields"),
    "/early-hints?count=17": (22, 1, "16 interim"),
    "/two-lengths": (22, 1, "Content-Length"),
    "/two-lengths?a=-1&b=-1": (22, 1, "Content-Length"),
    "/cl-te": (22, 1, "Content-Length"),
    "/bad-chunk": (22, 1, "chunk size"),
    "/huge-chunk-size": (22, 1, "hunk size"),
    "/nul-in-header": (22, 1, "header"),
    "/304": (22, 1, "304"),
    "/status/206": (22, 1, "nobody asked for"),
    "/status/416": (22, 1, "416"),
    "/status/500": (22, 2, "500 Internal Server Error"),
    "/status/501": (22, 1, "501"),
    "/status/403?size=1000000": (22, 1, "403 Forbidden"),
    "/redirect": (22, 1, "without saying where"),
    "/redirect?to=": (23, 1, "20 redirects"),
    "/loop": (23, 1, "20 redirects"),
    "/redirect?to=ftp://127.0.0.1/x": (23, 1, "ftp"),
    "/redirect?to=file:///etc/passwd": (23, 1, "file"),
    "/redirect?to=http://[nonsense/": (23, 1, "haul can't go"),
}


@pytest.mark.parametrize("path", GOOD)
def test_good_response(origin, target, path):
    run_good("-d", target, "-o", "it", origin.url(path))
    check_files(target, {"it": GOOD[path]})


@pytest.mark.parametrize("path", BAD)
def test_bad_response(origin, target, path):
    status, tries, said = BAD[path]
    ended = run("-m", 2, "--retry-wait=0.1", "-d", target, "-o", "it", origin.url(path))
    assert ended.status == status, ended.stderr
    assert len(ended.lines) == 1 and said in ended.stderr
    if status != 23:
        assert len(origin.requests) == tries
    check_files(target, {})


def test_body_that_is_longer_than_its_length(origin, target):
    """The rest belongs to no response: the connection must not be used again."""

    @origin.on("/long")
    def long(exchange):
        exchange.send(head_bytes(200, [("Content-Length", 5)]) + b"hello" + head_bytes(200, []) + b"forged")
        exchange.sleep(5)

    run_good("-d", target, "-j", 1, origin.url("/long"), origin.url("/bytes/3"))
    check_files(target, {"long": b"hello", "3": body_bytes(3)})
    assert [request.connection for request in origin.requests] == [1, 2]


@pytest.mark.parametrize("path", ("/status/404?size=70000", "/status/404?size=100", "/204", "/status/404?size=0"))
def test_connection_goes_on_after_a_response_without_use(origin, target, path):
    run("-d", target, "-j", 1, "-x", 1, origin.url(path), origin.url("/bytes/3"))
    assert (target / "3").read_bytes() == body_bytes(3)
    if "70000" not in path:
        assert [request.connection for request in origin.requests] == [1, 1]


def test_connection_that_closes_while_idle_costs_no_try(origin, target, tmp_path):
    lines = [origin.url(f"/close-after-response?seed={i}") for i in range(60)]
    ended = run_list(tmp_path, lines, "-d", target, "-m", 1, "-x", 4)
    assert ended.status == 0, ended.stderr
    assert len(list(target.iterdir())) == 60


def test_connection_that_is_reset_when_taken_again_costs_no_try(origin, target, tmp_path):
    """The server reads the second request of each connection, and then resets it."""

    @origin.on("/once")
    def once(exchange):
        if exchange.request.number > 1:
            exchange.reset()
        return Response(200, [], b"ok")

    ended = run_list(tmp_path, [origin.url(f"/once/{i}") for i in range(20)], "-d", target, "-m", 1, "-x", 2)
    assert ended.status == 0, ended.stderr
    assert len(list(target.iterdir())) == 20


def test_dry_run_is_not_misled_by_a_length_without_a_body(origin):
    """A response to HEAD ends with its head, whatever that says."""
    urls = [origin.url(f"/bytes/{size}") for size in (0, 5, 10**15)]
    ended = run_good("--dry-run", "-j", 1, "-x", 1, *urls)
    assert [line.split("\t")[2] for line in ended.stdout.decode().splitlines()] == ["0", "5", str(10**15)]
    assert {request.connection for request in origin.requests} == {1}


def test_body_behind_the_head_alone_that_was_asked_for(origin):
    """It is not taken for the next response."""

    @origin.on("/wrong")
    def wrong(exchange):
        exchange.send(head_bytes(200, [("Content-Length", 5)]) + b"hello")

    run_good("--dry-run", "-j", 1, "-x", 1, *(origin.url(f"/wrong/{i}") for i in range(5)))


# What a server sends is never let loose on a terminal.

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x1b[2J\x9b1m\r\b"


def hostile(origin):
    """URLs whose responses hold control characters wherever they may stand."""

    @origin.on("/reason")
    def reason(exchange):
        exchange.send(f"HTTP/1.1 404 Not {HOSTILE} Found\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))

    @origin.on("/location")
    def location(exchange):
        head = f"HTTP/1.1 302 Found\r\nLocation: ftp://{HOSTILE}/\r\nContent-Length: 0\r\n\r\n"
        exchange.send(head.encode("latin-1"))

    return [origin.url(path) for path in ("/escape", "/escape?code=404", "/reason", "/location", "/garbage",
                                          "/bytes/5?%1b[31m", "/status/404/%1b[31m%9b", "/%c2%9b31m")]


def test_control_characters_stay_out_of_what_is_said(origin, target, tmp_path):
    log = tmp_path / "log"
    urls = hostile(origin)
    ended = run("-d", target, "--log", log, *urls)  # run() itself looks at stderr
    assert len([line for line in ended.lines if line.startswith("failed:")]) >= 6
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", log.read_bytes())
    assert not re.search("[\x80-\x9f]", log.read_text())


def test_control_characters_stay_out_of_the_list_of_a_dry_run(origin):
    ended = run("--dry-run", *hostile(origin))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", ended.stdout.decode())


def test_control_characters_stay_out_of_the_display(origin, target):
    """On a terminal haul sends control characters of its own; the server's are not among them."""
    master, slave = pty.openpty()
    with Haul("-d", target, *hostile(origin), origin.url("/delay/0.3"), stdout=slave, stderr=slave,
              env={"TERM": "xterm"}) as haul:
        os.close(slave)
        shown = b""
        while True:
            try:
                shown += os.read(master, 65536)
            except OSError:  # the other side is closed
                break
        haul.finish()
    os.close(master)
    assert b"failed" in shown and b"404" in shown
    for sequence in (b"\x1b]0;", b"\x07", b"\x1b[2J", b"\xc2\x9b", b"\x9b1m", b"\b"):
        assert sequence not in shown


# Redirects.


@pytest.mark.parametrize("code", (301, 302, 303, 307, 308))
def test_redirect_is_followed(origin, target, code):
    run_good("-d", target, origin.url(f"/redirect?code={code}&to=/bytes/5"))
    check_files(target, {"redirect": body_bytes(5)})
    assert [request.path for request in origin.requests] == ["/redirect", "/bytes/5"]


@pytest.mark.parametrize("to", ("bytes/5", "./x/../bytes/5", "//127.0.0.1:{port}/bytes/5", "/bytes/5#fragment",
                                "http://127.0.0.1:{port}/bytes/5", "HTTP://127.0.0.1:{port}/bytes/5"))
def test_redirect_may_be_relative(origin, target, to):
    @origin.on("/from")
    def start(exchange):
        return Response(302, [("Location", to.format(port=origin.port))])

    run_good("-d", target, origin.url("/from"))
    check_files(target, {"from": body_bytes(5)})


def test_twenty_redirects_are_followed_and_no_more(origin, target):
    @origin.on("/hop")
    def hop(exchange):
        left = exchange.number(0)
        return Response(302, [("Location", f"/hop/{left - 1}")]) if left else Response(200, [], b"there")

    run_good("-d", target, origin.url("/hop/20"))
    check_files(target, {"20": b"there"})
    assert run("-d", target, origin.url("/hop/21")).status == 23


def test_redirects_do_not_count_as_tries(origin, target):
    run_good("-m", 1, "-d", target, origin.url("/redirect?to=/redirect%3Fto%3D/bytes/5"))
    check_files(target, {"redirect": body_bytes(5)})


def test_headers_of_the_user_are_not_sent_to_another_origin(origin, second_origin, target):
    run_good("-d", target, "--header=Authorization: secret", "--header=Cookie: secret", "--header=X-Mine: secret",
             origin.url(f"/redirect?to={second_origin.url('/bytes/5')}"))
    assert b"secret" in origin.requests[0].head
    assert b"secret" not in second_origin.requests[0].head
    assert second_origin.requests[0].header("host") == f"127.0.0.1:{second_origin.port}"


def test_login_of_the_url_is_not_sent_to_another_origin(origin, second_origin, target):
    to = second_origin.url("/bytes/5")
    run_good("-d", target, origin.url(f"/redirect?to={to}").replace("://", "://user:secret@", 1))
    assert origin.requests[0].header("authorization")
    assert second_origin.requests[0].header("authorization") is None


@pytest.mark.parametrize("absolute", (False, True))
def test_login_of_the_url_is_kept_on_the_same_origin(origin, target, absolute):
    to = origin.url("/bytes/5") if absolute else "/bytes/5"
    run_good("-d", target, origin.url(f"/redirect?to={to}").replace("://", "://user:secret@", 1))
    assert origin.requests[1].header("authorization") == origin.requests[0].header("authorization") is not None


def test_headers_of_the_user_are_sent_along_on_the_same_origin(origin, target):
    run_good("-d", target, "--header=X-Mine: 1", origin.url("/redirect?to=/bytes/5"))
    assert [request.header("x-mine") for request in origin.requests] == ["1", "1"]


def test_redirect_between_http_and_https(origin, tls_origin, target, certificates):
    run_good("-d", target, "--ca-certificate", certificates / "ca.crt",
             origin.url(f"/redirect?to={tls_origin.url('/bytes/5')}"), "-o", "a")
    run_good("-d", target, "--ca-certificate", certificates / "ca.crt", "--allow-downgrade",
             tls_origin.url(f"/redirect?to={origin.url('/bytes/6')}"), "-o", "b")
    check_files(target, {"a": body_bytes(5), "b": body_bytes(6)})
    assert [request.path for request in origin.requests] == ["/redirect", "/bytes/6"]
    assert [request.path for request in tls_origin.requests] == ["/bytes/5", "/redirect"]


def test_redirect_with_a_long_body_is_followed(origin, target):
    @origin.on("/from")
    def start(exchange):
        return Response(302, [("Location", "/bytes/5")], b"x" * 5_000_000)

    run_good("-d", target, origin.url("/from"))
    check_files(target, {"from": body_bytes(5)})


def test_redirects_wait_for_their_turn_at_the_other_host(origin, second_origin, target, tmp_path):
    """The bound on connections to a host holds for whoever comes from elsewhere."""
    lines = [origin.url(f"/redirect?to={second_origin.url('/delay/0.1')}&number={i}") for i in range(8)]
    ended = run_list(tmp_path, lines, "-d", target, "-x", 2)
    assert ended.status == 0, ended.stderr
    assert len(second_origin.requests) == 8
    if not THREADS:  # which close connections for each other, but not in each other's time
        assert second_origin.connections <= 2


def test_redirect_into_nowhere_names_the_asked_url(origin, target):
    url = origin.url("/redirect?to=http://127.0.0.1:1/")
    ended = run("-m", 1, "-d", target, url)
    assert ended.status == 6
    assert url in ended.stderr and "127.0.0.1:1" in ended.stderr


def test_ipv6(target):
    with Origin(address="::1") as origin:
        run_good("-d", target, origin.url("/bytes/5"))
        assert origin.requests[0].header("host") == f"[::1]:{origin.port}"
    check_files(target, {"5": body_bytes(5)})
