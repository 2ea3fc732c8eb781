# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for beyond a plain GET: methods, bodies, referer, a range by hand; and what redirects make of it."""

import email.parser
import email.policy
import hashlib
import socket

import pytest

from haul import check_files, run, run_good, run_list
from origin import Origin, Response, body_bytes

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def echo(origin):
    """Answers any method with what came."""

    @origin.on("/take")
    def take(exchange):
        request = exchange.request
        text = f"{request.method} {request.header('content-type')} {request.header('content-length')}\n"
        return Response(200, [], text.encode() + request.body)

    return origin


def test_post(echo, target):
    run_good("-d", target, "--data=a=1", "--data=b=2&c", echo.url("/take"))
    check_files(target, {"take": f"POST {FORM} 9\na=1&b=2&c".encode()})


def test_data_from_files(echo, target, tmp_path):
    (tmp_path / "text").write_bytes(b"one\r\ntwo\0\n")
    run_good("-d", target, f"--data=@{tmp_path}/text", "--data=x", "-o", "joined", echo.url("/take"))
    run_good("-d", target, f"--data-binary=@{tmp_path}/text", "-o", "binary", echo.url("/take"))
    run_good("-d", target, "--data-binary=", "-o", "empty", echo.url("/take"))
    check_files(target, {"joined": f"POST {FORM} 8\nonetwo&x".encode(), "binary": f"POST {FORM} 10\none\r\ntwo\0\n".encode(),
                         "empty": f"POST {FORM} 0\n".encode()})


def test_method(echo, target):
    run_good("-d", target, "--method=PUT", "--data=x", "--header=Content-Type: text/x", "-o", "put", echo.url("/take"))
    run_good("-d", target, "--method=DELETE", "-o", "delete", echo.url("/take"))
    run_good("-d", target, "--method=POST", "-o", "post", echo.url("/take"))
    run_good("-d", target, "--method=PROPFIND", "--data=<a/>", "-o", "odd", echo.url("/take"))
    check_files(target, {"put": b"PUT text/x 1\nx", "delete": b"DELETE None None\n", "post": b"POST None 0\n",
                         "odd": f"PROPFIND {FORM} 4\n<a/>".encode()})


@pytest.mark.parametrize("tls", (False, True))
def test_long_body(origin, tls_origin, target, tmp_path, certificates, tls):
    """To a server that takes its time, longer than the timeout: what it takes in is heard as well as an answer."""
    server = tls_origin if tls else origin
    body = body_bytes(24 << 20)
    (tmp_path / "body").write_bytes(body)

    @server.on("/take")
    def take(exchange):
        return Response(200, [], hashlib.sha256(exchange.request.body).hexdigest().encode())

    # What the kernel has on its way counts as taken: let it be little.
    server.set_receive_buffer(1 << 16)
    server.slow_body_s = 6
    run_good("-d", target, "-t", 3, "--ca-certificate", certificates / "ca.crt", f"--data-binary=@{tmp_path}/body",
             server.url("/take"))
    check_files(target, {"take": hashlib.sha256(body).hexdigest().encode()})


def test_form(echo, target, tmp_path):
    content = bytes(range(256)) * 10
    (tmp_path / 'od"d').write_bytes(content)
    run_good("-d", target, "--form=name=J\u00fcrgen=x", f"--form=file=@{tmp_path}/od\"d", echo.url("/take"))
    request = echo.requests[0]
    head = f"Content-Type: {request.header('content-type')}\r\n\r\n".encode()
    parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body).get_payload()
    assert [part.get_param("name", header="content-disposition") for part in parts] == ["name", "file"]
    assert parts[0].get_payload(decode=True) == "J\u00fcrgen=x".encode()
    assert parts[1].get_param("filename", header="content-disposition") == "od%22d"
    assert parts[1].get_payload(decode=True) == content


def test_lines_of_a_list(echo, target, tmp_path):
    """have requests of their own; what they don't say, the command line says."""
    url = echo.url("/take")
    lines = [url, " out=a", url, " out=b", " data=own", url, " out=c", " method=PUT", " data-binary=put",
             url, " out=d", " form=nonsense"]
    ended = run_list(tmp_path, lines, "-d", target, "--data=all", "--referer=http://r/")
    assert ended.status == 28 and "list.txt:10" in ended.stderr and "NAME=TEXT" in ended.stderr
    check_files(target, {"a": f"POST {FORM} 3\nall".encode(), "b": f"POST {FORM} 3\nown".encode(),
                         "c": f"PUT {FORM} 3\nput".encode()})
    assert {request.header("referer") for request in echo.requests} == {"http://r/"}


@pytest.mark.parametrize("arguments, said", (
    (("--data=x", "--data-binary=y"), "one body"),
    (("--data=@/nowhere/at/all",), "No such file"),
    (("--data-binary=@/",), "Is a directory"),
    (("--form=x",), "NAME=TEXT"),
    (("--method=A B",), "not a word"),
    (("--method=CONNECT",), "for proxies"),
    (("--method=HEAD",), "--dry-run"),
    (("--range=5-4",), "0-499"),
    (("--range=-",), "0-499"),
    (("--range=-0",), "0-499"),
    (("--range=1-2,5-6",), "0-499"),
    (("--range=0-9", "--data=x"), "plain GET"),
    (("--referer=a\nb",), "control character"),
    (("--bearer=x", "--http-user=y"), "don't go together"),
    (("--http-user=a:b", "--http-passwd=c"), "holds a colon"),
    (("--dry-run", "--data=x"), "only the head"),
))
def test_what_can_not_be(origin, target, arguments, said):
    ended = run("-d", target, *arguments, origin.url("/bytes/5"))
    assert ended.status == 28 and said in ended.stderr, ended.stderr
    assert origin.requests == []


# What may be sent twice.


@pytest.mark.parametrize("method, requests", (("POST", 1), ("PATCH", 1), ("PUT", 2), ("GET", 2)))
def test_what_may_have_been_done_is_not_done_twice(origin, target, method, requests):
    ended = run("-m", 2, "--retry-wait=0.1", "-d", target, f"--method={method}", origin.url("/reset/after-head"))
    assert ended.status == 6
    assert len(origin.requests) == requests


def test_busy_server_has_not_done_it(origin, target):
    run_good("-d", target, "--data=x", origin.url("/flaky/1?retry-after=0"))
    assert [request.method for request in origin.requests] == ["POST", "POST"]


def test_server_that_can_not_be_reached_has_not_done_it(target):
    ended = run("-m", 2, "--retry-wait=0.1", "-d", target, "--data=x", "http://127.0.0.1:1/")
    assert ended.status == 6 and "2 tries" in ended.stderr, ended.stderr


def test_server_that_is_gone_has_not_done_it_the_second_time(origin, target):
    """What the first request came to says nothing of the second."""

    @origin.on("/busy")
    def busy(exchange):
        origin.on_accept = socket.socket.close
        return Response(503, [("Retry-After", "0"), ("Connection", "close")])

    ended = run("-m", 3, "--retry-wait=0.1", "-d", target, "--data=x", origin.url("/busy"))
    assert ended.status == 6 and "2 tries" in ended.stderr, "it has been sent again, and may have been done"
    origin.on_accept = None

    @origin.on("/gone")
    def gone(exchange):
        return Response(307, [("Location", "http://127.0.0.1:1/")])

    ended = run("-m", 3, "--retry-wait=0.1", "-d", target, "--data=x", origin.url("/gone"))
    assert ended.status == 6 and "3 tries" in ended.stderr, ended.stderr


@pytest.mark.parametrize("answer, requests", (("/garbage", 0), ("/status/404", 1), ("/status/503?retry-after=7200", 1)))
def test_mirror_is_not_asked_for_what_may_have_been_done(origin, second_origin, target, answer, requests):
    second_origin.on("/")(lambda exchange: Response(200, [], b"done"))
    run("-d", target, "--data=x", f"--mirror={second_origin.url('/')}", origin.url(answer))
    assert len(origin.requests) == 1 and len(second_origin.requests) == requests


def test_post_takes_a_new_connection(echo, target, tmp_path):
    lines = [line for i in range(3) for line in (echo.url("/take"), f" out={i}", " data=x")]
    assert run_list(tmp_path, lines, "-d", target, "-j", 1).status == 0
    assert echo.connections == 3


def test_post_is_neither_split_nor_resumed(origin, target):
    def broken(exchange):
        exchange.head(200, [("Content-Length", 5_000_000), ("ETag", '"x"'), ("Accept-Ranges", "bytes")])
        exchange.body(2_000_000)
        exchange.reset()

    origin.on("/post")(broken)
    ended = run("-d", target, "-s", 4, "-k", "1M", "--data=x", origin.url("/post"))
    assert ended.status == 6 and len(origin.requests) == 1
    check_files(target, {})


# Redirects.


@pytest.mark.parametrize("code, method, expected", (
    (301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (307, "POST", "POST"), (308, "POST", "POST"),
    (301, "PUT", "PUT"), (302, "DELETE", "DELETE"), (303, "PUT", "GET"), (307, "PUT", "PUT"),
))
def test_method_after_a_redirect(echo, target, code, method, expected):
    run_good("-d", target, f"--method={method}", "--data=x", echo.url(f"/redirect?code={code}&to=/take"))
    second = echo.requests[1]
    assert second.method == expected
    assert second.body == (b"" if expected == "GET" else b"x")
    assert (second.header("content-type") is None) == (expected == "GET")


@pytest.mark.parametrize("code", (303, 307))
def test_fields_of_the_body_go_with_it(echo, second_origin, target, code):
    second_origin.handlers["/take"] = echo.handlers["/take"]
    fields = ("--header=Content-Type: text/x", "--header=Content-Language: de", "--header=X-Key: secret")
    for server in (echo, second_origin):
        run_good("-d", target, "--data=x", *fields, echo.url(f"/redirect?code={code}&to={server.url('/take')}"))
        last = server.requests[-1]
        expected = ("text/x", "de", b"x") if code == 307 else (None, None, b"")
        assert (last.header("content-type"), last.header("content-language"), last.body) == expected
        assert last.header("x-key") == ("secret" if server == echo else None)


def test_content_type_without_a_body_is_the_users_own(echo, target):
    run_good("-d", target, "--header=Content-Type: text/x", echo.url("/take"))
    check_files(target, {"take": b"GET text/x None\n"})


def test_failure_behind_the_redirect_of_a_post_asks_there_again(origin, target):
    run_good("-d", target, "--data=x", "--retry-wait=0.1", origin.url("/redirect?code=303&to=/flaky/1"))
    assert [(request.method, request.path) for request in origin.requests] == \
        [("POST", "/redirect"), ("GET", "/flaky/1"), ("GET", "/flaky/1")]


def test_downgrade(origin, tls_origin, target, certificates):
    trust = ("-d", target, "--ca-certificate", certificates / "ca.crt")
    url = tls_origin.url(f"/redirect?to={origin.url('/bytes/5')}")
    ended = run(*trust, url)
    assert ended.status == 23 and "--allow-downgrade" in ended.stderr
    assert origin.requests == []
    run_good(*trust, "--allow-downgrade", url)
    check_files(target, {"redirect": body_bytes(5)})


def test_limit_of_redirects(origin, target):
    ended = run("-d", target, "--max-redirs=2", origin.url("/loop"))
    assert ended.status == 23 and "more than 2" in ended.stderr
    assert len(origin.requests) == 3
    ended = run("-d", target, "--max-redirs=0", origin.url("/redirect?to=/bytes/5"))
    assert ended.status == 23


def test_referer(origin, second_origin, target):
    run_good("-d", target, "--referer=http://user:secret@site/page#part",
             origin.url(f"/redirect?to={second_origin.url('/bytes/5')}"))
    assert [server.requests[0].header("referer") for server in (origin, second_origin)] == ["http://site/page"] * 2


def test_referer_with_tls_is_not_told_without(origin, tls_origin, target, certificates):
    run_good("-d", target, "--referer=https://site/page", "--ca-certificate", certificates / "ca.crt",
             origin.url("/bytes/5"), tls_origin.url("/bytes/6"))
    assert origin.requests[0].header("referer") is None
    assert tls_origin.requests[0].header("referer") == "https://site/page"


# A range by hand.


@pytest.mark.parametrize("asked, expected", (
    ("0-499", slice(0, 500)), ("500-", slice(500, None)), ("-500", slice(-500, None)), ("0-0", slice(0, 1)),
    ("900000-2000000", slice(900000, None)), ("-2000000", slice(None)), ("0-", slice(None)),
))
def test_range(origin, target, asked, expected):
    run_good("-d", target, f"--range={asked}", origin.url("/bytes/1000000?etag=x"))
    check_files(target, {"1000000": body_bytes(1_000_000)[expected]})
    assert len(origin.requests) == 1


def test_range_that_is_not_given(origin, target):
    ended = run("-d", target, "--range=1-2", origin.url("/bytes/100?ranges=0"))
    assert ended.status == 8 and "no parts" in ended.stderr
    ended = run("-d", target, "--range=200-", origin.url("/bytes/100"))
    assert ended.status == 22 and "no such part" in ended.stderr
    run_good("-d", target, "--range=0-", origin.url("/bytes/100?ranges=0"))
    check_files(target, {"100": body_bytes(100)})


def test_range_means_nothing_to_a_head(origin, target):
    """RFC 9110 14.2: a server passes it over."""
    for url in (origin.url("/bytes/100?ranges=0"), origin.url("/bytes/100")):
        assert run_good("-d", target, "--dry-run", "--range=1-2", url).stdout.startswith(url.encode())


@pytest.mark.parametrize("given", ("bytes 0-4/10", "bytes 1-3/10", "bytes 2-5/10", "bytes 1-4/5x", None))
def test_another_range_than_the_one_asked_for(origin, target, given):
    @origin.on("/part")
    def part(exchange):
        return Response(206, [("Content-Range", given)] if given else [], b"abcd")

    ended = run("-d", target, "--range=1-4", origin.url("/part"))
    assert ended.status == 22 and "another part" in ended.stderr
    check_files(target, {})


def test_range_has_a_partial_file_of_its_own(origin, target):
    """An interrupted download of the whole is neither continued by a part of it, nor lost."""
    stop = [True]

    @origin.on("/file")
    def file(exchange):
        if stop:
            exchange.head(200, [("Content-Length", 5_000_000), ("ETag", '"x"')])
            exchange.body(3_000_000)
            exchange.reset()
            return None
        start = exchange.request.header("range").removeprefix("bytes=").split("-")
        first, last = int(start[0]), int(start[1] or 4_999_999)
        exchange.head(206, [("Content-Range", f"bytes {first}-{last}/5000000"), ("ETag", '"x"'),
                            ("Content-Length", last + 1 - first)])
        exchange.body(last + 1, first)
        return None

    assert run("-m", 1, "-d", target, origin.url("/file")).status == 6
    stop.clear()
    run_good("-d", target, "-o", "file", "--range=10-19", origin.url("/file"))
    assert (target / "file").read_bytes() == body_bytes(20)[10:]
    (target / "file").unlink()
    run_good("-d", target, origin.url("/file"))
    check_files(target, {"file": body_bytes(5_000_000)})
    assert origin.requests[-1].header("range") not in (None, "bytes=0-")


def test_digest_of_a_part(origin, target):
    import base64

    def answer(content):
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        return [("Content-Range", "bytes 1-4/10"), ("Content-Digest", f"sha-256=:{digest}:")]

    origin.on("/good")(lambda exchange: Response(206, answer(b"abcd"), b"abcd"))
    origin.on("/bad")(lambda exchange: Response(206, answer(b"abce"), b"abcd"))
    run_good("-d", target, "--range=1-4", "--check-digest=require", origin.url("/good"))
    assert run("-d", target, "--range=1-4", origin.url("/bad")).status == 32
    assert (target / "good").read_bytes() == b"abcd"
