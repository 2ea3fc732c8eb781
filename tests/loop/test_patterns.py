# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of URLs: -P."""

import subprocess

import pytest

from haul import Haul, check_files, plain_binary, run, run_good, run_list
from origin import Response, body_bytes


def paths(origin):
    return [request.target for request in origin.requests]


@pytest.mark.parametrize("pattern, results", (
    ("/bytes/[1-3]", ["1", "2", "3"]),
    ("/bytes/[008-010]", ["008", "009", "010"]),
    ("/bytes/[0-100:50]", ["0", "50", "100"]),
    ("/bytes/{7,30,2}", ["7", "30", "2"]),
    ("/bytes/{1,2}[0-1]{5}", ["105", "115", "205", "215"]),
))
def test_patterns(origin, target, pattern, results):
    run_good("-P", "-j", 1, "-d", target, origin.url(pattern))
    assert paths(origin) == [f"/bytes/{result}" for result in results]
    check_files(target, {result: body_bytes(int(result)) for result in results})


def test_letters_and_escapes(origin):
    origin.on("/")(lambda exchange: Response(200, [], b"ok"))
    run_good("--parameterized-uri", "-j", 1, "--discard", origin.url(r"/[a-c]\{x\}{y\,,z}?a[]=\[1-2\]"))
    assert paths(origin) == [f"/{a}%7Bx%7D{y}?a[]=[1-2]" for a in "abc" for y in ("y,", "z")]


def test_hosts_are_patterns_too(origin, second_origin, target):
    ports = [one.url("").split(":")[2].rstrip("/") for one in (origin, second_origin)]
    run_good("-P", "-d", target, f"http://127.0.0.1:{{{','.join(ports)}}}/bytes/[1-2]", "-o", "{1}-{2}")
    check_files(target, {f"{port}-{size}": body_bytes(size) for port in ports for size in (1, 2)})
    assert len(origin.requests) == len(second_origin.requests) == 2


def test_ipv6_address_is_no_pattern(origin, target):
    with type(origin)(address="::1") as six:
        run_good("-P", "-d", target, six.url("/bytes/[1-2]"))
    check_files(target, {"1": body_bytes(1), "2": body_bytes(2)})


def test_ordinary_without_the_option(origin):
    origin.on("/")(lambda exchange: Response(200, [], b"ok"))
    run_good("--discard", origin.url("/[1-2]{a,b}"))
    assert paths(origin) == ["/[1-2]%7Ba,b%7D"]


def test_names_from_the_globs(origin, target):
    run_good("-P", "-d", target, "-o", "{2}/size-{1}.bin", origin.url("/bytes/[08-09]?seed={1,2}"))
    check_files(target, {f"{seed}/size-{size}.bin": body_bytes(int(size), seed) for size in ("08", "09")
                         for seed in (1, 2)})


def test_options_of_a_line_hold_for_all(origin, target, tmp_path):
    lines = [origin.url("/bytes/[1-2]"), "  out=a{1}", f"  dir={target}/sub", "  header=X-Mine: 1",
             origin.url("/bytes/3"), origin.url("/bytes/{4,5}")]
    ended = run_list(tmp_path, lines, "-P", "-j", 1, "-d", target)
    assert ended.status == 0, ended.stderr
    assert [request.header("x-mine") for request in origin.requests] == ["1", "1", None, None, None]
    check_files(target, {"sub/a1": body_bytes(1), "sub/a2": body_bytes(2)} |
                {str(size): body_bytes(size) for size in (3, 4, 5)})


def test_mirrors_step_together(origin, second_origin, target, tmp_path):
    """The first URLs are dead: what comes is the mirrors', each its own."""
    origin.on("/gone")(lambda exchange: Response(404))
    lines = [origin.url("/gone/[1-3]") + "\t" + second_origin.url("/bytes/{10,20,30}"), " out=f{1}"]
    ended = run_list(tmp_path, lines, "-P", "-j", 1, "-t", 1, "-d", target)
    assert ended.status == 0, ended.stderr
    check_files(target, {f"f{n}": body_bytes(10 * n) for n in (1, 2, 3)})


def test_mirror_option(origin, second_origin, target):
    origin.on("/gone")(lambda exchange: Response(404))
    run_good("-P", "-t", 1, "-d", target, "--mirror", second_origin.url("/bytes/{10,20}"), origin.url("/gone/[1-2]"))
    assert {path.read_bytes() for path in target.iterdir()} == {body_bytes(10), body_bytes(20)}


@pytest.mark.parametrize("lines, error", (
    (["http://h/[1-"], 'list.txt:1: the pattern is wrong at column 10: "["'),
    (["http://ä/{"], 'list.txt:1: the pattern is wrong at column 10: "{"'),
    (["http://h/[1-2]\thttp://m/[1-3]"], "list.txt:1: mirror 1: its pattern stands for 3 URLs"),
    (["http://h/[1-2]", " out=x"], "list.txt:1: out: it names one file"),
    (["http://h/[1-2]", " out=x{2}"], "list.txt:1: out: {2} stands for nothing"),
    (["http://h/[1-2]", " checksum=md5=00112233445566778899aabbccddeeff"], "list.txt:1: checksum: it is of one file"),
))
def test_bad_lines(origin, target, tmp_path, lines, error):
    """One report for the line, and the list goes on."""
    ended = run_list(tmp_path, lines + [origin.url("/bytes/1")], "-P", "-d", target)
    assert ended.status != 0
    assert f"failed: {tmp_path}/{error}" in ended.stderr and ended.stderr.count("failed:") == 1, ended.stderr
    check_files(target, {"1": body_bytes(1)})


@pytest.mark.parametrize("arguments, error", (
    (["http://h/[1-2]", "-o", "x"], "-o names one file"),
    (["http://h/[1-2]", "-o", "-"], "-o names one file"),
    (["http://h/[1-2]", "--checksum=md5=00112233445566778899aabbccddeeff"], "about one file"),
    (["http://h/[2-1]"], "column 10: the range must go upwards"),
    (["http://h/{", "http://h/}"], "URL 2 of the command line: the pattern is wrong at column 10"),
))
def test_bad_arguments(arguments, error):
    ended = run("-P", *arguments)
    assert ended.status == 28 and error in ended.stderr, ended.stderr


def test_login_is_not_shown(origin):
    ended = run("-P", "--discard", "http://user:SECRET[1@h/", "http://h:SECRET{@x/")
    assert ended.status == 28 and "SECRET" not in ended.stderr


def test_one_result_may_have_one_name(origin, target):
    run_good("-P", "-d", target, "-o", "x", origin.url("/bytes/{5}"))
    check_files(target, {"x": body_bytes(5)})


def test_more_than_anybody_can_count(origin, target):
    """The first come at once, in little memory; a signal ends it in good order."""
    origin.on("/")(lambda exchange: Response(200, [], b"ok"))
    with Haul("-P", "--discard", "-j", 2, origin.url("/[0-999999999]/[0-999999999]"), binary=plain_binary()) as haul:
        assert origin.wait_requests(500, timeout=20)
        peak_kib = haul.peak_kib()
        haul.signal(2)
        haul.finish()
    assert {"/0/0", "/0/100", "/0/400"} <= set(paths(origin))
    assert peak_kib < 32 * 1024


def test_pattern_from_a_pipe(origin, target):
    with Haul("-P", "-d", target, "-i", "-", stdin=subprocess.PIPE) as haul:
        haul.feed(origin.url("/bytes/[1-3]\n"))
        assert origin.wait_requests(3)
        haul.feed(origin.url("/bytes/{4,5}\n"))
        haul.end_input()
        assert haul.finish().status == 0
    check_files(target, {str(size): body_bytes(size) for size in (1, 2, 3, 4, 5)})
