# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums that the user names, and digests that servers send: what is wrong never gets the final name."""

import base64
import hashlib
import signal

import pytest

import testbed
from haul import Haul, check_files, run, run_good, run_list
from origin import Response, body_bytes
from test_segments import Paced
from testbed import Relay

MIB = 1 << 20
SIZE = 6 * MIB + 77
EIGHT = ("-s", "8", "-x", "8", "-k", "1M")
TYPES = {"md5": "md5", "sha-1": "sha1", "sha-224": "sha224", "sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
CONTENTS = {"file": SIZE, "small": 1000, "empty": 0}


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    root = tmp_path_factory.mktemp("checksum")
    testbed.make_media(root, CONTENTS)
    return root


def digest(content, name="sha256"):
    return hashlib.new(name, content)


def sent(content, name="sha256"):
    return base64.b64encode(digest(content, name).digest()).decode()


def digest_fields(right, wrong):
    """location -> (fields, whether auto and require take it)"""
    return {
        "repr": ([f'Repr-Digest "sha-256=:{right}:"'], True, True),
        "content": ([f'Content-Digest "sha-256=:{right}:"'], True, True),
        "old": ([f'Digest "SHA-256={right}"'], True, True),
        "both": ([f'Repr-Digest "sha-256=:{right}:"', f'Digest "SHA-256={right}"'], True, True),
        "unknown": (['Repr-Digest "unixsum=:AAA=:"'], True, False),
        "nonsense": (['Repr-Digest "sha-256=nonsense"'], True, False),
        "none": ([], True, False),
        "repr-wrong": ([f'Repr-Digest "sha-256=:{wrong}:"'], False, False),
        "content-wrong": ([f'Content-Digest "sha-256=:{wrong}:"'], False, False),
        "old-wrong": ([f'Digest "SHA-256={wrong}"'], False, False),
        "one-wrong": ([f'Repr-Digest "md5=:AAAAAAAAAAAAAAAAAAAAAA==:, sha-256=:{wrong}:"'], False, False),
    }


@pytest.fixture(scope="module")
def fields(contents):
    return digest_fields(sent((contents / "file").read_bytes()), sent(b"something else"))


@pytest.fixture(scope="module")
def server(contents, fields):
    """/NAME/file sends those fields."""
    locations = "".join(f"location /{name}/ {{ alias {contents}/; {''.join(f'add_header {field};' for field in lines)} }}\n"
                        for name, (lines, _, _) in fields.items())
    with testbed.Nginx(contents, kinds=["http", "tls13-ecdsa"], access_log=True, server_extra=locations) as nginx:
        yield nginx


def option(content, name="sha-256"):
    return f"--checksum={name}={digest(content, TYPES[name]).hexdigest()}"


# Checksums.


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("split", ((), EIGHT))
def test_right_and_wrong(server, contents, target, name, split):
    content = (contents / "file").read_bytes()
    run_good(*split, option(content, name), "-d", target, "-o", "good", server.url("http", "/file"))
    ended = run(*split, option(b"something else", name), "-d", target, "-o", "bad", server.url("http", "/file"))
    assert ended.status == 32
    assert "bad.checksum-mismatch" in ended.stderr
    check_files(target, {"good": content, "bad.checksum-mismatch": content})


@pytest.mark.parametrize("path", CONTENTS)
def test_any_size_and_case(server, contents, target, path):
    content = (contents / path).read_bytes()
    run_good(option(content).upper().replace("--CHECKSUM=SHA-256", "--checksum=sha-256"), "-d", target,
             server.url("http", f"/{path}"))
    ended = run(option(b"something else"), "-d", target, "-o", "bad", server.url("http", f"/{path}"))
    assert ended.status == 32
    check_files(target, {path: content, "bad.checksum-mismatch": content})


def test_two_mismatches_have_two_names(server, contents, target):
    for _ in range(2):
        assert run(option(b"something else"), "-d", target, server.url("http", "/small")).status == 32
    content = (contents / "small").read_bytes()
    names = testbed.tree(target)
    assert len(names) == 2 and all(name.startswith("small.checksum-mismatch") for name in names)
    run_good(option(content), "-d", target, server.url("http", "/small"))
    check_files(target, {name: content for name in (*names, "small")})


def test_list(server, contents, target, tmp_path):
    right, wrong = digest((contents / "file").read_bytes()).hexdigest(), digest(b"something else").hexdigest()
    ended = run_list(tmp_path, [server.url("http", "/file"), f" checksum=sha-256={right}", " out=right",
                                server.url("http", "/file"), f" checksum=sha-256={wrong}", " out=wrong",
                                server.url("http", "/file"), " out=unchecked"], "-d", target)
    assert ended.status == 32
    assert ended.stderr.count("failed:") == 1
    check_files(target, {"right": None, "unchecked": None, "wrong.checksum-mismatch": None})


@pytest.mark.parametrize("bad", ("sha-256", "sha-256=", "sha-256=12", "md6=0123", "sha-256=" + "x" * 64, "=" + "0" * 64))
def test_checksum_that_is_none(server, target, bad):
    ended = run(f"--checksum={bad}", "-d", target, server.url("http", "/small"))
    assert ended.status == 28 and ended.stderr
    check_files(target, {})


@pytest.mark.parametrize("threads", (1, 2))
def test_with_threads(server, contents, target, threads):
    content = (contents / "file").read_bytes()
    run_good(*EIGHT, f"--threads={threads}", option(content), "-d", target, server.url("http", "/file"))
    check_files(target, {"file": content})


def test_output_in_order(server, contents):
    """What has been written cannot be taken back; the status tells."""
    content = (contents / "file").read_bytes()
    assert run_good(option(content), "-o", "-", server.url("http", "/file")).stdout == content
    assert run(option(b"something else"), "-o", "-", server.url("http", "/file")).status == 32


def test_discarded(server, contents):
    run_good(option((contents / "file").read_bytes()), "--discard", server.url("http", "/file"))
    assert run(option(b"something else"), "--discard", server.url("http", "/file")).status == 32
    run_good(option((contents / "file").read_bytes()), "--discard", *EIGHT, server.url("http", "/file"))


# Interruptions.


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGKILL))
@pytest.mark.parametrize("etag", ('"x"', None))
def test_resumed(origin, target, number, etag):
    """What is there is hashed as well. With a checksum to decide, no validator is needed to go on."""
    paced = Paced(origin, rate=2 * MIB, etag=etag)
    options = ("-s", "4", "-k", "1M", "--auto-save-interval=0.3", option(paced.content), "-d", target, paced.url)
    with Haul(*options) as haul:
        assert not haul.ends_within(1.5)
        haul.signal(number)
        haul.finish(killed_by=(number,), or_not=True)
    before, paced.rate, paced.sent_bytes = len(origin.requests), 8 * MIB, 0
    run_good(*options)
    check_files(target, {"paced": paced.content})
    assert origin.requests[before:] and all(request.header("range") for request in origin.requests[before:])
    assert paced.sent_bytes < paced.size - MIB


def test_file_that_changed_without_a_validator(origin, target):
    """The mixture is seen, and never published."""
    paced = Paced(origin, rate=2 * MIB, etag=None)
    wanted = paced.content
    options = ("-s", "4", "-k", "1M", "--auto-save-interval=0.3", option(wanted), "-d", target, paced.url)
    with Haul(*options) as haul:
        assert not haul.ends_within(1.5)
        haul.signal(signal.SIGKILL)
        haul.finish(killed_by=(signal.SIGKILL,))
    paced.seed, paced.rate = 1, 64 * MIB
    ended = run(*options)
    assert ended.status == 32
    assert not (target / "paced").exists()
    for name in testbed.tree(target):
        assert name.startswith("paced.checksum-mismatch"), name


# Digests.


# nginx sends a 206 with the whole's Content-Digest, which is none of the part's.
@pytest.mark.parametrize("name, split", [(name, split) for name in digest_fields("", "") for split in ((), EIGHT)
                                         if not (split and name.startswith("content"))])
@pytest.mark.parametrize("when", ("auto", "require", "no"))
def test_digest_of_the_server(server, contents, fields, target, name, when, split):
    _, auto, require = fields[name]
    good = {"auto": auto, "require": require, "no": True}[when]
    content = (contents / "file").read_bytes()
    ended = run(*split, f"--check-digest={when}", "-d", target, server.url("http", f"/{name}/file"))
    if good:
        assert ended.status == 0, ended.stderr
        check_files(target, {"file": content})
        return
    assert ended.status == 32
    assert "file.checksum-mismatch" in ended.stderr or (when == "require" and "digest" in ended.stderr)
    assert not (target / "file").exists()


def test_checksum_counts_as_a_digest(server, contents, target):
    content = (contents / "file").read_bytes()
    run_good("--check-digest=require", option(content), "-d", target, server.url("http", "/none/file"))
    check_files(target, {"file": content})


def test_digest_of_a_part(origin, target):
    """Content-Digest is of the message's content: of a 206, of the part; Repr-Digest is of the whole, even there."""

    @origin.on("/parts")
    def parts(exchange):
        content = body_bytes(SIZE)
        start, _, end = exchange.request.header("range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, end = int(start), int(end) + 1 if end else SIZE
        part = content[start:end]
        head = [("ETag", '"x"'), ("Repr-Digest", f"sha-256=:{sent(content)}:"), ("Content-Digest", f"sha-256=:{sent(part)}:")]
        if not exchange.request.header("range"):
            return Response(200, head, content)
        return Response(206, [*head, ("Content-Range", f"bytes {start}-{end - 1}/{SIZE}")], part)

    run_good(*EIGHT, "-d", target, origin.url("/parts"))
    check_files(target, {"parts": body_bytes(SIZE)})


# What is there already.


def test_integrity_of_a_file_that_is_there(server, contents, target):
    content = (contents / "file").read_bytes()
    (target / "file").write_bytes(content)
    server.clear_log()
    run_good("-V", option(content), "-d", target, server.url("http", "/file"))
    check_files(target, {"file": content})
    assert sum(request["body_bytes_sent"] for request in server.requests()) == 0


def test_integrity_of_an_empty_file(origin, target):
    (target / "5").write_bytes(b"")
    run_good("-V", option(b""), "-d", target, origin.url("/bytes/5"))
    check_files(target, {"5": b""})
    assert not origin.requests


def test_integrity_of_a_file_that_is_wrong(server, contents, target):
    content = (contents / "file").read_bytes()
    (target / "file").write_bytes(content[:-1] + b"x")
    run_good("-V", option(content), "-d", target, server.url("http", "/file"))
    found = [(target / name).read_bytes() == content for name in testbed.tree(target)]
    assert sum(found) == 1


def test_without_integrity_a_file_that_is_there_is_only_a_name(server, contents, target):
    content = (contents / "small").read_bytes()
    (target / "small").write_bytes(content)
    run_good(option(content), "-d", target, server.url("http", "/small"))
    check_files(target, {"small": content, "small.1": content})


def test_integrity_without_a_checksum(server, contents, target):
    """There is nothing to compare with: the name is taken."""
    (target / "small").write_bytes(b"mine")
    run_good("-V", "-d", target, server.url("http", "/small"))
    check_files(target, {"small": b"mine", "small.1": (contents / "small").read_bytes()})


# Time.


def test_hashing_runs_beside_the_transfer(server, contents, target):
    """Nothing is read from the disk twice while it comes in order, and nobody waits for the hash in the end."""
    content = (contents / "file").read_bytes()
    with Relay(server.ports["http"], rates=[4 * MIB]) as relay:
        plain = run_good("-d", target, "-o", "plain", relay.url("/file")).seconds
        hashed = run_good(option(content, "sha-512"), "-d", target, "-o", "hashed", relay.url("/file")).seconds
    assert hashed < plain + 1
    check_files(target, {"plain": content, "hashed": content})
