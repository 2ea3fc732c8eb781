# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs as people and servers write them: what arrives on the wire."""

import pytest

from haul import check_files, run, run_list
from origin import Response


@pytest.fixture
def names(origin):
    """An origin that answers everything."""
    origin.on("/")(lambda exchange: Response(200, [], b"ok"))
    return origin


def port(origin):
    return origin.url().rsplit(":", 1)[1].rstrip("/")


def is_clean(request):
    line = request.head.split(b"\r\n")[0]
    return all(0x20 <= byte < 0x7f for byte in line) and line.count(b" ") == 2


@pytest.mark.parametrize("path, arrives", (
    ("/a b?c d#e f", "/a%20b?c%20d"),
    ("/a\\b\\..\\c", "/a/c"),
    ("/a?b\\c", "/a?b\\c"),
    ("/a/./b/../../c", "/c"),
    ("/%2e%2E/a/%2e/b", "/a/b"),
    ("/../../a", "/a"),
    ("/ä?ä", "/%C3%A4?%C3%A4"),
    ("/%e4%E4%zz%", "/%e4%E4%zz%"),
    ("/a\tb\nc\r", "/abc"),
    ("/a\x01\x7f\x1b[31m?\x1b.", "/a%01%7F%1B[31m?%1B."),
    ("/\"<>^`{|}?\"<>^`{|}'", "/%22%3C%3E%5E%60%7B|%7D?%22%3C%3E^`{|}%27"),
    ("/a[1-2]{b,c}", "/a[1-2]%7Bb,c%7D"),
    ("//a//b", "//a//b"),
    ("?q", "/?q"),
    ("#f", "/"),
    ("", "/"),
    ("/a@b:c", "/a@b:c"),
    ("/%0d%0aX:%20y", "/%0d%0aX:%20y"),
))
def test_target(names, target, path, arrives):
    ended = run("--discard", names.url("").rstrip("/") + path)
    assert ended.status == 0, ended.stderr
    [request] = names.requests
    assert request.target == arrives
    assert is_clean(request)


def test_bytes_that_are_no_utf8(names, target, tmp_path):
    (tmp_path / "list").write_bytes(names.url("/").encode() + b"\xe4\xff?\x80\n")
    assert run("--discard", "-i", tmp_path / "list").status == 0
    assert names.requests[0].target == "/%E4%FF?%80"


@pytest.mark.parametrize("host, header", (
    ("127.1", "127.0.0.1"),
    ("0x7f.1", "127.0.0.1"),
    ("0177.0.0.01", "127.0.0.1"),
    ("2130706433", "127.0.0.1"),
    ("%31%32%37.0.0.1", "127.0.0.1"),
    ("127.0.0.1.", "127.0.0.1"),
    ("１２７.1", "127.0.0.1"),
    ("LOCALhost", "localhost"),
    ("local%68ost", "localhost"),
    ("BÜCHER.localhost", "xn--bcher-kva.localhost"),
    ("b%C3%BCcher。localhost", "xn--bcher-kva.localhost"),
    ("XN--Bcher-KVA.localhost", "xn--bcher-kva.localhost"),
    ("xn--ls8h.localhost", "xn--ls8h.localhost"),
))
def test_host(names, host, header):
    ended = run("--discard", f"http:\\\\{host}:{port(names)}/x")
    assert ended.status == 0, ended.stderr
    assert names.requests[0].header("host") == f"{header}:{port(names)}"
    assert names.requests[0].target == "/x"


@pytest.mark.parametrize("url, why", (
    ("http://💩.localhost/", "xn-- form"),
    ("http://xn--a.localhost/", "internationalized"),
    ("http://[fe80::1%25lo]/", "zone"),
    ("http://[::1/", "brackets"),
    ("http://a%20b/", r"\x20"),
    ("http://a%0d%0ab/", r"\x0d"),
    ("http://a℀b/", '"/"'),
    ("http://127.0.0.256/", "no IPv4"),
    ("http://1.2.3.4.5/", "no IPv4"),
    ("http://h:65536/", "port"),
))
def test_refused(url, why):
    ended = run("--discard", url)
    assert ended.status == 28 and why in ended.stderr, ended.stderr


def test_refused_without_showing_the_login():
    ended = run("--discard", "http://user:SECRET@[::1/", "ftp://user:SECRET@h/")
    assert ended.status == 28 and "SECRET" not in ended.stderr and "user" not in ended.stderr


@pytest.mark.parametrize("location, arrives", (
    (b"c", "/a/c"),
    (b"../c", "/c"),
    (b"?c", "/a/b?c"),
    (b"/c d", "/c%20d"),
    (b"\\c\\d", "/c/d"),
    (b"./c:d", "/a/c:d"),
    (b"/\xc3\xa4?\xc3\xa4", "/%C3%A4?%C3%A4"),
    (b"/\xe4\xff?\xe4", "/%E4%FF?%E4"),
    (b"/c#d", "/c"),
    (b"/%zz", "/%zz"),
    (b"/c?'\"<>", "/c?%27%22%3C%3E"),
    (b"http:c", "/a/c"),
    (b"///%HOST%/c", "/c"),
    (b"\\\\%HOST%\\c", "/c"),
    (b"http:\\\\%HOST%/c", "/c"),
    (b"http:/c", "/c"),
    (b"HTTP://u:p@%HOST%/c", "/c"),
    (b"  /c\t", "/c"),
    (b"/c\td", "/cd"),
))
def test_redirect(names, location, arrives):
    host = names.url("").split("/")[2].encode()

    @names.on("/a/b")
    def redirect(exchange):
        if exchange.request.target != "/a/b":
            return Response(200, [], b"ok")
        exchange.send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location.replace(b"%HOST%", host) +
                      b"\r\n\r\n")
        return None

    ended = run("--discard", names.url("/a/b"))
    assert ended.status == 0, ended.stderr
    assert names.requests[1].target == arrives
    assert all(is_clean(request) for request in names.requests)
    assert names.requests[1].header("host") == host.decode()


def test_redirect_to_an_internationalized_name(names):
    @names.on("/a")
    def redirect(exchange):
        exchange.send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: //b\xc3\xbccher.localhost:" +
                      port(names).encode() + b"/\xc3\xbc\r\n\r\n")

    ended = run("--discard", names.url("/a"))
    assert ended.status == 0, ended.stderr
    assert names.requests[1].header("host") == f"xn--bcher-kva.localhost:{port(names)}"
    assert names.requests[1].target == "/%C3%BC"


@pytest.mark.parametrize("location", (b"ftp://h/", b"file:///etc/passwd", b"javascript:alert(1)", b"data:,x", b"c:d",
                                      b"//b\xfccher.localhost/", b"http://", b"http://h:99999/", b"//a%0d%0ab/"))
def test_redirect_to_nowhere(origin, location):
    @origin.on("/")
    def redirect(exchange):
        exchange.send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")

    ended = run("--discard", "-t", 1, origin.url("/a"))
    assert ended.status != 0
    assert len(origin.requests) == 1


def test_list_names(names, target, tmp_path):
    """The file has the name that the URL has, whatever was sent."""
    run_list(tmp_path, [names.url("/").rstrip("/") + "/ä b%20c?x"], "-d", target)
    check_files(target, {"ä b c": b"ok"})
