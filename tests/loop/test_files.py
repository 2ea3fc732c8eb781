# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: what is there after trouble with the disk, other programs, interruptions and changes on the server."""

import email.utils
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from haul import (BLOCK_BYTES, PATIENCE, RELEASE, Haul, as_nobody, check_content, check_files, has_arrived,
                  resumed_from, run, run_good, run_list)
from origin import Response, body_bytes
from testbed import tree

SIZE = 3_000_000


class Halting:
    """A path /halting/SIZE that answers like /bytes/SIZE, but stops in the middle until told to go on.

    sent    bytes of the body that come before
    times   so many responses stop, the later ones do not
    then    what comes after being told: "rest", "reset", or "close"
    """

    def __init__(self, origin, sent=SIZE // 2, times=1, then="rest", fields=()):
        self.sent, self.times, self.then, self.fields = sent, times, then, list(fields)
        self.go_on = threading.Event()
        self.socket = None  # of the response that stops, once it does
        self.origin = origin
        self.plain = origin.handlers["/bytes"]
        origin.on("/halting")(self.answer)

    def url(self, size=SIZE, query=""):
        return self.origin.url(f"/halting/{size}{query}")

    def answer(self, exchange):
        if self.times <= 0:
            return self.plain(exchange)
        self.times -= 1
        size = exchange.number(0)
        fields = [("Content-Length", size), *self.fields]
        if "etag" in exchange.request.query:
            fields.append(("ETag", f'"{exchange.request.query["etag"]}"'))
        exchange.head(200, fields)
        exchange.body(self.sent)
        self.socket = exchange.sock
        while not self.go_on.is_set():
            exchange.sleep(0.01)
        if self.then == "reset":
            exchange.reset()
        if self.then == "rest":
            exchange.body(size, self.sent)
        exchange.close()


def temporary_files(directory):
    return sorted(directory.glob("*.haul"))


def wait_for_data(haul, directory, size=1):
    """Until there is a temporary file of this size."""
    haul.wait_until(lambda: any(path.stat().st_size >= size for path in temporary_files(directory)), f"{size} bytes")


# Trouble with the disk.


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@root_only
def test_ordinary_user(origin, public_directory):
    user = as_nobody(public_directory)
    run_good("-d", public_directory / "new", origin.url("/bytes/5"), **user)
    check_files(public_directory, {"haul": None, "new/5": body_bytes(5)})
    assert (public_directory / "new/5").stat().st_uid == 65534


@root_only
def test_directory_that_may_not_be_written_to(origin, public_directory):
    closed = public_directory / "closed"
    closed.mkdir(mode=0o755)
    user = as_nobody(public_directory)
    ended = run("-d", closed, origin.url("/bytes/5"), origin.url("/bytes/6"), **user)
    assert ended.status == 16
    assert "Permission denied" in ended.stderr and "closed" in ended.stderr
    check_files(closed, {})


@root_only
def test_directory_that_may_not_be_created(origin, public_directory):
    (public_directory / "closed").mkdir(mode=0o755)
    user = as_nobody(public_directory)
    ended = run("-d", public_directory / "closed/new", origin.url("/bytes/5"), **user)
    assert ended.status == 18
    assert "Permission denied" in ended.stderr and "closed/new" in ended.stderr


def test_directory_that_is_a_file(origin, target):
    (target / "file").write_bytes(b"")
    for directory in ("file", "file/below"):
        ended = run("-d", target / directory, origin.url("/bytes/5"))
        assert ended.status == 18
        assert "Not a directory" in ended.stderr
    check_files(target, {"file": b""})


@pytest.fixture
def small_disk(tmp_path):
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", directory],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount: {mounted.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def test_full_disk(origin, small_disk):
    ended = run("-d", small_disk, origin.url("/bytes/20000000?ranges=0"))
    assert ended.status == 9
    assert "No space left" in ended.stderr
    assert len(origin.requests) == 1
    check_files(small_disk, {})


def test_full_disk_spares_what_fits(origin, small_disk):
    ended = run("-d", small_disk, "-j", 1, origin.url("/bytes/20000000"), origin.url("/bytes/5000000"))
    assert ended.status == 9
    check_files(small_disk, {"5000000": body_bytes(5_000_000)})


def test_download_that_did_not_fit_goes_on_once_there_is_room(origin, small_disk):
    url = origin.url("/bytes/7000000?etag=x")
    (small_disk / "ballast").write_bytes(bytes(4_000_000))
    assert run("-d", small_disk, url).status == 9
    (small_disk / "ballast").unlink()
    run_good("-d", small_disk, url)
    check_files(small_disk, {"7000000": body_bytes(7_000_000)})


def test_limit_on_the_size_of_files(origin, target):
    """SIGXFSZ would end the process, and all its other downloads."""
    ended = run("-d", target, origin.url("/bytes/3000000"), origin.url("/bytes/5"),
                prefix=["prlimit", "--fsize=1000000"])
    assert ended.status == 17
    assert "File too large" in ended.stderr
    check_files(target, {"5": body_bytes(5)})


def test_output_that_cannot_take_it(origin):
    with open("/dev/full", "wb") as full:
        ended = run("-o", "-", origin.url("/bytes/5"), stdout=full)
    assert ended.status in (9, 17)
    assert "No space left" in ended.stderr


# Names that are taken by something else.


def test_name_of_a_directory_is_taken(origin, target):
    (target / "5").mkdir()
    run_good("-d", target, origin.url("/bytes/5"))
    check_files(target, {"5.1": body_bytes(5)})
    assert run("--auto-file-renaming=false", "-d", target, origin.url("/bytes/5")).status == 13


@pytest.fixture
def killed(origin, tmp_path):
    """A temporary file, as a process that was killed leaves it, and the URL that it is of."""
    halting = Halting(origin)
    directory = tmp_path / "killed"
    with Haul("-d", directory, halting.url()) as haul:
        wait_for_data(haul, directory)
        haul.signal(signal.SIGKILL)
        haul.finish(killed_by=(signal.SIGKILL,))
    return temporary_files(directory)[0], halting.url()


@pytest.mark.parametrize("kind", ("fifo", "link", "directory"))
def test_temporary_name_that_is_no_file(killed, tmp_path, kind):
    """It is neither opened through, nor waited for, nor removed."""
    temporary, url = killed
    temporary.unlink()
    if kind == "fifo":
        os.mkfifo(temporary)
    elif kind == "link":
        temporary.symlink_to(tmp_path / "elsewhere")
    else:
        temporary.mkdir()
    ended = run("-m", 1, "-d", temporary.parent, url, timeout=10)
    assert ended.status == 16
    assert temporary.name in ended.stderr
    assert list(temporary.parent.iterdir()) == [temporary]
    assert not (tmp_path / "elsewhere").exists()


def test_temporary_file_of_a_crash_is_begun_anew(killed, origin):
    """Nothing says what in it is good."""
    temporary, url = killed
    run_good("-d", temporary.parent, url)
    check_files(temporary.parent, {str(SIZE): body_bytes(SIZE)})
    assert origin.requests[1].header("range") is None


def test_published_name_never_looks_like_a_temporary_one(origin, target):
    """What a server names so must not be taken for a partial file by a later run."""
    origin.on("/x.01234567.haul")(lambda exchange: Response(200, [], b"ok"))
    run_good("-d", target, origin.url("/x.01234567.haul"))
    check_files(target, {"x.01234567.haul_": b"ok"})


def test_long_name_leaves_room_for_the_temporary_one(origin, target):
    origin.on("/" + "n" * 255)(lambda exchange: Response(200, [], b"ok"))
    run_good("-d", target, origin.url("/" + "n" * 255))
    run_good("-d", target, origin.url("/" + "n" * 255))
    check_files(target, {"n" * 255: b"ok", "n" * 253 + ".1": b"ok"})


def test_thousands_of_files_of_one_name(nginx, target, tmp_path):
    """Lists are often so: the name says nothing, the query says all. Each gets a number, and none takes long."""
    count = 10_500
    ended = run_list(tmp_path, [nginx.url("http", f"/size/1?{i}") for i in range(count)], "-q", "-d", target,
                     binary=RELEASE or None)
    assert ended.status == 0
    assert len(list(target.iterdir())) == count
    assert ended.seconds < 10 * PATIENCE


# Two processes.


def test_second_process_leaves_the_file_to_the_first(origin, target):
    halting = Halting(origin)
    with Haul("-d", target, halting.url()) as first:
        wait_for_data(first, target)
        second = run("-d", target, halting.url())
        assert second.status == 11
        assert "another process" in second.stderr
        halting.go_on.set()
        assert first.finish().status == 0
    check_files(target, {str(SIZE): body_bytes(SIZE)})


def test_many_processes_on_one_directory(origin, target):
    """Each name belongs to one of them; none is lost, none is mixed."""
    urls = [origin.url(f"/bytes/100000?seed={seed}") for seed in range(4)]
    running = [Haul("-q", "-d", target, "-o", f"name-{seed}", urls[seed]) for seed in range(4) for _ in range(3)]
    statuses = [haul.finish().status for haul in running]
    for haul in running:
        haul.__exit__()
    assert set(statuses) <= {0, 11}
    names = tree(target)
    assert len(names) == statuses.count(0)
    for seed in range(4):
        assert f"name-{seed}" in names
    for name in names:
        check_content(target / name, body_bytes(100000, int(name[5])))


def test_name_that_is_taken_meanwhile(origin, target):
    halting = Halting(origin)
    with Haul("-d", target, halting.url()) as haul:
        wait_for_data(haul, target)
        (target / str(SIZE)).write_bytes(b"mine")
        halting.go_on.set()
        assert haul.finish().status == 0
    check_files(target, {str(SIZE): b"mine", f"{SIZE}.1": body_bytes(SIZE)})


@pytest.mark.parametrize("what", ("file", "directory"))
def test_temporary_file_that_is_removed_meanwhile(origin, target, what):
    halting = Halting(origin)
    with Haul("-d", target / "sub", halting.url()) as haul:
        wait_for_data(haul, target / "sub")
        temporary_files(target / "sub")[0].unlink()
        if what == "directory":
            (target / "sub").rmdir()
        halting.go_on.set()
        ended = haul.finish()
    assert ended.status == 14
    assert "No such file or directory" in ended.stderr
    check_files(target, {})


# Interruptions.


@pytest.mark.parametrize("etag", ("", "?etag=x"))
def test_killed_process_leaves_nothing_under_the_final_name(origin, target, etag):
    halting = Halting(origin)
    with Haul("-d", target, halting.url(query=etag)) as haul:
        wait_for_data(haul, target)
        haul.signal(signal.SIGKILL)
        haul.finish(killed_by=(signal.SIGKILL,))
    assert not (target / str(SIZE)).exists()
    run_good("-d", target, halting.url(query=etag))
    check_files(target, {str(SIZE): body_bytes(SIZE)})


def test_interrupted_download_goes_on_in_the_next_run(origin, target):
    halting = Halting(origin)
    url = halting.url(query="?etag=x")
    interrupt(target, url)
    (data,) = temporary_files(target)
    assert tree(target) == [data.name, f"{data.name}.journal"]
    ended = run_good("-d", target, url)
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    request = origin.requests[1]
    assert request.header("if-range") == '"x"'
    start = int(request.header("range").removeprefix("bytes=").removesuffix("-"))
    assert SIZE // 4 < start <= SIZE // 2
    assert len(ended.lines) == 1


def test_interrupt_keeps_also_the_little_that_has_come(origin, target):
    """On a slow line, a buffer that is not full yet took long to come."""
    halting = Halting(origin, sent=100_000)
    url = halting.url(query="?etag=x")
    with Haul("-d", target, url) as haul:
        haul.wait_until(lambda: halting.socket and has_arrived(halting.socket), "it has what was sent")
        haul.signal(signal.SIGINT)
        assert haul.finish(10).status == 7
    run_good("-d", target, url)
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    assert origin.requests[1].header("range") == f"bytes={resumed_from(100_000)}-"


def interrupt(target, url, number=signal.SIGINT):
    """Starts a download and interrupts it when there is something to keep."""
    with Haul("-d", target, url) as haul:
        wait_for_data(haul, target, SIZE // 4)
        haul.signal(number)
        ended = haul.finish(10)
    assert ended.status == 7
    assert "1 unfinished" in ended.lines[-1]


def test_interrupted_download_twice(origin, target):
    halting = Halting(origin)
    url = halting.url(query="?etag=x")
    interrupt(target, url)
    stop_at_head(origin, target, url)
    run_good("-d", target, url)
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    assert origin.requests[-1].header("range")


def stop_at_head(origin, target, url):
    """A run that is interrupted before the server has answered: it must not harm what an earlier one left."""
    answer = origin.handlers["/halting"]
    origin.on("/halting")(lambda exchange: exchange.sleep(3600))
    before = len(origin.requests)
    with Haul("-d", target, url) as haul:
        haul.wait_until(lambda: len(origin.requests) > before, "the request is there")
        haul.signal(signal.SIGINT)
        assert haul.finish(10).status == 7
    origin.on("/halting")(answer)


@pytest.mark.parametrize("answer", ("503", "404", "refused", "reset"))
def test_failed_run_keeps_what_an_earlier_one_left(origin, target, answer):
    halting = Halting(origin)
    url = halting.url(query="?etag=x")
    interrupt(target, url)
    plain = origin.handlers["/halting"]

    def trouble(exchange):
        if answer == "reset":
            exchange.reset()
        if answer == "refused":
            exchange.close()
        return Response(int(answer))

    origin.on("/halting")(trouble)
    assert run("-m", 1, "-d", target, url).status != 0
    origin.on("/halting")(plain)
    run_good("-d", target, url)
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    assert origin.requests[-1].header("range")


def test_changed_file_is_fetched_anew(origin, target):
    """Bytes of two versions are never mixed."""
    halting = Halting(origin)

    @origin.on("/changing")
    def changing(exchange):
        if len(origin.requests) == 1:
            exchange.request.query["etag"] = "old"
            return halting.answer(exchange)
        exchange.request.query |= {"etag": "new", "seed": "1"}
        return halting.plain(exchange)

    url = origin.url(f"/changing/{SIZE}")
    interrupt(target, url)
    run_good("-d", target, url)
    check_files(target, {str(SIZE): body_bytes(SIZE, 1)})
    assert origin.requests[1].header("if-range") == '"old"'


def test_partial_file_of_another_url_is_left_alone(origin, target):
    halting = Halting(origin)
    interrupt(target, halting.url(query="?etag=x"))
    run_good("-d", target, halting.url(query="?etag=x&seed=1"))
    assert origin.requests[1].header("range") is None
    run_good("-d", target, halting.url(query="?etag=x"))
    assert origin.requests[2].header("range")
    check_files(target, {str(SIZE): body_bytes(SIZE, 1), f"{SIZE}.1": body_bytes(SIZE)})


@pytest.mark.parametrize("etag", ("", "?etag=W/%22x%22"))
def test_interrupted_download_without_a_strong_validator_is_not_kept(origin, target, etag):
    halting = Halting(origin, fields=[("ETag", 'W/"x"')] if etag else [])
    with Haul("-d", target, halting.url()) as haul:
        wait_for_data(haul, target)
        haul.signal(signal.SIGINT)
        assert haul.finish(10).status == 7
    check_files(target, {})


def test_second_interrupt_leaves_at_once(origin, tmp_path):
    halting = Halting(origin)
    with Haul("-d", tmp_path, halting.url()) as haul:
        wait_for_data(haul, tmp_path)
        haul.signal(signal.SIGSTOP)
        haul.signal(signal.SIGINT)  # both are there before it gets to do anything about the first
        haul.signal(signal.SIGTERM)
        haul.signal(signal.SIGCONT)
        haul.finish(10, killed_by=(signal.SIGINT, signal.SIGTERM))
    assert not (tmp_path / str(SIZE)).exists()


def test_interrupt_leaves_finished_files_and_counts_the_rest(origin, target):
    halting = Halting(origin, times=2)
    urls = [origin.url("/bytes/5"), halting.url(), halting.url(), *(origin.url(f"/bytes/{i}") for i in range(10, 40))]
    with Haul("-j", 3, "-x", 3, "-d", target, *urls, "-i", "-", stdin=subprocess.PIPE) as haul:
        origin.wait(lambda origin: origin.count("/bytes/39") == 1)
        haul.wait_until((target / "39").exists, "all that can is done")
        haul.signal(signal.SIGINT)
        ended = haul.finish(10)
    assert ended.status == 7
    assert ended.lines[-1].startswith("31 done, 2 unfinished")
    check_files(target, {"5": None} | {str(i): None for i in range(10, 40)})


# Taking up within a run.


def test_broken_body_goes_on_where_it_broke(origin, target):
    halting = Halting(origin, then="reset")
    halting.go_on.set()
    run_good("--retry-wait=0.05", "-d", target, halting.url(query="?etag=x"))
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    assert origin.requests[1].header("if-range") == '"x"'
    assert origin.requests[1].header("range") == f"bytes={SIZE // 2}-"


def test_short_body_goes_on_where_it_ended(origin, target):
    halting = Halting(origin, then="close")
    halting.go_on.set()
    run_good("--retry-wait=0.05", "-d", target, halting.url(query="?etag=x"))
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    assert origin.requests[1].header("range") == f"bytes={SIZE // 2}-"


def test_body_that_breaks_again_and_again(origin, target):
    """Each try gets some more of it."""

    @origin.on("/breaking")
    def breaking(exchange):
        start = int((exchange.request.header("range") or "bytes=0-")[6:-1])
        fields = [("ETag", '"x"'), ("Content-Length", SIZE - start)]
        if start:
            fields.append(("Content-Range", f"bytes {start}-{SIZE - 1}/{SIZE}"))
        exchange.head(206 if start else 200, fields)
        exchange.body(min(SIZE, start + 800_000), start)
        if start + 800_000 < SIZE:
            exchange.reset()

    run_good("--retry-wait=0.02", "-d", target, origin.url("/breaking"))
    check_files(target, {"breaking": body_bytes(SIZE)})
    assert len(origin.requests) == 4


def test_broken_body_without_a_validator_begins_anew(origin, target):
    halting = Halting(origin, then="close")
    halting.go_on.set()
    run_good("--retry-wait=0.05", "-d", target, halting.url())
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    assert origin.requests[1].header("range") is None


def test_old_date_is_a_validator(origin, target):
    now = time.time()
    modified = email.utils.formatdate(now - 86400, usegmt=True)
    fields = [("Last-Modified", modified), ("Date", email.utils.formatdate(now, usegmt=True))]
    halting = Halting(origin, then="close", fields=fields)
    halting.go_on.set()
    run_good("--retry-wait=0.05", "-d", target, halting.url())
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    assert origin.requests[1].header("if-range") == modified


RIGHT_PART = f"bytes {SIZE // 2}-{SIZE - 1}/{SIZE}"


@pytest.mark.parametrize("fields", (
    [("Content-Range", f"bytes {SIZE // 2 - 1}-{SIZE - 2}/{SIZE}")],
    [("Content-Range", f"bytes {SIZE // 2}-{SIZE - 1}/{SIZE + 1}")],
    [("Content-Range", f"bytes 0-{SIZE // 2 - 1}/{SIZE}")],
    [("Content-Range", f"bytes {SIZE // 2}-{SIZE // 2 + 9}/{SIZE}")],
    [("Content-Range", "nonsense")],
    [],
    [("Content-Range", RIGHT_PART), ("ETag", '"y"')],
))
def test_part_that_was_not_asked_for_is_never_used(origin, target, fields):
    halting = Halting(origin, then="close")
    halting.go_on.set()

    @origin.on("/lying")
    def lying(exchange):
        exchange.request.query["etag"] = "x"
        if not exchange.request.header("range"):
            return halting.answer(exchange)
        return Response(206, fields, b"l" * (SIZE - SIZE // 2))

    run_good("--retry-wait=0.02", "-d", target, origin.url(f"/lying/{SIZE}"))
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    assert [request.header("range") is None for request in origin.requests] == [True, False, True]


def test_standard_output_goes_on_where_it_broke(origin):
    halting = Halting(origin, then="reset")
    halting.go_on.set()
    ended = run_good("--retry-wait=0.05", "-o", "-", halting.url(query="?etag=x"))
    assert len(ended.stdout) == SIZE
    assert ended.stdout == body_bytes(SIZE)


def test_standard_output_is_never_begun_twice(origin):
    halting = Halting(origin, then="reset")
    halting.go_on.set()
    ended = run("--retry-wait=0.05", "-o", "-", halting.url())
    assert ended.status == 8
    assert body_bytes(SIZE // 2).startswith(ended.stdout)


# Partial files of other programs.


def test_continue(origin, target):
    (target / str(SIZE)).write_bytes(body_bytes(1_000_000))
    run_good("-c", "-d", target, origin.url(f"/bytes/{SIZE}?etag=x"))
    check_files(target, {str(SIZE): body_bytes(SIZE)})
    assert origin.requests[0].header("range") == f"bytes={1_000_000 - BLOCK_BYTES}-"  # whoever wrote it, wrote all


def test_continue_a_complete_file(origin, target):
    (target / "5").write_bytes(body_bytes(5))
    run_good("-c", "-d", target, origin.url("/bytes/5"))
    check_files(target, {"5": body_bytes(5)})


def test_continue_without_a_file(origin, target):
    run_good("-c", "-d", target, origin.url("/bytes/5"))
    check_files(target, {"5": body_bytes(5)})


def test_continue_an_empty_file(origin, target):
    (target / "5").write_bytes(b"")
    run_good("-c", "-d", target, origin.url("/bytes/5"))
    assert (target / "5").read_bytes() == body_bytes(5) or (target / "5.1").read_bytes() == body_bytes(5)


def test_continue_where_the_server_knows_no_ranges(origin, target):
    """The old data is left alone."""
    (target / str(SIZE)).write_bytes(body_bytes(1_000_000))
    run_good("-c", "-d", target, origin.url(f"/bytes/{SIZE}?ranges=0"))
    check_files(target, {str(SIZE): body_bytes(1_000_000), f"{SIZE}.1": body_bytes(SIZE)})


def test_continue_a_file_that_is_longer_than_the_servers(origin, target):
    (target / "5").write_bytes(b"much longer than five")
    run("-c", "--retry-wait=0.02", "-d", target, origin.url("/bytes/5"))
    check_files(target, {"5": b"much longer than five", "5.1": body_bytes(5)})


def test_continue_a_file_that_is_a_little_longer(origin, target):
    """So little that the block before its end, which is compared, is the same as far as the server has it."""
    longer = body_bytes(SIZE) + b"xxx"
    (target / str(SIZE)).write_bytes(longer)
    run_good("-c", "--retry-wait=0.02", "-d", target, origin.url(f"/bytes/{SIZE}?etag=x"))
    check_files(target, {str(SIZE): longer, f"{SIZE}.1": body_bytes(SIZE)})


@pytest.mark.parametrize("said", ('ETag: W/"new"', "ETag: \"new\"", "Last-Modified"))
def test_part_that_says_that_it_is_of_another_version(origin, target, said):
    """From a server that does not know If-Range: what it says need not be strong to be believed."""
    now = time.time()
    dates = [("Date", email.utils.formatdate(now, usegmt=True))]
    old = [("Last-Modified", email.utils.formatdate(now - 86400, usegmt=True))] if said == "Last-Modified" else [("ETag", '"old"')]
    new = [("Last-Modified", email.utils.formatdate(now - 5, usegmt=True))] if said == "Last-Modified" else [said.split(": ")]

    @origin.on("/it")
    def it(exchange):
        start = re.fullmatch(r"bytes=(\d+)-", exchange.request.header("range", ""))
        if len(origin.requests) == 1:
            exchange.head(200, [*dates, *old, ("Content-Length", SIZE)])
            exchange.body(SIZE // 2)
            exchange.close()
        if not start:
            return Response(200, [*dates, *new], body_bytes(SIZE, 1))
        start = int(start.group(1))
        return Response(206, [*dates, *new, ("Content-Range", f"bytes {start}-{SIZE - 1}/{SIZE}")],
                        body_bytes(SIZE, 1)[start:])

    run_good("--retry-wait=0.02", "-d", target, origin.url("/it"))
    check_files(target, {"it": body_bytes(SIZE, 1)})


def test_continued_file_that_breaks_off_keeps_its_name(origin, target):
    """It was there before, under that name; what has come is behind it."""
    (target / "it").write_bytes(body_bytes(1_000_000))

    @origin.on("/it")
    def it(exchange):
        exchange.head(206, [("Content-Range", f"bytes 1000000-{SIZE - 1}/{SIZE}"),
                            ("Content-Length", SIZE - 1_000_000)])
        exchange.body(2_000_000, 1_000_000)
        exchange.close()

    ended = run("-c", "-m", 1, "-d", target, origin.url("/it"))
    assert ended.status == 6
    found = (target / "it").read_bytes()
    assert tree(target) == ["it"]
    assert len(found) >= 1_000_000 and body_bytes(SIZE).startswith(found)


def test_existing_file_is_not_continued_unasked(origin, target):
    (target / str(SIZE)).write_bytes(body_bytes(1_000_000))
    run_good("-d", target, origin.url(f"/bytes/{SIZE}?etag=x"))
    check_files(target, {str(SIZE): body_bytes(1_000_000), f"{SIZE}.1": body_bytes(SIZE)})


def test_file_that_other_programs_preallocated_is_theirs(origin, target):
    """aria2's control file beside it says that the file has holes."""
    (target / "5").write_bytes(bytes(5))
    (target / "5.aria2").write_bytes(b"control")
    run("-c", "-d", target, origin.url("/bytes/5"))
    assert (target / "5.aria2").read_bytes() == b"control"
