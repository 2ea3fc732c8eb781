# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that mean harm: each of their tricks, and what exactly becomes of it.

What they can do                          where it is tried
----------------------------------------  -----------------------------------------------------------------------------
heads: slow, silent, endless, huge        HEADS, test_floods_cost_no_memory
bodies: a byte at a time, endless, cut    BODIES, test_endless_body_costs_no_memory; test_http.py: short, longer, resets
lengths: none, two, odd, huge             LENGTHS
chunks: sizes, ends, extensions, trailers CHUNKS, test_floods_cost_no_memory
interim responses, statuses, versions     STATUSES
bytes that no head has: CR, LF, NUL, ESC  BYTES, test_escapes_reach_nobody
redirects: everywhere but to http(s)      REDIRECTS
parts: of another range, size, version    test_part_that_is_another_than_asked_for; test_segments.py
names: out of the directory, too long     test_names_stay_in_the_directory, test_names_of_the_server_...
cookies in floods, logins never right     test_flood_of_cookies, test_server_that_is_never_content_with_a_login
TLS: alerts, garbage, ends at every step  test_meddling_with_tls; test_tls.py: certificates, versions
chains of a hundred certificates          test_chain_of_a_hundred_certificates
bombs, packed bodies that are none        test_codings.py
from https to http                        test_requests.py
proxies, and what they answer             test_proxy.py
everything at once                        test_nobody_else_is_disturbed (in one thread, and with two more)

`exact` rows: path, exit status, requests (of two tries), what is said, and the file's content (None: there is none).
"""

import os
import re
import signal
import ssl
import subprocess
import threading

import pytest

from haul import Haul, check_files, plain_binary, run, run_good, run_list
from hostile import LIE_BYTES, Meddler, alert, corrupt, location_path, raw_path
from origin import Origin, Response, body_bytes
from testbed import tree

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

HEADS = {
    "byte by byte": ("/head/slow/3", 0, 1, "", b"hello"),
    "silent": ("/head/silent", 2, 2, "no answer within 1 s", None),
    "endless line": ("/head/endless-line", 22, 1, "more than 300 KiB of header fields", None),
    "endless fields": ("/head/endless-fields", 22, 1, "more than 1000 header fields", None),
    "endless interim": ("/head/endless-interim", 22, 1, "more than 16 interim responses", None),
    "line of 1 MiB": ("/big-head/1048576", 22, 1, "more than 300 KiB of header fields", None),
    "100000 fields": ("/many-fields/100000", 22, 1, "more than 1000 header fields", None),
    "none": (raw_path(b""), 6, 2, "closed the connection without an answer", None),
    "nothing but line ends": (raw_path(b"\r\n" * 1000), 6, 2, "closed the connection without an answer", None),
    "reset before it": ("/reset/before-head", 6, 2, "Connection reset by peer", None),
    "reset within": ("/reset/mid-head", 6, 2, "Connection reset by peer", None),
}
BODIES = {
    "byte by byte": ("/body/bytewise/3000", 0, 1, "", body_bytes(3000)),
    "half, still listening": ("/body/half-closed", 6, 2, "after 5000 of 10000 bytes", None),
    "too short": ("/short/3000/1000", 6, 2, "after 1000 of 3000 bytes", None),
    "too long": (raw_path(OK + HELLO + b"!!!"), 0, 1, "", b"hello"),
    "of another response": (raw_path(OK + HELLO + OK + HELLO), 0, 1, "", b"hello"),
    "silent": ("/stall/3000/1000", 2, 2, "nothing came for 1 s", None),
    "reset before it": ("/reset/after-head", 6, 2, "Connection reset by peer", None),
    "reset within": ("/reset/mid-body", 6, 2, "Connection reset by peer", None),
}


def length(value):
    return raw_path(OK + b"Content-Length:" + value + b"\r\n\r\nhello")


LENGTHS = {
    "two": ("/two-lengths", 22, 1, "Content-Length", None),
    "two that agree": ("/two-lengths?a=6&b=6", 22, 1, "Duplicate Content-Length", None),
    "list": (length(b" 5, 5"), 22, 1, "Content-Length", None),
    "negative": (length(b" -5"), 22, 1, "Content-Length", None),
    "plus": (length(b" +5"), 22, 1, "Content-Length", None),
    "hexadecimal": (length(b" 0x5"), 22, 1, "Content-Length", None),
    "empty": (length(b""), 22, 1, "Content-Length", None),
    "2^63-1": (length(b" 9223372036854775807"), 17, 1, "can't get the room", None),
    "2^63": (length(b" 9223372036854775808"), 22, 1, "beyond that of any file", None),
    "2^64-1": (length(b" 18446744073709551615"), 22, 1, "beyond that of any file", None),
    "2^64": (length(b" 18446744073709551616"), 22, 1, "Content-Length", None),
    "with chunks": ("/cl-te", 22, 1, "Content-Length", None),
    "with chunks before": (raw_path(CHUNKED[:-2] + HELLO), 22, 1, "Content-Length", None),
    "gzip, chunked": (raw_path(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n"), 22, 1, "Transfer-Encoding", None),
    "identity": (raw_path(OK + b"Transfer-Encoding: identity\r\n\r\nhello"), 22, 1, "Transfer-Encoding", None),
    "chunked twice": (raw_path(OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n"), 22, 1,
                      "Transfer-Encoding", None),
    "of a 204": (raw_path(b"HTTP/1.1 204 No Content\r\n" + HELLO), 0, 1, "", b""),
}


def first_chunk(size, rest=b"\r\nhello\r\n0\r\n\r\n"):
    return raw_path(CHUNKED + size + rest)


CHUNKS = {
    "of one byte": ("/chunks/tiny/3000", 0, 1, "", body_bytes(3000)),
    "cut": ("/chunks/cut", 6, 2, "ended within the body, after 5 bytes", None),
    "without the last": (first_chunk(b"5", b"\r\nhello\r\n"), 6, 2, "ended within the body, after 5 bytes", None),
    "endless extension": ("/chunks/endless-extension", 22, 1, "more than 300 KiB between two chunks", None),
    "endless size": ("/chunks/endless-size", 22, 1, "more than 300 KiB between two chunks", None),
    "endless trailer": ("/chunks/endless-trailer", 22, 1, "more than 1000 header fields", None),
    "trailer": (first_chunk(b"5", b"\r\nhello\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\n\r\n"), 0, 1, "",
                b"hello"),
    "NUL in the trailer": (first_chunk(b"5", b"\r\nhello\r\n0\r\nX: \0\r\n\r\n"), 22, 1, "header value", None),
    "negative": (first_chunk(b"-5"), 22, 1, "chunk size", None),
    "plus": (first_chunk(b"+5"), 22, 1, "chunk size", None),
    "0x": (first_chunk(b"0x5"), 22, 1, "chunk size", None),
    "blank before": (first_chunk(b" 5"), 22, 1, "chunk size", None),
    "blank behind": (first_chunk(b"5 "), 22, 1, "chunk size", None),
    "empty": (first_chunk(b""), 22, 1, "chunk size", None),
    "NUL": (first_chunk(b"5\0"), 22, 1, "chunk size", None),
    "no number": ("/bad-chunk", 22, 1, "chunk size", None),
    "2^64-1": (first_chunk(b"f" * 16), 6, 2, "ended within the body", None),
    "2^64": (first_chunk(b"1" + b"0" * 16), 22, 1, "Chunk size overflow", None),
    "zeros before": (first_chunk(b"0" * 100 + b"5"), 0, 1, "", b"hello"),
    "bare LF": (first_chunk(b"5", b"\nhello\r\n0\r\n\r\n"), 22, 1, "chunk size", None),
    "bare CR": (first_chunk(b"5", b"\rhello\r\n0\r\n\r\n"), 22, 1, "chunk size", None),
    "bare LF behind an extension": (first_chunk(b"5;a", b"\nhello\r\n0\r\n\r\n"), 22, 1, "chunk extension", None),
    "longer than said": (first_chunk(b"4"), 22, 1, "chunk data", None),
    "shorter than said": (first_chunk(b"6"), 22, 1, "chunk data", None),
}


def status_line(line):
    return raw_path(line + b"\r\n" + HELLO)


STATUSES = {
    "000": (status_line(b"HTTP/1.1 000 OK"), 22, 1, "000", None),
    "99": (status_line(b"HTTP/1.1 99 OK"), 22, 1, "status code", None),
    "101": (raw_path(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n\0\0"), 22, 1,
            "switched to another protocol", None),
    "204 with a body": (status_line(b"HTTP/1.1 204 No Content"), 0, 1, "", b""),
    "205 with a body": (status_line(b"HTTP/1.1 205 Reset Content"), 0, 1, "", b"hello"),
    "206 unasked": (raw_path(b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-4/10\r\n" + HELLO), 22, 1,
                    "nobody asked for", None),
    "299": (status_line(b"HTTP/1.1 299 Fine"), 0, 1, "", b"hello"),
    "304 unasked": (status_line(b"HTTP/1.1 304 Not Modified"), 22, 1, "not changed (304)", None),
    "600": (status_line(b"HTTP/1.1 600 What"), 22, 1, "600 What", None),
    "1000": (status_line(b"HTTP/1.1 1000 OK"), 22, 1, "status", None),
    "no number": (status_line(b"HTTP/1.1 2x0 OK"), 22, 1, "status", None),
    "HTTP/0.9": (raw_path(b"<html>hello</html>"), 22, 1, "not HTTP/1.1", None),
    "HTTP/0.9 by name": (status_line(b"HTTP/0.9 200 OK"), 22, 1, "HTTP/0.9", None),
    "HTTP/1.2": (status_line(b"HTTP/1.2 200 OK"), 22, 1, "a version of HTTP other than", None),
    "HTTP/1.10": (status_line(b"HTTP/1.10 200 OK"), 22, 1, "a version of HTTP other than", None),
    "HTTP/2.0": (status_line(b"HTTP/2.0 200 OK"), 22, 1, "HTTP/2.0", None),
    "HTTP/3": (status_line(b"HTTP/3 200 OK"), 22, 1, "a version of HTTP other than", None),
    "HTTP/3.0": (status_line(b"HTTP/3.0 200 OK"), 22, 1, "a version of HTTP other than", None),
    "preface of HTTP/2": (raw_path(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 22, 1, "not HTTP/1.1", None),
    "frames of HTTP/2": (raw_path(bytes.fromhex("00001204000000000000030000006400040010000000060004000000000000")),
                         22, 1, "HTTP/2 on this port", None),
    "lower case": (status_line(b"http/1.1 200 OK"), 22, 1, "not HTTP/1.1", None),
    "ICY": (status_line(b"ICY 200 OK"), 22, 1, "not HTTP/1.1", None),
    "RTSP": (status_line(b"RTSP/1.0 200 OK"), 22, 1, "not HTTP/1.1", None),
    "a request": (raw_path(b"GET / HTTP/1.1\r\n\r\n"), 22, 1, "not HTTP/1.1", None),
    "a TLS alert": (raw_path(alert(2, 40)), 22, 1, "should begin with https://", None),
    "UTF-16": (raw_path("HTTP/1.1 200 OK\r\n".encode("utf-16")), 22, 1, "not HTTP/1.1", None),
}


def line(content):
    return raw_path(OK + content + b"\r\n" + HELLO)


BYTES = {
    "CR in a value": (line(b"X: a\rb"), 22, 1, "not valid HTTP", None),
    "CR as a line end": (raw_path(OK + b"X: a\r" + HELLO), 22, 1, "not valid HTTP", None),
    "LF as a line end": (raw_path(OK + b"X: a\n" + HELLO), 0, 1, "", b"hello"),
    "NUL in a value": (line(b"X: a\0b"), 22, 1, "not valid HTTP", None),
    "NUL in a name": (line(b"X\0Y: a"), 22, 1, "not valid HTTP", None),
    "NUL in the reason": (status_line(b"HTTP/1.1 404 No\0t"), 22, 1, "NUL", None),
    "CR in the reason": (status_line(b"HTTP/1.1 404 No\rt"), 22, 1, "not valid HTTP", None),
    "ESC in a value": (line(b"X: \x1b[31m"), 22, 1, "not valid HTTP", None),
    "control in a name": (line(b"X\x01: a"), 22, 1, "not valid HTTP", None),
    "blank before the colon": (line(b"X : a"), 22, 1, "not valid HTTP", None),
    "blank before the first name": (line(b" X: a"), 22, 1, "not valid HTTP", None),
    "folded": (line(b"X: a\r\n b"), 22, 1, "not valid HTTP", None),
    "no colon": (line(b"nothing"), 22, 1, "not valid HTTP", None),
    "no name": (line(b": a"), 22, 1, "not valid HTTP", None),
    "UTF-8 in a name": (line("ä: a".encode()), 22, 1, "not valid HTTP", None),
    "UTF-8 in a value": (line("X: ä".encode()), 0, 1, "", b"hello"),
    "Latin-1 in a value": (line("X: ä".encode("latin-1")), 0, 1, "", b"hello"),
}
REDIRECTS = {
    "in a circle": ("/loop", 23, 21, "more than 20 redirects", None),
    "without end": ("/redirect/forever/0", 23, 21, "more than 20 redirects", None),
    "to itself": (location_path(b""), 23, 21, "more than 20 redirects", None),
    "file:": (location_path(b"file:///etc/passwd"), 23, 1, "file is not supported", None),
    "javascript:": (location_path(b"javascript:alert(1)"), 23, 1, "javascript is not supported", None),
    "data:": (location_path(b"data:text/plain,hello"), 23, 1, "data is not supported", None),
    "ftp:": (location_path(b"ftp://127.0.0.1/"), 23, 1, "ftp is not supported", None),
    "port 0": (location_path(b"http://127.0.0.1:0/"), 23, 1, "port", None),
    "no host": (location_path(b"http://"), 23, 1, "no host", None),
    "CR": (location_path(b"/bytes/5\rX: y"), 22, 1, "not valid HTTP", None),
    "NUL": (location_path(b"/bytes/5\0"), 22, 1, "not valid HTTP", None),
    "CR and LF in escapes": (location_path(b"/bytes/5?%0d%0aX:%20y"), 0, 2, "", body_bytes(5)),
    "blanks": (location_path(b" /bytes/5?a b\tc "), 0, 2, "", body_bytes(5)),
    "raw UTF-8": (location_path("/bytes/5?ä".encode()), 0, 2, "", body_bytes(5)),
    "raw Latin-1": (location_path(b"/bytes/5?\xe4"), 0, 2, "", body_bytes(5)),
    "backslashes": (location_path(b"\\bytes\\5"), 0, 2, "", body_bytes(5)),
    "up and away": (location_path(b"/../../../bytes/x/%2e%2e/5"), 0, 2, "", body_bytes(5)),
}
ROWS = {f"{kind}: {name}": row
        for kind, rows in {"head": HEADS, "body": BODIES, "length": LENGTHS, "chunk": CHUNKS, "status": STATUSES,
                           "byte": BYTES, "redirect": REDIRECTS}.items()
        for name, row in rows.items()}
OPTIONS = ("-m", 2, "--retry-wait=0.05", "-t", 1)


@pytest.fixture
def bad_origin():
    with Origin() as server:
        yield corrupt(server)


@pytest.mark.parametrize("name", ROWS)
def test_exact(bad_origin, target, name):
    path, status, requests, said, content = ROWS[name]
    ended = run(*OPTIONS, "-d", target, "-o", "it", bad_origin.url(path))
    assert ended.status == status, ended.stderr
    assert len(ended.lines) == 1 and said in ended.stderr
    assert len(bad_origin.requests) == requests
    check_files(target, {} if content is None else {"it": content})


# Others.


@pytest.mark.parametrize("threads", (0, 2))
def test_nobody_else_is_disturbed(bad_origin, origin, target, tmp_path, threads):
    """All of it at once, and honest downloads between."""
    lines, expected = [], {}
    for number, (path, _, _, _, content) in enumerate(ROWS.values()):
        lines += [bad_origin.url(path), f" out=bad-{number}"]
        if content is not None:
            expected[f"bad-{number}"] = content
        if number % 4 == 0:
            lines += [origin.url(f"/bytes/300000?seed={number}"), f" out=good-{number}"]
            expected[f"good-{number}"] = body_bytes(300000, number)
    ended = run_list(tmp_path, lines, *OPTIONS, "--threads", threads, "-x", 16, "-j", 32, "-d", target)
    assert ended.seconds < 30
    check_files(target, expected)
    failed = sum(row[4] is None for row in ROWS.values())
    assert ended.lines[-1].startswith(f"{len(expected)} done, {failed} failed")
    assert len(origin.requests) == sum(name.startswith("good") for name in expected)


def bounded(bad_origin, target, paths, threads):
    """Runs to the end with these in it, and returns the most memory that was in use, in KiB."""
    go_on = threading.Event()

    @bad_origin.on("/held")
    def held(exchange):
        while not go_on.wait(0.05):
            exchange.sleep(0)
        return Response(200, [], b"held")

    with Haul(*OPTIONS[:-2], "--threads", threads, "-x", 16, "-d", target, bad_origin.url("/held"),
              *map(bad_origin.url, paths), binary=plain_binary()) as haul:
        haul.wait_until(lambda: haul.stderr().count("failed: ") == len(paths), "all have failed")
        peak = haul.peak_kib()
        go_on.set()
        assert haul.finish().status == 22
    check_files(target, {"held": b"held"})
    return peak


FLOODS = ("/head/endless-line", "/head/endless-fields", "/head/endless-interim", "/chunks/endless-extension",
          "/chunks/endless-size", "/chunks/endless-trailer")


@pytest.mark.parametrize("threads", (0, 2))
def test_floods_cost_no_memory(bad_origin, target, threads):
    assert bounded(bad_origin, target, [f"{path}?{i}" for path in FLOODS for i in range(8)], threads) < 16 * 1024


@pytest.mark.parametrize("path", ("/body/endless", "/body/endless-length", "/chunks/endless"))
def test_endless_body_costs_no_memory(bad_origin, path):
    """It goes on until somebody ends it."""
    with Haul("--discard", bad_origin.url(path), binary=plain_binary()) as haul:
        haul.wait_until(lambda: bad_origin.flood_bytes > 300_000_000, "a lot has come", 30)
        assert haul.peak_kib() < 160 * 1024
        haul.wait_for_handlers()
        haul.signal(signal.SIGINT)
        assert haul.ends_within(5)
        assert haul.finish().status == 7


# Parts.


@pytest.mark.parametrize("lie, said", (("range", "another part than the one asked for"), ("total", "has changed"),
                                       ("206-later", "has changed")))
def test_part_that_is_another_than_asked_for(bad_origin, tmp_path, lie, said):
    """Nothing of it is put beside what has come, which is kept; and from an honest server it goes on."""
    url = bad_origin.url(f"/lies/{lie}")
    ended = run(*OPTIONS, "-d", tmp_path, "-o", "it", url)
    assert ended.status == 6 and said in ended.stderr
    assert len(bad_origin.requests) == 2
    (partial,) = (tmp_path / name for name in tree(tmp_path) if name.endswith(".haul"))
    assert partial.read_bytes() == body_bytes(LIE_BYTES)[:60000]
    assert not (tmp_path / "it").exists()
    honest = bad_origin.handlers["/bytes"]

    @bad_origin.on("/lies")
    def truth(exchange):
        exchange.request.path = f"/bytes/{LIE_BYTES}"
        exchange.request.query = {"etag": "v1"}
        return honest(exchange)

    run_good(*OPTIONS, "-d", tmp_path, "-o", "it", url)
    check_files(tmp_path, {"it": body_bytes(LIE_BYTES)})


# What people and terminals get to see.

# What may stand in a reason phrase or a field's value, although it should not: 0x80-0xff, tabs; in the reason ESC, too.
ESCAPES = b"\x9b31m\x9d0;owned\x9c\xc2\x9b31m\xe2\x80\xaeexe"
TEXTS = {
    "reason": b"HTTP/1.1 404 Not \x1b]0;owned\x07\x1b[2J" + ESCAPES + b"\r\nContent-Length: 0\r\n\r\n",
    "busy": b"HTTP/1.1 503 " + ESCAPES + b"\r\nRetry-After: " + ESCAPES + b"\r\nContent-Length: 0\r\n\r\n",
    "location": b"HTTP/1.1 302 Found\r\nLocation: ftp" + ESCAPES + b"://x/\r\nContent-Length: 0\r\n\r\n",
    "host": b"HTTP/1.1 302 Found\r\nLocation: http://" + ESCAPES + b"/\r\nContent-Length: 0\r\n\r\n",
    "path": b"HTTP/1.1 302 Found\r\nLocation: /nowhere/" + ESCAPES + b"\r\nContent-Length: 0\r\n\r\n",
    "realm": b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"" + ESCAPES + b"\"\r\nContent-Length: 0\r\n\r\n",
    "scheme": b"HTTP/1.1 401 No\r\nWWW-Authenticate: " + ESCAPES + b"\r\nContent-Length: 0\r\n\r\n",
    "coding": OK + b"Content-Encoding: " + ESCAPES + b"\r\n" + HELLO,
    "transfer coding": OK + b"Transfer-Encoding: " + ESCAPES + b"\r\n\r\n",
    "range": b"HTTP/1.1 416 No\r\nContent-Range: bytes */" + ESCAPES + b"\r\nContent-Length: 0\r\n\r\n",
    "disposition": OK + b"Content-Disposition: attachment; filename=\"a" + ESCAPES + b"b\"\r\n" + HELLO,
    "disposition in percents": OK + b"Content-Disposition: attachment; filename*=UTF-8''a%1b[31m%0a%c2%9bb\r\n" + HELLO,
    "digest": OK + b"Repr-Digest: sha-256=:" + ESCAPES + b":\r\n" + HELLO,
    "etag": OK + b"ETag: \"" + ESCAPES + b"\"\r\nLast-Modified: " + ESCAPES + b"\r\n" + HELLO,
    "first bytes": b"\x1b[31m" + ESCAPES,
}
HARMFUL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("name", TEXTS)
def test_escapes_reach_nobody(bad_origin, tmp_path, name):
    log, target = tmp_path / "log", tmp_path / "target"
    url = bad_origin.url(raw_path(TEXTS[name]).replace("/raw?", "/raw/file?"))
    ended = run(*OPTIONS, "-d", target, "--log", log, url)
    assert not HARMFUL.search(ended.stderr)
    assert not HARMFUL.search(log.read_bytes().decode())  # and it is UTF-8
    for file in target.iterdir():
        assert not HARMFUL.search(file.name)
    listed = run(*OPTIONS, "--dry-run", url)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", listed.stdout.decode())


NAMES = ("%2e%2e%2fetc%2fpasswd", "..%2f..%2fx", "%00", "a%0ab", "%1b[31mred", "%c2%9b31m", "%ff%fe", "a%2fb", "%2f",
         "%e2%80%aegpj.exe", "x" * 300 + ".tar", "%c3%a4" * 200, "~", "%20", "%2d%2dhelp", "con", "a%5cb", "...")


def test_names_stay_in_the_directory(bad_origin, tmp_path):
    """Whatever the last part of a URL is, one file comes of it, right below the directory."""
    bad_origin.on("/names")(lambda exchange: Response(200, [], b"named"))
    outer, target = tmp_path / "outer", tmp_path / "outer" / "target"
    target.mkdir(parents=True)
    run_good("-d", target, *(bad_origin.url(f"/names/{name}") for name in NAMES))
    assert [path.name for path in outer.iterdir()] == ["target"]
    files = list(target.iterdir())
    assert len(files) == len(NAMES)
    for file in files:
        assert file.is_file() and file.read_bytes() == b"named"
        assert len(os.fsencode(file.name)) <= 255 and not HARMFUL.search(os.fsencode(file.name).decode())


DISPOSITIONS = (
    b'filename="../../x"', b'filename="/etc/passwd"', b'filename=".."', b'filename="."', b'filename=""',
    b'filename="a/../../b"', b"filename*=UTF-8''..%2f..%2fx", b"filename*=UTF-8''%00", b'filename=".bashrc"',
    b'filename="-rf"', b'filename="C:\\\\Windows\\\\x"', b'filename="..\\\\..\\\\x"', b'filename="%2e%2e%2fx"',
    b'filename="' + b"x" * 5000 + b'"', b'filename="' + "ä".encode() * 200 + b'.jpg"', b'filename="\xff\xfe"',
    b"filename*=UTF-16''%ff%fe", b'filename="=?UTF-8?B?Li4vLi4veA==?="', b"filename*=UTF-8''" + b"%" * 1000)


def test_names_of_the_server_stay_in_the_directory(bad_origin, tmp_path):
    outer, target = tmp_path / "outer", tmp_path / "outer" / "target"
    target.mkdir(parents=True)
    heads = [OK + b"Content-Disposition: attachment; " + value + b"\r\n" + HELLO for value in DISPOSITIONS]
    run_good("-d", target, *(bad_origin.url(raw_path(head).replace("/raw?", f"/raw/{number}?"))
                             for number, head in enumerate(heads)))
    assert [path.name for path in outer.iterdir()] == ["target"]
    files = list(target.iterdir())
    assert len(files) == len(heads)
    for file in files:
        assert file.is_file() and file.read_bytes() == b"hello"
        assert len(os.fsencode(file.name)) <= 255 and not HARMFUL.search(os.fsencode(file.name).decode())
        assert file.name[0] not in ".-"


# Cookies and logins.


def test_flood_of_cookies(bad_origin, target):
    """What is sent back stays within what servers take, and costs no request."""

    @bad_origin.on("/set")
    def set_cookies(exchange):
        start = int(exchange.request.path.rpartition("/")[2]) * 250
        fields = [("Set-Cookie", f"name{number}={'v' * 1000}; Path=/") for number in range(start, start + 250)]
        return Response(200, fields, b"set")

    run_good("-j", 1, "-d", target, *(bad_origin.url(f"/set/{number}") for number in range(20)),
             bad_origin.url("/bytes/5"))
    cookies = bad_origin.requests[-1].header("cookie")
    assert 1000 < len(cookies) <= 8000
    assert len(bad_origin.requests) == 21


# What a server asks for each time, and how often it may.
CHALLENGES = {
    "stale": ('Digest realm="r", nonce="{n}", qop="auth", stale=true', 6),
    "new nonce": ('Digest realm="r", nonce="{n}", qop="auth"', 2),
    "both": ('Basic realm="{n}", Digest realm="r", nonce="{n}", stale=true', 6),
    "basic": ('Basic realm="{n}"', 1),
    "long": ('Digest realm="r", nonce="{n}' + "n" * 100000 + '", qop="auth", stale=true', 6),
    "unknown": ('Digest realm="r", nonce="{n}", algorithm=SHA-512-256, stale=true', 1),
    "garbage": ('=,"\\', 1),
}


@pytest.mark.parametrize("name", CHALLENGES)
@pytest.mark.parametrize("options", ((), ("--http-auth-challenge",)))
def test_server_that_is_never_content_with_a_login(bad_origin, target, name, options):
    challenge, requests = CHALLENGES[name]

    @bad_origin.on("/never")
    def never(exchange):
        return Response(401, [("WWW-Authenticate", challenge.format(n=len(exchange.origin.requests)))])

    ended = run(*OPTIONS, *options, "-d", target, "--http-user=user", "--http-passwd=secret", bad_origin.url("/never"))
    assert ended.status == 24 and "401" in ended.stderr
    # Unless told to wait for that, haul sends a login for Basic with the first request.
    assert len(bad_origin.requests) == requests + (name == "basic" and bool(options))
    assert "secret" not in ended.stderr
    check_files(target, {})


# TLS.


def key_pair(certificates):
    return certificates / "ecdsa.crt", certificates / "ecdsa.key"


ACTS = {
    "alert": lambda sock: sock.sendall(alert(2, 40)),
    "warning": lambda sock: sock.sendall(alert(1, 90)),
    "close_notify": lambda sock: sock.sendall(alert(1, 0)),
    "end": lambda sock: None,
    "garbage": lambda sock: sock.sendall(b"\xff" * 5000),
    "data": lambda sock: sock.sendall(b"\x17\3\3\0\x20" + b"x" * 32),
    "empty records": lambda sock: sock.sendall(b"\x16\3\3\0\0" * 1000),
    "largest record": lambda sock: sock.sendall(b"\x16\3\3\xff\xff" + b"x" * 0xffff),
    "HTTP": lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\n" + HELLO),
}
VERSIONS = {"1.2": (ssl.TLSVersion.TLSv1_2,) * 2, "1.3": (ssl.TLSVersion.TLSv1_3,) * 2}
HANDSHAKE_RECORDS = 6  # of a server that OpenSSL is, with either version


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("step", range(HANDSHAKE_RECORDS + 4))
def test_meddling_with_tls(certificates, target, version, step):
    """Whatever comes in the place of the server's record of this number, by somebody who has no keys: nothing of it is
    believed, and nothing is left. What ends a handshake is final; what ends a connection later is tried again."""
    for name, act in ACTS.items():
        with Origin(tls=key_pair(certificates), tls_versions=VERSIONS[version]) as origin:
            with Meddler(origin.port, step, act) as meddler:
                ended = run("-m", 2, "--retry-wait=0.05", "-t", 5, "-d", target,
                            f"--ca-certificate={certificates / 'ca.crt'}",
                            f"https://127.0.0.1:{meddler.port}/bytes/100000")
            over = step >= HANDSHAKE_RECORDS
            assert ended.status == (6 if over else 1), f"{name}: {ended.stderr}"
            assert "TLS" in ended.stderr and len(ended.lines) == 1, name
            assert meddler.connections == (2 if over else 1), name
        check_files(target, {})


@pytest.fixture(scope="module")
def long_chain(tmp_path_factory):
    """A root, and a certificate for 127.0.0.1 with a hundred authorities between the two."""
    folder = tmp_path_factory.mktemp("chain")

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, capture_output=True)

    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key")
    openssl("req", "-x509", "-key", "key", "-subj", "/CN=root", "-days", 2, "-out", "0")
    (folder / "authority").write_text("basicConstraints=critical,CA:TRUE\n")
    (folder / "leaf").write_text("subjectAltName=IP:127.0.0.1\n")
    for number in range(1, 102):
        openssl("req", "-new", "-key", "key", "-subj", f"/CN=authority {number}", "-out", "request")
        openssl("x509", "-req", "-in", "request", "-CA", number - 1, "-CAkey", "key", "-days", 2, "-set_serial", number,
                "-extfile", "authority" if number < 101 else "leaf", "-out", number)
    (folder / "chain").write_text("".join((folder / str(number)).read_text() for number in range(101, 0, -1)))
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_chain_of_a_hundred_certificates(long_chain, origin, target, version):
    with Origin(tls=(long_chain / "chain", long_chain / "key"), tls_versions=VERSIONS[version]) as server:
        ended = run("-m", 2, "--retry-wait=0.05", "-d", target, f"--ca-certificate={long_chain / '0'}",
                    server.url("/bytes/5"), origin.url("/bytes/6"))
        assert server.connections == 1 and not server.requests
    assert ended.status == 1
    assert "chain" in ended.stderr
    check_files(target, {"6": body_bytes(6)})
