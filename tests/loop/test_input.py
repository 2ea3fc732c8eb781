# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of URLs, from a file and from a pipe."""

import os
import subprocess
import threading

import pytest

from haul import Haul, check_files, plain_binary, run, run_list
from origin import Response, body_bytes


def feeding(*arguments):
    """haul -i - with a pipe."""
    return Haul("-i", "-", *arguments, stdin=subprocess.PIPE)


def test_list(origin, target, tmp_path):
    ended = run_list(tmp_path, [origin.url(f"/bytes/{size}") for size in range(30)], "-d", target)
    assert ended.status == 0
    assert ended.lines[-1].startswith("30 done; 435 B in ")
    check_files(target, {str(size): body_bytes(size) for size in range(30)})


def test_arguments_come_before_the_list(origin, target, tmp_path):
    ended = run_list(tmp_path, [origin.url("/bytes/2")], "-d", target, "-j", 1, origin.url("/bytes/1"))
    assert ended.status == 0
    assert [request.path for request in origin.requests] == ["/bytes/1", "/bytes/2"]


def test_options_of_a_download(origin, target, tmp_path):
    lines = [origin.url("/bytes/1"), "  out=one.bin", f"\tdir={target}/sub", "  header=X-Mine: 1", " header=X-Also: 2",
             origin.url("/bytes/2"), "  user-agent=other/1", "  discard=true", origin.url("/bytes/3")]
    ended = run_list(tmp_path, lines, "-d", target, "-j", 1, "--header=X-All: 0", "--header=X-Mine: 0")
    assert ended.status == 0, ended.stderr
    check_files(target, {"sub/one.bin": body_bytes(1), "3": body_bytes(3)})
    one, two, three = origin.requests
    assert [one.header(f"x-{name}") for name in ("all", "mine", "also")] == ["0", "1", "2"]
    assert two.header("user-agent") == "other/1" and two.header("x-mine") == "0"
    assert three.header("x-also") is None and three.header("user-agent").startswith("haul/")


@pytest.mark.parametrize("end", ("\n", "\r\n", ""))
def test_comments_blanks_and_line_ends(origin, target, tmp_path, end):
    end_of_line = end or "\n"
    text = end_of_line.join(("# a comment", "", "   ", origin.url("/bytes/1"), "  # one more", " out=x", "#",
                             f"{origin.url('/bytes/2')}  ")) + end
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbf" + text.encode())
    ended = run("-d", target, "-i", tmp_path / "list")
    assert ended.status == 0, ended.stderr
    check_files(target, {"x": body_bytes(1), "2": body_bytes(2)})


def test_first_of_several_mirrors_is_used(origin, target, tmp_path):
    ended = run_list(tmp_path, [f"{origin.url('/bytes/1')}\thttp://127.0.0.1:1/1\thttp://127.0.0.1:1/2"], "-d", target)
    assert ended.status == 0
    check_files(target, {"1": body_bytes(1)})


@pytest.mark.parametrize("bad, status, said", (
    (["not a url"], 28, "no scheme"),
    (["ftp://example.com/x"], 28, "ftp"),
    (["http://127.0.0.1:99999/"], 28, "port"),
    (["http://127.0.0.1/" + "x" * 70000], 28, "64 KiB"),
    (["http://127.0.0.1/\0"], 28, "NUL"),
    (["{good}", "  no-such-option=1"], 28, "no-such-option"),
    (["{good}", "  timeout=5"], 28, "single download"),
    (["{good}", "  out=../up"], 28, "not the name of a file"),
    (["{good}", "  header=nonsense"], 28, "colon"),
    (["{good}", "  out=-"], 28, "out"),
    (["\x1b[31m\x9b\x07"], 28, "\\x1b"),
))
def test_bad_line_is_reported_and_the_rest_goes_on(origin, target, tmp_path, bad, status, said):
    lines = [origin.url("/bytes/1"), *(line.format(good=origin.url("/bytes/9")) for line in bad),
             origin.url("/bytes/2")]
    ended = run_list(tmp_path, lines, "-d", target)
    assert ended.status == status
    failed = [line for line in ended.lines if line.startswith("failed:")]
    assert len(failed) == 1 and said in failed[0]
    assert "list.txt:2" in failed[0] or "list.txt:3" in failed[0]
    check_files(target, {"1": body_bytes(1), "2": body_bytes(2)})


def test_option_without_a_url(origin, target, tmp_path):
    ended = run_list(tmp_path, ["  out=x", origin.url("/bytes/1")], "-d", target)
    assert ended.status == 28
    assert "list.txt:1" in ended.stderr
    check_files(target, {"1": body_bytes(1)})


def test_list_in_a_named_pipe(origin, target, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with Haul("-d", target, "-i", tmp_path / "pipe") as haul:
        (tmp_path / "pipe").write_text(origin.url("/bytes/1\n"))
        assert haul.finish().status == 0
    check_files(target, {"1": body_bytes(1)})


@pytest.mark.parametrize("name", ("-", "/dev/stdin"))
def test_list_on_standard_input_that_is_a_file(origin, target, tmp_path, name):
    path = tmp_path / "list.txt"
    path.write_text(origin.url("/bytes/1\n"))
    with open(path) as file:
        assert run("-d", target, "-i", name, stdin=file).status == 0
    check_files(target, {"1": body_bytes(1)})


@pytest.mark.parametrize("name", ("missing", "."))
def test_list_that_cannot_be_read(tmp_path, name):
    ended = run("-i", name, cwd=tmp_path)
    assert ended.status == 28
    assert "the list" in ended.stderr


# From a pipe.


def test_pipe(origin, target):
    with feeding("-d", target) as haul:
        haul.feed("".join(origin.url(f"/bytes/{size}\n") for size in range(30)))
        haul.end_input()
        assert haul.finish().status == 0
    check_files(target, {str(size): body_bytes(size) for size in range(30)})


def test_download_starts_before_the_pipe_is_closed(origin, target):
    with feeding("-d", target) as haul:
        for count in range(1, 4):
            haul.feed(origin.url(f"/bytes/{count}\n"))
            haul.wait_until((target / str(count)).exists, f"file {count} is there")
        haul.end_input()
        assert haul.finish().status == 0
    check_files(target, {str(count): body_bytes(count) for count in range(1, 4)})


def test_lines_that_come_in_pieces(origin, target):
    """Between pieces haul has time to read the one before: each is waited for by a whole download of the other URL."""
    with feeding("-d", target) as haul:
        haul.feed(origin.url("/bytes/1\n") + origin.url("/byt"))
        haul.wait_until((target / "1").exists, "the whole line is done")
        haul.feed("es/2\n" + origin.url("/bytes/3\n  out=thr"))
        haul.wait_until((target / "2").exists, "the second line is done")
        haul.feed("ee\n")
        haul.wait_until((target / "three").exists, "the third line is done")
        haul.feed(origin.url("/bytes/4"))
        haul.end_input()
        assert haul.finish().status == 0
    check_files(target, {"1": None, "2": None, "three": body_bytes(3), "4": body_bytes(4)})


def test_pipe_that_nobody_writes_to_costs_no_time(origin, target):
    """Waiting for a list must not keep the processor busy."""
    with feeding("-d", target) as haul:
        haul.feed(origin.url("/bytes/1\n"))
        haul.wait_until((target / "1").exists, "the file is there")
        before = cpu_ticks(haul.pid)
        threading.Event().wait(0.5)
        assert cpu_ticks(haul.pid) - before <= 5
        haul.end_input()
        assert haul.finish().status == 0


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


# A long list.


def peak_kib(nginx, origin, count, tmp_path):
    """The most memory that a list of so many small files takes; the last one ends when all others are done."""
    release = threading.Event()

    @origin.on("/last")
    def last(exchange):
        release.wait(120)
        return Response(200, [], b"")

    path = tmp_path / f"{count}.txt"
    with open(path, "w") as file:
        for i in range(count):
            print(nginx.url("http", f"/many/{i % 300:03}?number={i}"), file=file)
        print(origin.url("/last"), file=file)
    with Haul("--discard", "-i", path, binary=plain_binary()) as haul:
        haul.wait_until(lambda: count_lines(haul) == count, f"{count} files are done", timeout=60)
        peak = haul.peak_kib()
        release.set()
        assert haul.finish().status == 0
    return peak


def count_lines(haul):
    return haul.stderr().count("\n")


def test_memory_does_not_grow_with_the_list(nginx, origin, tmp_path):
    assert peak_kib(nginx, origin, 100_000, tmp_path) - peak_kib(nginx, origin, 20_000, tmp_path) < 4 * 1024
