# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there already: whether the server has another version, and what time they have."""

import ctypes
import email.utils
import hashlib
import os
import signal
import tempfile
from urllib.parse import quote

import pytest

from haul import Haul, check_files, run, run_good, run_list
from origin import Response, body_bytes
from testbed import Nginx, make_media, tree

MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"
MODIFIED_S = 1445412480
ATTRIBUTE = "user.haul.etag"
XATTR_OFF = "--kernel-features-off=xattr"


class Versions:
    """A path /v/NAME that knows conditions; what it is asked, and what it sends of bodies."""

    def __init__(self, origin, etag='"1"', modified=None, disposition=None, conditions=True):
        self.etag, self.modified, self.disposition, self.conditions = etag, modified, disposition, conditions
        self.body = body_bytes(1000)
        self.bodies = 0
        self.status = None  # instead of what is right
        self.origin = origin
        origin.on("/v")(self.answer)

    def url(self, name="file"):
        return self.origin.url(f"/v/{name}")

    def fields(self, path):
        fields = [("ETag", self.etag)] if self.etag else []
        fields += [("Last-Modified", self.modified)] if self.modified else []
        if self.disposition:
            fields.append(("Content-Disposition", f"attachment; filename={self.disposition(path)}"))
        return fields

    def answer(self, exchange):
        request = exchange.request
        fields = self.fields(request.path)
        known = request.header("if-none-match")
        since = request.header("if-modified-since")
        same = known == self.etag if known else since is not None and since == self.modified
        if self.status or (self.conditions and same):
            return Response(self.status or 304, fields)
        self.bodies += 1
        return Response(200, fields, self.body)


@pytest.fixture
def nginx_files(tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    make_media(root, {f"f/{i}": i * 97 for i in range(40)})
    with Nginx(root, kinds=["http"], access_log=True) as server:
        yield server


def twice(target, *arguments):
    run_good("-d", target, "--conditional-get", *arguments)
    return run_good("-d", target, "--conditional-get", *arguments)


def test_time_of_the_server(origin, target):
    run_good("-d", target, "-R", origin.url(f"/bytes/10?modified={quote(MODIFIED)}"), origin.url("/bytes/11"))
    assert os.stat(target / "10").st_mtime == MODIFIED_S
    assert os.stat(target / "11").st_mtime > MODIFIED_S
    run_good("-d", target, "-o", "plain", origin.url(f"/bytes/10?modified={quote(MODIFIED)}"))
    assert os.stat(target / "plain").st_mtime > MODIFIED_S


def test_time_of_a_file_in_parts(origin, target):
    url = origin.url(f"/bytes/5000000?etag=x&modified={quote(MODIFIED)}")
    run_good("-d", target, "-R", "-s", "3", "-k", "1M", url)
    check_files(target, {"5000000": body_bytes(5000000)})
    assert os.stat(target / "5000000").st_mtime == MODIFIED_S


@pytest.mark.parametrize("etag", ('"1"', 'W/"1"', '"a, \x80"', "unquoted", 'W/unquoted', '"half'))
def test_same_version(origin, target, etag):
    versions = Versions(origin, etag=etag)
    ended = twice(target, versions.url())
    assert origin.requests[-1].header("if-none-match") == etag
    assert versions.bodies == 1 and len(origin.requests) == 2
    assert f"unchanged: {target}/file" in ended.stderr
    check_files(target, {"file": versions.body})


def test_another_version(origin, target):
    versions = Versions(origin)
    run_good("-d", target, "--conditional-get", versions.url())
    versions.etag, versions.body = '"2"', body_bytes(2000, seed=2)
    ended = run_good("-d", target, "--conditional-get", versions.url())
    assert "done:" in ended.stderr
    check_files(target, {"file": versions.body})
    run_good("-d", target, "--conditional-get", versions.url())
    assert versions.bodies == 2
    check_files(target, {"file": versions.body})


def test_without_condition_nothing_is_written_down(origin, target):
    run_good("-d", target, Versions(origin).url())
    assert os.listxattr(target / "file") == []


def test_nothing_secret_is_written_down(origin, target):
    url = Versions(origin).url("file?token=secret").replace("//", "//user:password@")
    twice(target, url)
    value = os.getxattr(target / "file", ATTRIBUTE)
    assert b"secret" not in value and b"password" not in value and value.endswith(b'"1"')


@pytest.mark.parametrize("modified", (MODIFIED, None))
def test_without_attributes_the_time_counts(origin, target, modified):
    versions = Versions(origin, modified=modified)
    url = versions.url()
    run_good("-d", target, "--conditional-get", XATTR_OFF, url)
    assert os.listxattr(target / "file") == []
    run_good("-d", target, "--conditional-get", XATTR_OFF, url)
    assert origin.requests[-1].header("if-none-match") is None
    assert origin.requests[-1].header("if-modified-since")
    assert versions.bodies == (1 if modified else 2)
    check_files(target, {"file": versions.body})


@pytest.mark.parametrize("etag", ("*", '"' + "x" * 600 + '"'))
def test_etag_that_is_not_written_down(origin, target, etag):
    versions = Versions(origin, etag=etag, modified=MODIFIED)
    twice(target, versions.url())
    assert versions.bodies == 1
    assert origin.requests[-1].header("if-none-match") is None
    assert origin.requests[-1].header("if-modified-since") == MODIFIED


@pytest.mark.parametrize("modified_s", (-10**11, -1, 1 << 33, 1 << 40, 1 << 57))
def test_time_that_no_date_can_tell(origin, modified_s):
    class Time(ctypes.Structure):
        _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]

    versions = Versions(origin)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # where times have 64 bits
        path = os.path.join(folder, "file")
        open(path, "wb").close()
        times = (Time * 2)(Time(0, 0), Time(modified_s, 0))
        assert ctypes.CDLL(None).utimensat(-100, path.encode(), times, 0) == 0
        asked = 0 < os.stat(path).st_mtime + 62135596800 < 315537897600
        run_good("-d", folder, "--conditional-get", versions.url())
        check_files(folder, {"file": versions.body})
    assert bool(origin.requests[-1].header("if-modified-since")) == asked


@pytest.mark.parametrize("size", (0, 10, 2000))
def test_file_of_another_size_is_fetched_anew(origin, target, size):
    """Somebody has changed it, or a crash has cost it its content."""
    versions = Versions(origin)
    run_good("-d", target, "--conditional-get", versions.url())
    os.truncate(target / "file", size)
    run_good("-d", target, "--conditional-get", "--auto-file-renaming=false", versions.url())
    assert origin.requests[-1].header("if-none-match") is None
    check_files(target, {"file": versions.body})
    run_good("-d", target, "--conditional-get", versions.url())
    assert versions.bodies == 2


def test_changed_while_its_successor_comes(origin, target):
    versions = Versions(origin)
    run_good("-d", target, "--conditional-get", versions.url())
    versions.etag, versions.body = '"2"', body_bytes(2000, seed=2)
    plain = versions.answer

    @origin.on("/v")
    def answer(exchange):
        (target / "file").write_bytes(b"mine")
        return plain(exchange)

    run_good("-d", target, "--conditional-get", versions.url())
    check_files(target, {"file": b"mine", "file.1": versions.body})


@pytest.mark.parametrize("options", ((), (XATTR_OFF,)))
def test_parts_are_no_versions_of_the_file(origin, target, options):
    url = origin.url(f"/bytes/1000?modified={quote(MODIFIED)}")
    run_good("-d", target, "-R", *options, url)
    run_good("-d", target, "--conditional-get", *options, "--range", "0-99", url)
    run_good("-d", target, "--conditional-get", *options, "--range", "100-199", url)
    body = body_bytes(1000)
    check_files(target, {"1000": body, "1000.1": body[:100], "1000.2": body[100:200]})


def test_mirror_with_the_same_etag(origin, target, tmp_path):
    """It proves nothing, neither now nor the next time."""
    versions = Versions(origin)
    other = body_bytes(500, seed=5)
    origin.on("/mirror")(lambda exchange: Response(200, [("ETag", '"1"')], other))
    run_good("-d", target, "--conditional-get", versions.url())
    listing = tmp_path / "list"
    listing.write_text(f"{versions.url()}\t{origin.url('/mirror/file')}\n")
    versions.status = 404
    run_good("-d", target, "--conditional-get", "-i", listing)
    check_files(target, {"file": other})
    versions.status = None
    run_good("-d", target, "--conditional-get", "-i", listing)
    check_files(target, {"file": versions.body})


def test_checked_file_keeps_what_it_says(origin, target):
    versions = Versions(origin)
    checksum = "--checksum=sha-256=" + hashlib.sha256(versions.body).hexdigest()
    run_good("-d", target, "--conditional-get", checksum, versions.url())
    before = os.getxattr(target / "file", ATTRIBUTE)
    run_good("-d", target, "--conditional-get", "-V", checksum, versions.url())
    assert os.getxattr(target / "file", ATTRIBUTE) == before and versions.bodies == 1


def test_files_of_other_programs(origin, target):
    versions = Versions(origin, modified=MODIFIED)
    (target / "file").write_bytes(versions.body)
    os.utime(target / "file", (MODIFIED_S, MODIFIED_S))
    run_good("-d", target, "--conditional-get", versions.url())
    assert versions.bodies == 0
    assert origin.requests[-1].header("if-modified-since") == MODIFIED


def test_server_that_knows_no_conditions(origin, target):
    """The same ETag is the same file: its body is not taken."""
    versions = Versions(origin, conditions=False)
    ended = twice(target, versions.url())
    assert "unchanged" in ended.stderr
    check_files(target, {"file": versions.body})


def names(path):
    return path.rpartition("/")[2] + ".named"


def test_names_by_the_server(origin, target, tmp_path):
    versions = Versions(origin, disposition=names)
    urls = [versions.url(i) for i in range(30)]
    for _ in range(2):
        assert run_list(tmp_path, urls, "-d", target, "--conditional-get").status == 0
    assert versions.bodies == 30 and len(origin.requests) == 60
    assert sum(request.header("if-none-match") == '"1"' for request in origin.requests) == 30
    check_files(target, {f"{i}.named": versions.body for i in range(30)})


def test_names_by_the_server_without_attributes(origin, target):
    """What is not known before is known with the head: then the body is not taken."""
    versions = Versions(origin, disposition=names, modified=MODIFIED)
    for _ in range(2):
        ended = run_good("-d", target, "--conditional-get", XATTR_OFF, versions.url())
    assert "unchanged" in ended.stderr
    check_files(target, {"file.named": versions.body})


def test_one_name_for_many(origin, target, tmp_path):
    """Which file is which URL's, the files know: none takes another's place."""
    versions = Versions(origin, disposition=lambda path: "same.bin")
    urls = [versions.url(i) for i in range(20)]
    for _ in range(3):
        assert run_list(tmp_path, urls, "-d", target, "--conditional-get").status == 0
    assert versions.bodies == 20
    assert len(tree(target)) == 20


@pytest.mark.parametrize("disposition", (None, lambda path: "same.bin"))
def test_one_name_for_two_without_attributes(origin, target, disposition):
    """What one of a run has brought is no older version of another."""
    versions = Versions(origin, disposition=disposition)
    urls = [versions.url(f"{i}/same.bin") for i in range(2)]
    run_good("-d", target, "-j", "1", "--conditional-get", XATTR_OFF, *urls)
    check_files(target, {"same.bin": versions.body, "same.1.bin": versions.body})


def test_one_name_for_many_of_the_url(origin, target, tmp_path):
    versions = Versions(origin)
    urls = [versions.url(f"{i}/same.bin") for i in range(20)]
    for _ in range(3):
        assert run_list(tmp_path, urls, "-d", target, "--conditional-get").status == 0
    assert versions.bodies == 20
    assert len(tree(target)) == 20
    versions.etag = '"2"'
    assert run_list(tmp_path, urls, "-d", target, "--conditional-get").status == 0
    assert versions.bodies == 40
    assert len(tree(target)) == 20


@pytest.mark.parametrize("template", ("{sha256}", "x/{n}-{name}", "{host}/{path}/{name}"))
def test_templates(origin, target, template):
    versions = Versions(origin)
    twice(target, "-o", template, versions.url())
    assert versions.bodies == 1
    assert len(tree(target)) == 1


def test_another_version_has_another_hash(origin, target):
    versions = Versions(origin)
    bodies = [versions.body, body_bytes(2000, seed=2), versions.body]
    for number, body in enumerate(bodies):
        versions.etag, versions.body = f'"{number}"', body
        twice(target, "-o", "{sha256}", versions.url())
    assert versions.bodies == 3
    check_files(target, {hashlib.sha256(body).hexdigest(): body for body in bodies})


def test_not_modified_unasked(origin, target):
    versions = Versions(origin)
    versions.status = 304
    for options in ((), ("--conditional-get",)):
        ended = run("-d", target, *options, versions.url())
        assert ended.status != 0 and "304" in ended.stderr
    check_files(target, {})


@pytest.mark.parametrize("status", (412, 404, 500))
def test_what_goes_wrong_leaves_the_file(origin, target, status):
    versions = Versions(origin)
    run_good("-d", target, "--conditional-get", versions.url())
    versions.status = status
    ended = run("-d", target, "--conditional-get", "-m", "1", versions.url())
    assert ended.status != 0 and str(status) in ended.stderr
    check_files(target, {"file": versions.body})


def test_partial_file_is_gone_on_with(origin, target):
    """A newer version that was not finished: no condition, but the rest of it."""
    size = 3_000_000
    run_good("-d", target, "--conditional-get", "-o", "f", origin.url(f"/bytes/{size}?etag=old"))
    url = origin.url(f"/bytes/{size}?etag=old").replace("/bytes/", "/changing/")
    state = {"etag": '"1"', "stop": False}

    @origin.on("/changing")
    def changing(exchange):
        if exchange.request.header("if-none-match") == state["etag"]:
            return Response(304, [("ETag", state["etag"])])
        exchange.request.query["etag"] = state["etag"]
        if not state["stop"]:
            return origin.handlers["/bytes"](exchange)
        exchange.head(200, [("Content-Length", size), ("ETag", state["etag"])])
        exchange.body(size // 2)
        while not exchange.origin.stopping.is_set():
            exchange.sleep(0.05)
        return None

    (target / "f").unlink()
    run_good("-d", target, "--conditional-get", "-o", "f", url)
    state.update(etag='"2"', stop=True)
    with Haul("-d", target, "--conditional-get", "--auto-save-interval=0.2", "-o", "f", url) as haul:
        haul.wait_until(lambda: any(name.endswith(".journal") for name in tree(target)), "it is noted")
        haul.ends_within(0.7)
        haul.signal(signal.SIGKILL)
        haul.finish(killed_by=(signal.SIGKILL,))
    state["stop"] = False
    run_good("-d", target, "--conditional-get", "-o", "f", url)
    assert origin.requests[-1].header("range") and not origin.requests[-1].header("if-none-match")
    check_files(target, {"f": body_bytes(size)})
    run_good("-d", target, "--conditional-get", "-o", "f", url)
    assert origin.requests[-1].header("if-none-match") == '"2"'


def test_version_that_was_taken_back(origin, target):
    """The finished file is right again: of the other one nothing is left."""
    versions = Versions(origin)
    versions.body = body_bytes(3_000_000)
    plain = versions.answer
    run_good("-d", target, "--conditional-get", versions.url())

    @origin.on("/v")
    def other(exchange):
        exchange.head(200, [("Content-Length", 3_000_000), ("ETag", '"2"')])
        exchange.body(1_500_000)
        while not exchange.origin.stopping.is_set():
            exchange.sleep(0.05)

    with Haul("-d", target, "--conditional-get", "--auto-save-interval=0.2", versions.url()) as haul:
        haul.wait_until(lambda: any(name.endswith(".journal") for name in tree(target)), "it is noted")
        haul.signal(signal.SIGTERM)
        haul.finish()
    assert len(tree(target)) == 3
    origin.on("/v")(plain)
    for _ in range(2):
        run_good("-d", target, "--conditional-get", versions.url())
        check_files(target, {"file": versions.body})
    assert origin.requests[-1].header("if-none-match") == '"1"'


@pytest.mark.parametrize("options", ((), (XATTR_OFF,), ("--threads=2",), ("-R",)))
def test_nginx_sends_no_body_twice(nginx_files, target, tmp_path, options):
    urls = [nginx_files.url("http", f"/f/{i}") for i in range(40)]
    for _ in range(2):
        assert run_list(tmp_path, urls, "-d", target, "--conditional-get", *options).status == 0
    requests = nginx_files.requests(at_least=80)
    assert [request["status"] for request in requests] == [200] * 40 + [304] * 40
    assert sum(request["body_bytes_sent"] for request in requests[40:]) == 0
    os.utime(nginx_files.root / "f" / "7", (1, 1))
    assert run_list(tmp_path, urls, "-d", target, "--conditional-get", *options).status == 0
    requests = nginx_files.requests(at_least=120)[80:]
    assert sorted(request["status"] for request in requests) == [200] + [304] * 39
    check_files(target, {str(i): (nginx_files.root / "f" / str(i)).read_bytes() for i in range(40)})


def test_killed_while_it_is_replaced(origin, target):
    versions = Versions(origin)
    versions.body = body_bytes(300_000)
    path = target / "file"
    run_good("-d", target, "--conditional-get", versions.url())
    for number in range(2, 22):
        old, versions.body = versions.body, body_bytes(300_000, seed=number)
        versions.etag = f'"{number}"'
        with Haul("-d", target, "--conditional-get", versions.url()) as haul:
            haul.ends_within((number - 2) * 0.003)
            haul.process.kill()
            haul.process.wait()
        assert path.read_bytes() in (old, versions.body)
        run_good("-d", target, "--conditional-get", versions.url())
        check_files(target, {"file": versions.body})
