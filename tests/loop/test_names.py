# SPDX-License-Identifier: GPL-3.0-or-later
"""What files are called: by the server, by templates, by directories; and that nothing leads out of the directory."""

import base64
import gzip
import hashlib
import os
import signal
import threading
from urllib.parse import quote

import pytest

from haul import Haul, check_files, run, run_good, run_list
from origin import Response, body_bytes
from testbed import tree


def disposition(origin, name, size=10, **query):
    """A URL whose response has this file name, as it stands in the field."""
    fields = {"disposition": f"attachment; filename={name}", **query}
    return origin.url(f"/bytes/{size}?" + "&".join(f"{key}={quote(value)}" for key, value in fields.items()))


# Content-Disposition.


@pytest.mark.parametrize("sent, name", [
    ('"cat.jpg"', "cat.jpg"),
    ("two words.jpg", "two words.jpg"),
    ("x; filename*=UTF-8''%E7%8C%AB%20%D0%BA%D0%BE%D1%82.jpg", "猫 кот.jpg"),
    ('"../../evil"', "evil"),
    ('"/etc/passwd"', "passwd"),
    ('".bashrc"', "_bashrc"),
    ('"-rf"', "_rf"),
    ('"' + "n" * 300 + '.jpeg"', "n" * 250 + ".jpeg"),
    ('".."', "10"),
    ('""', "10"),
    ('"10.01234567.haul"', "10.01234567.haul_"),
    ('"10.01234567.haul.journal"', "10.01234567.haul.journal_"),
])
def test_server_says_the_name(origin, target, sent, name):
    ended = run_good("-d", target, disposition(origin, sent))
    check_files(target, {name: body_bytes(10)})
    assert name in ended.stderr


def test_long_name_in_two_scripts(origin, target):
    name = "猫" * 60 + "д" * 60 + ".jpeg"
    run_good("-d", target, disposition(origin, "x; filename*=UTF-8''" + quote(name)))
    [found] = tree(target)
    assert len(found.encode()) == 255 - (255 - 5 - 180) % 2
    assert found == ("猫" * 60 + "д" * 35)[:len(found) - 5] + ".jpeg"


def test_user_knows_better(origin, target):
    run_good("-d", target, "-o", "mine", disposition(origin, "theirs"))
    run_good("-d", target, "--content-disposition=false", disposition(origin, "theirs"))
    check_files(target, {"mine": body_bytes(10), "10": body_bytes(10)})


def test_two_of_one_name(origin, target):
    run_good("-d", target, disposition(origin, "same.bin", 11), disposition(origin, "same.bin", 12))
    found = sorted((target / name).read_bytes() for name in ("same.bin", "same.1.bin"))
    assert found == [body_bytes(11), body_bytes(12)]
    assert len(tree(target)) == 2


def test_temporary_name_is_of_the_url(origin, target):
    """So the next run finds what there is before it knows the name."""
    size = 3_000_000
    url = disposition(origin, "late.bin", size, etag="x")
    plain = origin.handlers["/bytes"]
    origin.on("/bytes")(lambda exchange: stop_in_the_middle(exchange, size))
    with Haul("-d", target, "--auto-save-interval=0.2", url) as haul:
        haul.wait_until(lambda: any(name.endswith(".journal") for name in tree(target)), "it is noted")
        haul.ends_within(0.7)
        assert all(name.startswith(f"{size}.") for name in tree(target))
        haul.signal(signal.SIGKILL)
        haul.finish(killed_by=(signal.SIGKILL,))
    origin.handlers["/bytes"] = plain
    run_good("-d", target, url)
    assert origin.requests[-1].header("range")
    check_files(target, {"late.bin": body_bytes(size)})


def stop_in_the_middle(exchange, size):
    exchange.head(200, [("Content-Length", size), ("ETag", '"x"'), ("Content-Disposition", "x; filename=late.bin")])
    exchange.body(size // 2)
    while not exchange.origin.stopping.is_set():
        exchange.sleep(0.05)


# What is there already.


def test_no_renaming(origin, target):
    (target / "same").write_bytes(b"old")
    ended = run("-d", target, "--auto-file-renaming=false", disposition(origin, "same", 100_000))
    assert ended.status == 13, ended.stderr
    check_files(target, {"same": b"old"})


@pytest.mark.parametrize("known", ("early", "late"))
def test_overwrite(origin, target, known):
    name = "10" if known == "early" else "late"
    (target / name).write_bytes(b"old")
    url = origin.url("/bytes/10") if known == "early" else disposition(origin, "late")
    run_good("-d", target, "--allow-overwrite", "--auto-file-renaming=false", url)
    check_files(target, {name: body_bytes(10)})


def test_overwrite_is_for_what_was_there_before(origin, target):
    """Two of one run have two names all the same, one after the other or at once."""
    (target / "same").write_bytes(b"old")
    urls = [disposition(origin, "same", size) for size in (11, 12, 13)]
    run_good("-d", target, "--allow-overwrite", "-j", "1", *urls)
    check_files(target, {"same": body_bytes(11), "same.1": body_bytes(12), "same.2": body_bytes(13)})
    run_good("-d", target, "--allow-overwrite", "-j", "1", *reversed(urls))
    check_files(target, {"same": body_bytes(13), "same.1": body_bytes(12), "same.2": body_bytes(11)})


def test_what_fails_overwrites_nothing(origin, target):
    (target / "1000").write_bytes(b"old")
    (target / "5").write_bytes(b"old")
    url = origin.url("/short/1000/10")
    assert run("-d", target, "-o", "1000", "--allow-overwrite", "-m", "1", url).status != 0
    wrong = run("-d", target, "--allow-overwrite", "--checksum=md5=" + "0" * 32, origin.url("/bytes/5"))
    assert wrong.status == 32
    assert (target / "1000").read_bytes() == (target / "5").read_bytes() == b"old"


def test_overwriting_replaces_a_link(origin, target, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"theirs")
    (target / "10").symlink_to(outside)
    run_good("-d", target, "--allow-overwrite", origin.url("/bytes/10"))
    assert not (target / "10").is_symlink()
    check_files(target, {"10": body_bytes(10)})
    assert outside.read_bytes() == b"theirs"


def test_a_directory_is_not_overwritten(origin, target):
    (target / "10").mkdir()
    run_good("-d", target, "--allow-overwrite", origin.url("/bytes/10"))
    assert (target / "10").is_dir() and (target / "10.1").read_bytes() == body_bytes(10)


def test_killed_while_overwriting(origin, target):
    """Whenever it is killed, there is the old file or the new one, and whole."""
    old, new = b"o" * 300_000, body_bytes(300_000)
    path = target / "300000"
    for delay_ms in range(0, 60, 3):
        path.write_bytes(old)
        with Haul("-d", target, "--allow-overwrite", origin.url("/bytes/300000")) as haul:
            haul.ends_within(delay_ms / 1000)
            haul.process.kill()
            haul.process.wait()
        assert path.read_bytes() in (old, new)
    seen = set()
    path.write_bytes(old)
    done = threading.Event()

    def look():
        while not done.is_set():
            seen.add(path.read_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    run_good("-d", target, "--allow-overwrite", origin.url("/bytes/300000"))
    done.set()
    watcher.join()
    assert seen <= {old, new} and path.read_bytes() == new


def test_no_clobber(origin, target):
    (target / "10").write_bytes(b"mine")
    ended = run_good("-d", target, "--no-clobber", origin.url("/bytes/10"), origin.url("/bytes/11"))
    check_files(target, {"10": b"mine", "11": body_bytes(11)})
    assert [request.path for request in origin.requests] == ["/bytes/11"]
    assert f"unchanged: {target}/10" in ended.stderr


def test_no_clobber_of_a_name_that_comes_late(origin, target):
    (target / "late").write_bytes(b"mine")
    size = 8_000_000
    ended = run_good("-d", target, "--no-clobber", disposition(origin, "late", size))
    check_files(target, {"late": b"mine"})
    assert f"unchanged: {target}/late" in ended.stderr


# Templates.


TEMPLATES = [
    ("{name}", "10"),
    ("x-{n:03}{ext}", "x-001"),
    ("{host}/{path}/{name}", "127.0.0.1:PORT/bytes/10"),
    ("sub/{host}/{n}", "sub/127.0.0.1:PORT/1"),
    ("{sha256}.bin", hashlib.sha256(body_bytes(10)).hexdigest() + ".bin"),
    ("{{{name}}", "{10}"),
]


@pytest.mark.parametrize("template, name", TEMPLATES)
@pytest.mark.parametrize("way", ("option", "list"))
def test_template(origin, target, tmp_path, template, name, way):
    name = name.replace("PORT", origin.url("/").split(":")[2].strip("/"))
    if way == "option":
        run_good("-d", target, "-o", template, origin.url("/bytes/10"))
    else:
        assert run_list(tmp_path, [origin.url("/bytes/10"), f" out={template}"], "-d", target).status == 0
    check_files(target, {name: body_bytes(10)})


def test_template_and_the_servers_name(origin, target):
    run_good("-d", target, "-o", "{n}-{name}", "-j", "1", disposition(origin, "a.jpg"), disposition(origin, "b.tar.gz"))
    run_good("-d", target, "-o", "{n}{ext}", "-j", "1", disposition(origin, "a.jpg"), disposition(origin, "b.tar.gz"))
    assert tree(target) == sorted(["1-a.jpg", "2-b.tar.gz", "1.jpg", "2.gz"])


@pytest.mark.parametrize("options", ((), ("-s", "4", "-k", "1M")))
def test_hash_of_a_large_file(origin, target, options):
    body = body_bytes(5_000_000)
    run_good("-d", target, "-o", "{sha256}", *options, origin.url("/bytes/5000000?etag=x"))
    check_files(target, {hashlib.sha256(body).hexdigest(): body})


def test_hash_besides_a_checksum(origin, target):
    body = body_bytes(10)
    run_good("-d", target, "-o", "{sha256}", "--checksum=md5=" + hashlib.md5(body).hexdigest(), origin.url("/bytes/10"))
    check_files(target, {hashlib.sha256(body).hexdigest(): body})


@pytest.mark.parametrize("announced", ("packed", "plain"))
def test_hash_of_what_was_unpacked(origin, target, announced):
    body = body_bytes(3000)
    packed = gzip.compress(body)
    digest = base64.b64encode(hashlib.sha256(packed if announced == "packed" else body).digest()).decode()
    fields = [("Content-Encoding", "gzip"), ("Repr-Digest", f"sha-256=:{digest}:")]
    origin.on("/packed")(lambda exchange: Response(200, fields, packed))
    run_good("-d", target, "--compressed", "-o", "{sha256}", origin.url("/packed"))
    check_files(target, {hashlib.sha256(body).hexdigest(): body})


def test_hash_with_no_clobber_keeps_one_of_each(origin, target):
    for url in ("/bytes/10", "/bytes/10?again"):
        run_good("-d", target, "-o", "{sha256}", "--no-clobber", origin.url(url))
    check_files(target, {hashlib.sha256(body_bytes(10)).hexdigest(): body_bytes(10)})


@pytest.mark.parametrize("template, why", [
    ("{nome}", "{nome}"), ("{name}/x", "{name}"), ("{sha256}/x", "{sha256}"), ("a{path}/x", "{path}"), ("{n:4}", "{n:4}"),
    ("../{name}", "not the name"),
])
def test_bad_template(origin, target, template, why):
    ended = run("-d", target, "-o", template, origin.url("/bytes/10"))
    assert ended.status == 28 and why in ended.stderr, ended.stderr
    assert not origin.requests


def test_force_directories(origin, target):
    host = origin.url("/").split("/")[2]
    origin.on("/a")(lambda exchange: Response(200, [], exchange.request.path.encode()))
    run_good("-d", target, "--force-directories", origin.url("/a/b/c/d.jpg?q"), origin.url("/a/%2e%2e%2fx/%2Fy"),
             origin.url("/a/"))
    check_files(target, {f"{host}/a/b/c/d.jpg": b"/a/b/c/d.jpg", f"{host}/a/.._x/_y": None,
                         f"{host}/a/index.html": b"/a/"})


# The way out.


LINKS = ["/tmp", "..", "../outside", "/proc/self/cwd"]


@pytest.mark.parametrize("old_kernel", (False, True))
@pytest.mark.parametrize("link", LINKS)
def test_no_way_out_by_a_link(origin, target, tmp_path, link, old_kernel):
    (tmp_path / "outside").mkdir()
    (target / "a").symlink_to(link)
    options = ["--kernel-features-off=openat2"] if old_kernel else []
    for out in ("a/x", "a/b/x"):
        ended = run("-d", target, *options, "-o", out, origin.url("/bytes/10"))
        assert ended.status == 18, ended.stderr
        assert "link" in ended.stderr and "nothing is written there" in ended.stderr
    assert tree(tmp_path / "outside") == tree(target) == []


def test_link_that_stays_within(origin, target):
    (target / "real").mkdir()
    (target / "a").symlink_to("real")
    (target / "real" / "up").symlink_to("../real")
    run_good("-d", target, "-o", "a/up/b/x", origin.url("/bytes/10"))
    assert (target / "real" / "b" / "x").read_bytes() == body_bytes(10)


def test_directory_may_be_a_link(origin, target, tmp_path):
    (tmp_path / "link").symlink_to(target)
    run_good("-d", tmp_path / "link", "-o", "a/x", origin.url("/bytes/10"))
    check_files(target, {"a/x": body_bytes(10)})


def test_links_that_come_and_go(origin, target, tmp_path):
    """Somebody exchanges a directory for a link that leads out, over and over."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (target / "real").mkdir()
    (target / "link").symlink_to(outside)
    done = threading.Event()

    def exchange():
        while not done.is_set():
            for source in ("real", "link"):
                try:
                    os.rename(target / source, target / "d")
                    os.rename(target / "d", target / source)
                except OSError:
                    pass

    attacker = threading.Thread(target=exchange)
    attacker.start()
    try:
        for i in range(30):
            run("-d", target, *[argument for j in range(10) for argument in (origin.url(f"/bytes/{j}"),)],
                "-o", f"d/s{i}/" + "{n}")
    finally:
        done.set()
        attacker.join()
    assert tree(outside) == []


@pytest.mark.parametrize("old_kernel", (False, True))
def test_deep_directories(origin, target, old_kernel):
    options = ["--kernel-features-off=openat2"] if old_kernel else []
    out = "/".join(["d" * 100] * 20) + "/x"
    run_good("-d", target / "new" / "er", *options, "--durable", "-o", out, origin.url("/bytes/10"))
    assert (target / "new" / "er" / out).read_bytes() == body_bytes(10)
