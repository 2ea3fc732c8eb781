# SPDX-License-Identifier: GPL-3.0-or-later
"""What haul is for, on servers that behave: files arrive whole, under the right names, in the right places."""

import base64
import os
import subprocess
import time

import pytest

from conftest import HOSTS, MANY, SIZES
from haul import Haul, check_files, plain_binary, run, run_good, run_list
from origin import Response, body_bytes
from testbed import compare_trees

GOOD_KINDS = ("http", "tls13-ecdsa", "tls13-rsa", "tls12-ecdsa", "tls12-rsa")
FEATURES = ("single-issuer", "defer-taskrun", "coop-taskrun", "rename-noreplace")


def many_lines(nginx, kind):
    """A list of all of many/, spread over the hosts, each file in the place that it has on the server."""
    for i in range(MANY):
        yield nginx.url(kind, f"/many/{i:03}", host=HOSTS[i % len(HOSTS)])
        yield " dir=."
        yield f" out=many/{i:03}"


def many_names():
    return [f"many/{i:03}" for i in range(MANY)]


def requests_of(nginx, agent, count):
    """The requests in nginx's log that came with this user agent, once there are so many."""
    deadline = time.monotonic() + 10
    while True:
        found = [request for request in nginx.requests() if request["user_agent"] == agent]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


# Bytes.


@pytest.mark.parametrize("kind", ("http", "tls13-ecdsa"))
@pytest.mark.parametrize("size", SIZES)
def test_file_of_size(nginx, media, target, kind, size):
    ended = run("--ca-certificate", nginx.ca, "-d", target, nginx.url(kind, f"/size/{size}"))
    assert ended.status == 0, ended.stderr
    check_files(target, {str(size): (media / "size" / str(size)).read_bytes()})


@pytest.mark.parametrize("kind", GOOD_KINDS)
def test_hundreds_of_files_from_several_hosts(nginx, media, target, tmp_path, kind):
    ended = run_list(tmp_path, many_lines(nginx, kind), "--ca-certificate", nginx.ca, cwd=target)
    assert ended.status == 0, ended.stderr
    assert compare_trees(media, target, many_names()) == []


def test_all_kinds_of_servers_at_once(nginx, media, target, tmp_path):
    lines = []
    for kind in GOOD_KINDS:
        for size in SIZES:
            lines += [nginx.url(kind, f"/size/{size}"), f" out={kind}/size/{size}"]
    ended = run_list(tmp_path, lines, "--ca-certificate", nginx.ca, "-d", target, "-j", 20, "-x", 20)
    assert ended.status == 0, ended.stderr
    for kind in GOOD_KINDS:
        assert compare_trees(media, target / kind, [f"size/{size}" for size in SIZES]) == []


@pytest.mark.parametrize("kind", ("http", "tls13-ecdsa", "tls12-rsa"))
def test_connections_are_kept_alive(nginx, media, target, tmp_path, kind):
    agent = f"keep-alive {kind}"
    lines = [nginx.url(kind, f"/many/{i:03}") for i in range(200)]
    ended = run_list(tmp_path, lines, "--ca-certificate", nginx.ca, "-d", target, "-x", 3, "-U", agent)
    assert ended.status == 0, ended.stderr
    requests = requests_of(nginx, agent, 200)
    assert len(requests) == 200
    assert len({request["connection"] for request in requests}) <= 3


@pytest.mark.parametrize("features", (*FEATURES, ",".join(FEATURES)))
def test_without_kernel_features(nginx, media, target, tmp_path, features):
    """Every fallback does the same work."""
    lines = [nginx.url(("http", "tls13-ecdsa")[i % 2], f"/many/{i:03}") for i in range(50)]
    lines += [nginx.url("tls13-rsa", "/size/5000000"), nginx.url("http", "/size/262145")]
    ended = run_list(tmp_path, lines, "--kernel-features-off", features, "--ca-certificate", nginx.ca, "-d", target)
    assert ended.status == 0, ended.stderr
    names = {f"many/{i:03}": f"{i:03}" for i in range(50)}
    names |= {"size/5000000": "5000000", "size/262145": "262145"}
    assert compare_trees(media, target, names) == []


def test_memory_does_not_grow_with_the_file(nginx):
    with Haul("--discard", "-i", "-", stdin=subprocess.PIPE, binary=plain_binary()) as haul:
        haul.feed(nginx.url("http", "/huge\n"))
        haul.wait_until(lambda: "done:" in haul.stderr(), "it has the file", timeout=30)
        peak_kib = haul.peak_kib()
        haul.end_input()
        assert haul.finish().status == 0
    assert peak_kib < 16 * 1024


# Names and places.


def test_name_is_the_last_part_of_the_path(origin, target):
    run_good("-d", target, origin.url("/bytes/5?etag=x#fragment"))
    check_files(target, {"5": body_bytes(5)})


@pytest.mark.parametrize("path, name", (("/", "index.html"), ("/folder/", "index.html"),
                                        ("/with%20space%20%C3%A4%25.bin", "with space ä%.bin"),
                                        ("/" + "n" * 255, "n" * 255)))
def test_name_of(nginx, target, path, name):
    run_good("-d", target, nginx.url("http", path))
    check_files(target, {name: None})


@pytest.mark.parametrize("path, name", (
    ("/n/..%2f..%2fup", ".._.._up"),
    ("/n/%2e%2e", None),  # is the path "/"
    ("/n/%2fetc%2fpasswd", "_etc_passwd"),
    ("/n/a%00b", "a_b"),
    ("/n/a%1b%5b31mb%0a", "a_[31mb_"),
    ("/n/%ff.bin", "_.bin"),
    ("/n/" + "%C3%A4" * 200 + ".jpeg", "ä" * 125 + ".jpeg"),
    ("/n/" + "l" * 1000 + ".jpeg", "l" * 250 + ".jpeg"),
))
def test_name_that_a_server_chose_is_made_safe(origin, target, tmp_path, path, name):
    """Nothing is ever written outside of the directory."""
    origin.on("/")(lambda exchange: Response(200, [], b"ok"))
    run_good("-d", target, origin.url(path))
    check_files(tmp_path, {f"target/{name or 'index.html'}": b"ok"})


def test_two_urls_of_one_name_get_two_names(origin, target):
    run_good("-d", target, *(origin.url(f"/bytes/5?seed={seed}") for seed in range(3)))
    assert {path.name for path in target.iterdir()} == {"5", "5.1", "5.2"}
    assert {path.read_bytes() for path in target.iterdir()} == {body_bytes(5, seed) for seed in range(3)}


def test_one_url_twice(origin, target):
    run_good("-d", target, origin.url("/bytes/300000"), origin.url("/bytes/300000"))
    check_files(target, {"300000": body_bytes(300000), "300000.1": body_bytes(300000)})


def test_existing_file_is_left_alone(origin, target):
    (target / "photo.jpeg").write_bytes(b"mine")
    (target / "photo.1.jpeg").write_bytes(b"mine too")
    origin.on("/photo.jpeg")(lambda exchange: Response(200, [], b"new"))
    run_good("-d", target, origin.url("/photo.jpeg"))
    check_files(target, {"photo.jpeg": b"mine", "photo.1.jpeg": b"mine too", "photo.2.jpeg": b"new"})


def test_dangling_link_is_an_existing_file(origin, target, tmp_path):
    (target / "5").symlink_to(tmp_path / "elsewhere")
    run_good("-d", target, origin.url("/bytes/5"))
    assert (target / "5").is_symlink() and not (tmp_path / "elsewhere").exists()
    assert (target / "5.1").read_bytes() == body_bytes(5)


def test_existing_file_is_an_error_without_renaming(origin, target):
    (target / "5").write_bytes(b"mine")
    ended = run("--auto-file-renaming=false", "-d", target, origin.url("/bytes/5"))
    assert ended.status == 13
    assert "5 is there already" in ended.stderr
    check_files(target, {"5": b"mine"})


def test_output_name(origin, target):
    run_good("-d", target, "-o", "name.bin", origin.url("/bytes/5"))
    check_files(target, {"name.bin": body_bytes(5)})


def test_directories_are_created(origin, target):
    run_good("-d", target / "a/b/c", "-o", "d/e", origin.url("/bytes/5"))
    check_files(target, {"a/b/c/d/e": body_bytes(5)})


def test_directory_is_the_current_one_by_default(origin, target):
    run_good(origin.url("/bytes/5"), cwd=target)
    check_files(target, {"5": body_bytes(5)})


@pytest.mark.parametrize("name", ("../up", "a/../../up", "..", "a/", "."))
def test_output_name_stays_in_the_directory(origin, target, name):
    ended = run("-d", target, "-o", name, origin.url("/bytes/5"))
    assert ended.status == 28
    assert "not the name of a file in the directory" in ended.stderr
    check_files(target.parent, {})


def test_permissions_follow_the_umask(origin, target):
    run_good("-d", target, origin.url("/bytes/5"), prefix=["sh", "-c", 'umask 027 && exec "$@"', "sh"])
    assert (target / "5").stat().st_mode & 0o777 == 0o640


# Other places than files.


def test_standard_output(origin, target):
    ended = run_good("-d", target, "-o", "-", origin.url("/bytes/300000"))
    assert ended.stdout == body_bytes(300000)
    check_files(target, {})


def test_standard_output_that_is_read_slowly(nginx, media):
    with Haul("-o", "-", nginx.url("http", "/size/5000000"), stdout=subprocess.PIPE) as haul:
        received = b""
        while block := haul.process.stdout.read1(65536):
            received += block
            time.sleep(0.001)
        assert haul.finish().status == 0
    assert received == (media / "size/5000000").read_bytes()


@pytest.mark.parametrize("mode", ("ab", "r+b"))
def test_standard_output_is_a_file_that_is_written_behind_others(origin, tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with open(path, mode) as file:
        file.seek(6)
        run_good("-o", "-", origin.url("/bytes/300000"), stdout=file)
        assert file.tell() == 300006 or mode == "ab"
    check_files(tmp_path, {"file": b"before" + body_bytes(300000)})


def test_discard(origin, target):
    ended = run_good("--discard", "-d", target, origin.url("/bytes/300000"))
    assert ended.stdout == b"" and "293.0 KiB" in ended.stderr
    check_files(target, {})
    assert origin.requests[0].method == "GET"


def test_dry_run_asks_and_lists(origin, target):
    origin.on("/unknown")(lambda exchange: exchange.head(200, [("Transfer-Encoding", "chunked")]))
    good, unknown, missing = origin.url("/bytes/300000"), origin.url("/unknown/5"), origin.url("/status/404")
    ended = run("--dry-run", "-d", target, good, unknown, missing)
    assert ended.status == 3
    assert sorted(ended.stdout.decode().splitlines()) == sorted(
        [f"{good}\t200\t300000\t300000", f"{unknown}\t200\t-\t5", f"{missing}\t404\t-\t-"])
    check_files(target, {})
    assert {request.method for request in origin.requests} == {"HEAD"}


# What is sent.


def test_request_is_a_plain_one(origin, target):
    run_good("-d", target, origin.url("/bytes/5?a=b&c=%20d"))
    head = origin.requests[0].head.decode()
    assert head.startswith("GET /bytes/5?a=b&c=%20d HTTP/1.1\r\n")
    assert origin.requests[0].header("host") == f"127.0.0.1:{origin.port}"
    assert origin.requests[0].header("user-agent").startswith("haul/")
    assert origin.requests[0].header("accept-encoding") == "identity"
    names = [name.lower() for name, _ in origin.requests[0].fields]
    assert len(names) == len(set(names))


def test_control_characters_in_a_url_are_sent_encoded(origin, target):
    run("-d", target, origin.url("/a\x1b[31m b\x7fä"))
    assert origin.requests[0].target == "/a%1B[31m%20b%7F%C3%A4"


def test_headers_of_the_user(origin, target):
    run_good("-d", target, "--header", "X-One: 1", "--header=X-Two:  2 ", "-U", "me/1.0", origin.url("/bytes/5"))
    request = origin.requests[0]
    assert [request.header(name) for name in ("x-one", "x-two", "user-agent")] == ["1", "2", "me/1.0"]


@pytest.mark.parametrize("name", ("Host", "User-Agent", "Accept", "Accept-Encoding"))
def test_header_of_the_user_replaces_ours(origin, target, name):
    run_good("-d", target, "--header", f"{name.lower()}: other", origin.url("/bytes/5"))
    assert [value for key, value in origin.requests[0].fields if key.lower() == name.lower()] == ["other"]


def test_header_without_a_value_leaves_ours_out(origin, target):
    run_good("-d", target, "--header", "User-Agent:", origin.url("/bytes/5"))
    assert origin.requests[0].header("user-agent") is None


@pytest.mark.parametrize("header", ("no colon", "a b: c", ": x", "X: a\r\nY: b", "X: \x01", "Content-Length: 5",
                                    "Range: bytes=0-1"))
def test_header_that_cannot_be_sent_is_refused(origin, target, header):
    ended = run("-d", target, "--header", header, origin.url("/bytes/5"))
    assert ended.status == 28
    assert "can't be sent" in ended.stderr
    assert origin.requests == []


def test_login_in_the_url_is_sent_and_never_shown(origin, target, tmp_path):
    log = tmp_path / "log"
    url = origin.url("/bytes/5").replace("://", "://user:se%63ret@")
    ended = run_good("-d", target, "--log", log, url)
    assert origin.requests[0].header("authorization") == "Basic " + base64.b64encode(b"user:secret").decode()
    refused = run("-d", target, "--log", log, origin.url("/status/404").replace("://", "://user:se%63ret@"))
    assert refused.status == 3
    for text in (ended.stderr, refused.stderr, log.read_text()):
        assert "secret" not in text and "se%63ret" not in text


@pytest.mark.parametrize("out", ("/tmp/name", "../name", "a/../name", "a/", ".", "x" * 256))
def test_out_stays_in_the_directory(origin, target, out):
    ended = run("-d", target, "-o", out, origin.url("/bytes/5"))
    assert ended.status == 28, ended.stderr
    assert origin.requests == []
    assert not target.exists() or not list(target.iterdir())


# What is said.


@pytest.mark.parametrize("path, status", (
    ("/bytes/5", 0), ("/status/404", 3), ("/status/410", 3), ("/status/403", 22), ("/status/400", 22),
    ("/status/401", 24), ("/status/407", 24), ("/status/500", 22), ("/status/502", 22), ("/status/504", 22),
    ("/status/503", 29), ("/status/429", 29), ("/status/418", 22), ("/status/300", 22), ("/status/304", 22),
    ("/short/10/5", 6), ("/loop", 23), ("/garbage", 22),
))
def test_exit_status(origin, target, path, status):
    ended = run("-m", 1, "-d", target, origin.url(path))
    assert ended.status == status, ended.stderr
    assert len(ended.lines) == 1 and origin.url(path) in ended.stderr or status == 0
    check_files(target, {} if status else {"5": body_bytes(5)})


def test_exit_status_of_several_failures_is_the_lowest_but_one(origin, tls_origin, target):
    ended = run("-m", 1, "-d", target, tls_origin.url("/not-trusted"), origin.url("/status/401"),
                origin.url("/short/10/5"), origin.url("/bytes/6"))
    assert ended.status == 6
    assert ended.lines[-1].startswith("1 done, 3 failed")
    check_files(target, {"6": body_bytes(6)})


@pytest.mark.parametrize("arguments", ((), ("--no-such-option",), ("-j", "0"), ("-j", "x"), ("-x",), ("-t", "-1"),
                                       ("-o", "name", "http://a/", "http://b/"), ("--wait=1h", "http://a/")))
def test_wrong_command_line(arguments):
    ended = run(*arguments)
    assert ended.status == 28
    assert ended.stdout == b"" and ended.stderr.strip()


@pytest.mark.parametrize("url", ("ftp://127.0.0.1/", "127.0.0.1", "http://", "http://[::1", "http://a b/",
                                 "http://127.0.0.1:99999/", "/etc/passwd", ""))
def test_what_is_no_url_is_refused(target, url):
    ended = run("-d", target, url)
    assert ended.status == 28
    assert len(ended.lines) == 1
    check_files(target, {})


def test_nobody_listens(target):
    ended = run("-m", 1, "-d", target, "http://127.0.0.1:1/")
    assert ended.status == 6
    assert "Connection refused" in ended.stderr and "127.0.0.1:1" in ended.stderr


@pytest.mark.parametrize("option", ("--help", "--version", "-h", "-v"))
def test_help_and_version(option):
    ended = run_good(option)
    assert ended.stdout.startswith((b"Usage: haul", b"haul "))
    assert ended.stderr == ""


def test_standard_output_that_cannot_be_written():
    with open("/dev/full", "wb") as full:
        ended = run("--help", stdout=full)
    assert ended.status == 17


def test_quiet(origin, target):
    assert run_good("-q", "-d", target, origin.url("/bytes/5")).stderr == ""
    assert run("-q", "-d", target, origin.url("/status/404")).stderr == ""


def test_log_tells_what_was_decided(origin, target, tmp_path):
    log = tmp_path / "log"
    run("--log", log, "-d", target, "-m", 2, "--retry-wait=0.1", origin.url("/bytes/5"), origin.url("/short/10/5"))
    text = log.read_text()
    assert text.splitlines()[0].count("haul ") and "try 2 follows" in text
    assert all(line[:2] == "20" for line in text.splitlines())


def test_closed_standard_descriptors_do_no_harm(origin, target):
    """A file that gets descriptor 2 would hold messages."""
    run_good("-d", target, origin.url("/bytes/300000"), prefix=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    check_files(target, {"300000": body_bytes(300000)})


def test_ends_when_there_is_nothing_to_do(tmp_path):
    assert run_list(tmp_path, []).status == 0
    assert run("-i", os.devnull).status == 0
