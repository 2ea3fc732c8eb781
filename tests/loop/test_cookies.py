# SPDX-License-Identifier: GPL-3.0-or-later
"""Cookies: which of them go where, files of them, and that nobody gets to see them who should not."""

import os
import shutil
import stat
import subprocess
import time

import pytest

from haul import check_files, run, run_good, run_list
from origin import Response

HEAD = "# Netscape HTTP Cookie File\n"
FOREVER = 4102444800


def cookie_file(path, *lines):
    """lines: tuples of a line's fields."""
    path.write_text(HEAD + "".join("\t".join(map(str, line)) + "\n" for line in lines))
    return path


def cookies_in(path):
    return [line.split("\t") for line in path.read_text().splitlines() if line.strip() and not line.startswith("# ")]


def cookies_of(origin, path):
    return [request.header("cookie") for request in origin.requests if request.path == path]


@pytest.fixture
def setter(origin):
    """/set/...?c=Set-Cookie sets a cookie; more than one with "|" between."""

    @origin.on("/set")
    def answer(exchange):
        cookies = [("Set-Cookie", cookie) for cookie in exchange.request.query.get("c", "a=1").split("|")]
        to = exchange.request.query.get("to")
        return Response(302 if to else 200, cookies + ([("Location", to)] if to else []), b"set")

    return origin


def test_cookies_go_back(setter, target, tmp_path):
    lines = [setter.url(path) for path in
             ("/set/1?c=a=1;%20Path=/|b=2;%20Path=/set", "/set/2?c=a=3;%20Path=/", "/bytes/1", "/set/3", "/bytes/2")]
    assert run_list(tmp_path, lines, "-d", target, "-j", 1).status == 0
    assert [request.header("cookie") for request in setter.requests] == \
        [None, "b=2; a=1", "a=3", "b=2; a=3", "a=3"]


@pytest.mark.parametrize("threads", (0, 3))
def test_cookie_of_a_redirect(setter, target, threads):
    """A login page that sets a cookie and sends on is what most logins are."""
    url = setter.url("/set/x?to=/bytes/5&c=session=s3cret;%20Path=/;%20HttpOnly")
    run_good("-d", target, "--threads", threads, url)
    assert cookies_of(setter, "/bytes/5") == ["session=s3cret"]


@pytest.mark.parametrize("threads", (0, 3))
def test_many_downloads_share_the_jar(setter, target, tmp_path, threads):
    lines = [setter.url("/set/1?c=a=1;%20Path=/")] + [setter.url(f"/bytes/{i}") for i in range(1, 60)]
    assert run_list(tmp_path, lines, "-d", target, "-j", 8, "--threads", threads).status == 0
    assert setter.requests[-1].header("cookie") == "a=1"


def test_cookies_stay_with_their_host(setter, second_origin, target):
    other = second_origin.url("/bytes/5").replace("127.0.0.1", "localhost")
    run_good("-d", target, "-j", 1, setter.url(f"/set/x?to={other}&c=a=1;%20Path=/"))
    assert cookies_of(second_origin, "/bytes/5") == [None]
    # Another port of the same host is the same to a cookie.
    run_good("-d", target, "-j", 1, setter.url(f"/set/x?to={second_origin.url('/bytes/6')}&c=a=1;%20Path=/"))
    assert cookies_of(second_origin, "/bytes/6") == ["a=1"]


def test_secure_cookie_does_not_go_in_the_clear(tls_origin, origin, target, certificates, tmp_path):
    @tls_origin.on("/set")
    def answer(exchange):
        return Response(302, [("Set-Cookie", "safe=1; Secure; Path=/"), ("Set-Cookie", "plain=2; Path=/"),
                              ("Location", exchange.request.query["to"])])

    ca = ("--ca-certificate", certificates / "ca.crt", "--allow-downgrade", "-d", target)
    run_good(*ca, tls_origin.url(f"/set/1?to={origin.url('/bytes/5')}"))
    run_good(*ca, tls_origin.url(f"/set/2?to={tls_origin.url('/bytes/6')}"))
    assert cookies_of(origin, "/bytes/5") == ["plain=2"]
    assert cookies_of(tls_origin, "/bytes/6") == ["safe=1; plain=2"]


def test_insecure_origin_sets_no_secure_cookie(setter, target):
    run_good("-d", target, "-j", 1, setter.url("/set/1?c=a=1;%20Secure;%20Path=/|__Host-b=2;%20Path=/"),
             setter.url("/bytes/1"))
    assert cookies_of(setter, "/bytes/1") == [None]


def test_own_cookie_header_wins(setter, target):
    run_good("-d", target, "-j", 1, "--header", "Cookie: mine=1", setter.url("/set/1?c=a=1;%20Path=/"),
             setter.url("/bytes/1"))
    assert cookies_of(setter, "/bytes/1") == ["mine=1"]


def test_load(origin, target, tmp_path):
    file = cookie_file(
        tmp_path / "cookies", ("127.0.0.1", "FALSE", "/", "FALSE", 0, "session", "1"),
        ("#HttpOnly_127.0.0.1", "FALSE", "/bytes", "FALSE", FOREVER, "deep", "2"),
        ("127.0.0.1", "FALSE", "/", "TRUE", FOREVER, "safe", "3"), ("127.0.0.1", "FALSE", "/", "FALSE", 1, "old", "4"),
        (".127.0.0.1", "TRUE", "/", "FALSE", FOREVER, "dot", "5 6"), ("elsewhere", "FALSE", "/", "FALSE", 0, "no", "7"))
    run_good("-d", target, "--load-cookies", file, origin.url("/bytes/5"))
    assert cookies_of(origin, "/bytes/5") == ["deep=2; session=1; dot=5 6"]


def test_bad_lines_are_skipped_and_counted(origin, target, tmp_path):
    file = tmp_path / "cookies"
    file.write_bytes(b"nonsense\r\n" + HEAD.encode() + b"\r\n127.0.0.1\tFALSE\t/\tFALSE\t0\ta\tb\r\n"
                     b"127.0.0.1\tFALSE\t/\tFALSE\t0\tx\ty\x01\n")
    run_good("-d", target, "--load-cookies", file, "-l", tmp_path / "log", origin.url("/bytes/5"))
    assert cookies_of(origin, "/bytes/5") == ["a=b"]
    assert "2 lines are no cookies in Netscape's format, line 1 first" in (tmp_path / "log").read_text()


def test_missing_file_is_an_error_except_on_the_first_run(origin, target, tmp_path):
    ended = run("-d", target, "--load-cookies", tmp_path / "none", origin.url("/bytes/5"))
    assert ended.status == 28 and "none: No such file" in ended.stderr
    run_good("-d", target, "--load-cookies", tmp_path / "jar", "--save-cookies", tmp_path / "jar", origin.url("/bytes/5"))
    assert (tmp_path / "jar").read_text().startswith(HEAD)


@pytest.mark.parametrize("threads", (0, 2))
def test_round_trip(setter, target, tmp_path, threads):
    jar = tmp_path / "jar"
    both = ("-d", target, "--load-cookies", jar, "--save-cookies", jar, "--threads", threads)
    now = time.time()
    run_good(*both, setter.url("/set/1?c=s=1;%20Path=/;%20HttpOnly|p=2;%20Max-Age=1000|gone=3;%20Max-Age=0"))
    assert stat.S_IMODE(os.stat(jar).st_mode) == 0o600
    session, persistent = cookies_in(jar)
    assert session == ["#HttpOnly_127.0.0.1", "FALSE", "/", "FALSE", "0", "s", "1"]
    assert persistent[:4] == ["127.0.0.1", "FALSE", "/set", "FALSE"] and persistent[5:] == ["p", "2"]
    assert abs(int(persistent[4]) - now - 1000) < 10
    run_good(*both, setter.url("/set/2?c=s=4;%20Path=/"))
    assert setter.requests[-1].header("cookie") == "p=2; s=1"
    assert [fields[5:] for fields in cookies_in(jar)] == [["s", "4"], ["p", "2"]]
    assert sorted(os.listdir(tmp_path)) == ["jar", "target"]


def test_file_that_can_not_be_written_is_known_before_all_else(setter, target, tmp_path):
    ended = run("-d", target, "--save-cookies", tmp_path / "no" / "jar", setter.url("/set/1"))
    assert ended.status == 28 and "no/jar" in ended.stderr and "No such file" in ended.stderr
    assert setter.requests == []


def test_file_that_can_not_be_written_in_the_end_is_reported(setter, target, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()

    @setter.on("/away")
    def away(exchange):
        folder.rmdir()
        return Response(200, [("Set-Cookie", "a=1")], b"set")

    ended = run("-d", target, "--save-cookies", folder / "jar", setter.url("/away"))
    assert ended.status == 17 and "can't write" in ended.stderr and "No such file" in ended.stderr
    check_files(target, {"away": b"set"})


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
def test_files_of_curl(setter, target, tmp_path):
    """Each reads what the other has written."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    path = "/set/1?c=s=1;%20Path=/;%20HttpOnly|p=2;%20Max-Age=1000|empty=;%20Path=/"

    def curl(*arguments):
        subprocess.run(["curl", "-q", "-sS", "-o", "/dev/null", *arguments], check=True,
                       env={name: value for name, value in os.environ.items() if not name.endswith("_proxy")})

    curl("-c", theirs, setter.url(path))
    run_good("-d", target, "--load-cookies", theirs, setter.url("/set/2?c=x=1"))
    assert set(setter.requests[-1].header("cookie").split("; ")) == {"p=2", "s=1", "empty="}
    run_good("-d", target, "--save-cookies", ours, setter.url(path))
    curl("-b", ours, setter.url("/set/3?c=x=1"))
    assert set(setter.requests[-1].header("cookie").split("; ")) == {"p=2", "s=1", "empty="}


def test_limits_are_kept(origin, target, tmp_path):
    """A server that sets 300 cookies of 900 bytes."""

    @origin.on("/set")
    def answer(exchange):
        return Response(200, [("Set-Cookie", f"c{i}=" + "x" * 900 + "; Path=/") for i in range(300)], b"set")

    run_good("-d", target, "-j", 1, "--save-cookies", tmp_path / "jar", origin.url("/set/1"), origin.url("/bytes/1"))
    assert len(cookies_of(origin, "/bytes/1")[0]) <= 8000
    assert [fields[5] for fields in cookies_in(tmp_path / "jar")] == [f"c{i}" for i in range(250, 300)]


def test_cookies_are_no_secret_told(setter, target, tmp_path):
    """Not in the log, on the terminal, or in files beside a download."""

    @setter.on("/short")
    def short(exchange):
        exchange.head(200, [("Content-Length", 3_000_000), ("ETag", '"x"'), ("Set-Cookie", "k=s3cret; Path=/")])
        exchange.body(2_000_000)
        exchange.close()

    log = tmp_path / "log"
    ended = run("-d", target, "-l", log, "--log-level=debug", "-m", 2, "--retry-wait=0.1",
                setter.url("/short"))
    assert ended.status != 0 and setter.requests[-1].header("cookie") == "k=s3cret"
    left = list(target.iterdir())
    assert left, "there should be a partial file"
    for path in (log, *left):
        assert b"s3cret" not in path.read_bytes(), path
        assert "s3cret" not in path.name
    assert "s3cret" not in ended.stderr
    for path in left:
        path.unlink()
