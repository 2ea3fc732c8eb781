# SPDX-License-Identifier: GPL-3.0-or-later
"""Content codings: what is asked for, and that what is stored is what was in it, or nothing."""

import base64
import gzip
import hashlib
import os
import signal
import statistics
import threading
import time

import pytest

from codings import PACK, gzip_zeros, pack_br, pack_gzip, pack_zstd
from haul import Haul, check_files, plain_binary, run, run_good, run_list
from origin import Response, body_bytes
from testbed import Nginx, tree

ASKED = "gzip, deflate, br, zstd"
MIB = 1 << 20


def text_bytes(size, seed=0):
    """Packs to about a third."""
    words = [body_bytes(6, f"{seed}/{i}").hex() for i in range(300)]
    picks = body_bytes(size // 8 + 8, seed)
    return " ".join(words[(a << 8 | b) % len(words)] for a, b in zip(picks[::2], picks[1::2])).encode()[:size]


TEXT = text_bytes(2_000_000)


def serve(origin, path, body, encoding, *fields, framing="length"):
    """Registers a body as it is sent; returns its URL."""

    @origin.on(path)
    def answer(exchange):
        head = [("Content-Type", "text/html"), ("ETag", '"strong"'), *fields]
        head += [("Content-Encoding", line) for line in ([encoding] if isinstance(encoding, str) else encoding)]
        if framing == "length":
            return Response(200, head, body)
        if framing == "close":
            exchange.head(200, [*head, ("Connection", "close")])
            exchange.send(body)
            exchange.close()
        exchange.head(200, [*head, ("Transfer-Encoding", "chunked")])
        for at in range(0, len(body), 50_000):
            piece = body[at:at + 50_000]
            exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        exchange.send(b"0\r\n\r\n")
        return None

    return origin.url(path)


def asked(origin):
    return [request.header("accept-encoding") for request in origin.requests]


# --- what is asked for ---


def test_identity_unless_asked(origin, target):
    run_good("-d", target, origin.url("/bytes/5"))
    assert asked(origin) == ["identity"]


@pytest.mark.parametrize("option", ("--compressed", "--http-accept-gzip"))
def test_asked(origin, target, option):
    run_good("-d", target, option, origin.url("/bytes/5"))
    assert asked(origin) == [ASKED]


@pytest.mark.parametrize("arguments, path", (
    (("--range=0-9",), "/bytes/100"),
    (("--dry-run",), "/bytes/100"),
    (("--check-digest=require",), "/digest"),
    ((), "/x.tar.gz"), ((), "/x.TGZ"), ((), "/x.svgz"), ((), "/x.zst"), ((), "/x.br"),
))
def test_not_asked(origin, target, arguments, path):
    digest = base64.b64encode(hashlib.sha256(b"body").digest()).decode()
    for name in ("/digest", "/x.tar.gz", "/x.TGZ", "/x.svgz", "/x.zst", "/x.br"):
        origin.on(name)(lambda exchange: Response(200, [("Repr-Digest", f"sha-256=:{digest}:")], b"body"))
    run_good("-d", target, "--compressed", *arguments, origin.url(path))
    assert asked(origin) == ["identity"]


def test_not_asked_when_resumed(origin, target):
    """A part is a part of the file as it is: so the server's bytes are asked for as they are."""
    url = origin.url("/flap")
    body = body_bytes(3 * MIB)
    broken = threading.Event()

    @origin.on("/flap")
    def flap(exchange):
        start = int((exchange.request.header("range") or "bytes=0-").split("=")[1].split("-")[0])
        fields = [("ETag", '"x"'), ("Content-Length", len(body) - start)]
        if start:
            fields.append(("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}"))
        exchange.head(206 if start else 200, fields)
        if not broken.is_set():
            broken.set()
            exchange.send(body[:MIB])
            exchange.reset()
        exchange.send(body[start:])

    run_good("-d", target, "--compressed", "--retry-wait=0.01", url)
    assert asked(origin) == [ASKED, "identity"]
    assert origin.requests[1].header("range")
    check_files(target, {"flap": body})


# --- what is stored ---


@pytest.mark.parametrize("framing", ("length", "chunked", "close"))
@pytest.mark.parametrize("coding", PACK)
def test_unpacked(origin, target, coding, framing):
    encoding, pack = PACK[coding]
    contents = {"empty": b"", "one": b"x", "text": TEXT, "random": body_bytes(300_000)}
    urls = [serve(origin, f"/{name}", pack(content), encoding, framing=framing) for name, content in contents.items()]
    run_good("-d", target, "--compressed", *urls)
    check_files(target, contents)


def test_no_bytes_are_an_empty_file(origin, target):
    run_good("-d", target, "--compressed", serve(origin, "/nothing", b"", "gzip"))
    check_files(target, {"nothing": b""})


def test_several_fields(origin, target):
    url = serve(origin, "/x", pack_br(pack_zstd(pack_gzip(TEXT))), ["identity, gzip", "zstd", " , br"])
    run_good("-d", target, "--compressed", url)
    check_files(target, {"x": TEXT})


def test_byte_at_a_time(origin, target):
    packed = pack_gzip(TEXT[:5000])

    @origin.on("/slow")
    def slow(exchange):
        exchange.head(200, [("Content-Encoding", "gzip"), ("Content-Length", len(packed))])
        for i in range(len(packed)):
            exchange.send(packed[i:i + 1])
            if i % 50 == 0:
                time.sleep(0.002)

    run_good("-d", target, "--compressed", origin.url("/slow"))
    check_files(target, {"slow": TEXT[:5000]})


def test_stored_as_sent(origin, target):
    """What nobody asked for is left alone."""
    ended = run_good("-d", target, "--log=-", "--log-level=info", serve(origin, "/x", pack_gzip(TEXT), "gzip"))
    check_files(target, {"x": pack_gzip(TEXT)})
    assert "stored as it comes, though the server says that it is packed (gzip)" in ended.stdout.decode()


@pytest.mark.parametrize("path, kind", (("/x.tar.gz", "application/gzip"), ("/x.tar.gz", "application/x-tar"),
                                        ("/x", "application/x-gzip"), ("/x.tgz", "text/plain")))
def test_packed_files_stay_packed(origin, target, path, kind):
    """Apache as many have it: the file is gzip, and is said to be in gzip as well."""
    packed = pack_gzip(TEXT)

    @origin.on(path)
    def answer(exchange):
        return Response(200, [("Content-Type", kind), ("Content-Encoding", "x-gzip")], packed)

    run_good("-d", target, "--compressed", origin.url(path))
    check_files(target, {path[1:]: packed})


@pytest.mark.parametrize("encoding", ("compress", "gzip, utf-8", "gzip, gzip, gzip, gzip, gzip"))
def test_unknown_coding(origin, target, encoding):
    ended = run("-d", target, "--compressed", serve(origin, "/x", b"whatever", encoding))
    assert ended.status == 22
    assert f"packed it in a way ({encoding.split(', ')[-1]}) that haul can't unpack" in ended.stderr
    check_files(target, {})
    run_good("-d", target, origin.url("/x"))
    check_files(target, {"x": b"whatever"})


def test_standard_output(origin):
    ended = run_good("--compressed", "-o", "-", serve(origin, "/x", pack_zstd(TEXT), "zstd"))
    assert ended.stdout == TEXT


def test_redirect(origin, target):
    serve(origin, "/x", pack_gzip(TEXT), "gzip")
    run_good("-d", target, "--compressed", "-o", "x", origin.url("/redirect?to=/x"))
    check_files(target, {"x": TEXT})


@pytest.mark.parametrize("threads", (0, 2))
def test_many_at_once(origin, target, tmp_path, threads):
    """Of all kinds, with next to no memory for bodies."""
    codings = list(PACK)
    contents = {f"page{i}": text_bytes(i * 3001, i) for i in range(120)}
    lines = []
    for i, (name, content) in enumerate(contents.items()):
        encoding, pack = PACK[codings[i % len(codings)]]
        framing = ("length", "chunked", "close")[i % 3]
        lines.append(serve(origin, f"/{name}", pack(content), encoding, framing=framing))
    ended = run_list(tmp_path, lines, "-d", target, "--compressed", "-j", 40, "-x", 40, "--threads", threads,
                     "--buffer-memory=2M")
    assert ended.status == 0, ended.stderr
    check_files(target, contents)


def test_large_beside_others_with_little_memory(origin, target, tmp_path):
    """Who waits for chunks of one kind holds none of the other that somebody needs."""
    large = text_bytes(12_000_000, "large")
    packed = pack_gzip(large)
    lines = [serve(origin, f"/large{i}", packed, "gzip") for i in range(6)]
    lines += [origin.url(f"/bytes/{4_000_000 + i}") for i in range(6)]
    ended = run_list(tmp_path, lines, "-d", target, "--compressed", "-j", 12, "-x", 12, "--buffer-memory=2M")
    assert ended.status == 0, ended.stderr
    check_files(target, {f"large{i}": large for i in range(6)} |
                {str(4_000_000 + i): body_bytes(4_000_000 + i) for i in range(6)})


# --- what is broken ---


@pytest.mark.parametrize("coding", ("gzip", "deflate", "br", "zstd"))
def test_something_else(origin, target, coding):
    ended = run("-d", target, "--compressed", serve(origin, "/x", b"<html>not packed at all</html>" * 100, coding))
    assert ended.status == 22
    assert f"can't be unpacked ({coding})" in ended.stderr
    assert len(origin.requests) == 1
    check_files(target, {})


@pytest.mark.parametrize("coding", ("gzip", "deflate"))
def test_flipped(origin, target, coding):
    encoding, pack = PACK[coding]
    packed = bytearray(pack(TEXT))
    packed[len(packed) // 2] ^= 0x10
    ended = run("-d", target, "--compressed", serve(origin, "/x", bytes(packed), encoding))
    assert ended.status == 22
    check_files(target, {})


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize("share", (0.0005, 0.5, 0.9999))
def test_truncated(origin, target, coding, share):
    """In a framing that doesn't tell: only the coding does. It is tried again, for it is the network's fault."""
    encoding, pack = PACK[coding]
    packed = pack(TEXT)
    url = serve(origin, "/x", packed[:max(1, int(len(packed) * share))], encoding, framing="close")
    ended = run("-d", target, "--compressed", "--max-tries=2", "--retry-wait=0.01", url)
    assert ended.status == 6
    assert "ended early" in ended.stderr
    assert len(origin.requests) == 2
    check_files(target, {})


def test_truncated_by_length(origin, target):
    packed = pack_gzip(TEXT)

    @origin.on("/x")
    def short(exchange):
        exchange.head(200, [("Content-Encoding", "gzip"), ("Content-Length", len(packed))])
        exchange.send(packed[:-1])
        exchange.close()

    ended = run("-d", target, "--compressed", "--max-tries=1", origin.url("/x"))
    assert ended.status == 6
    assert f"the connection ended after {len(packed) - 1} of {len(packed)} bytes" in ended.stderr
    check_files(target, {})


def test_garbage_behind_the_end(origin, target):
    ended = run_good("-d", target, "--compressed", "--log=-", "--log-level=notice",
                     serve(origin, "/x", pack_gzip(TEXT) + b"garbage", "gzip"))
    assert "7 bytes behind the end of the packed body are left out" in ended.stdout.decode()
    check_files(target, {"x": TEXT})


class Breaking:
    """A packed body that is reset, or held, in the middle the first time."""

    def __init__(self, origin, packed, encoding="gzip", share=0.5, hold=False):
        self.go_on = threading.Event()
        self.held = threading.Event()
        self.url = origin.url("/breaks")
        sent = int(len(packed) * share)

        @origin.on("/breaks")
        def answer(exchange):
            start = 0
            if exchange.request.header("range"):  # as a server that is wrong in all it says
                start = int(exchange.request.header("range").split("=")[1].split("-")[0])
            fields = [("Content-Encoding", encoding), ("ETag", '"strong"'), ("Accept-Ranges", "bytes"),
                      ("Content-Length", len(packed) - start)]
            if start:
                fields.append(("Content-Range", f"bytes {start}-{len(packed) - 1}/{len(packed)}"))
            exchange.head(206 if start else 200, fields)
            if self.go_on.is_set():
                exchange.send(packed[start:])
                return
            exchange.send(packed[:sent])
            self.held.set()
            if hold:
                exchange.sleep(60)
            self.go_on.set()
            exchange.reset()


@pytest.mark.parametrize("coding", ("gzip", "br", "zstd"))
@pytest.mark.parametrize("options", ((), ("-s", "4", "-k", "1M"), ("--checksum",), ("--durable",)))
def test_broken_in_the_middle(origin, target, coding, options):
    """Begun anew: no part of it is ever asked for, whatever validator it has and whoever knows its checksum."""
    encoding, pack = PACK[coding]
    content = text_bytes(6_000_000, "breaks")
    breaking = Breaking(origin, pack(content), encoding)
    if options == ("--checksum",):
        options = (f"--checksum=sha-256={hashlib.sha256(content).hexdigest()}",)
    run_good("-d", target, "--compressed", "--retry-wait=0.01", *options, breaking.url)
    assert [request.header("range") for request in origin.requests] == [None, None]
    assert asked(origin) == [ASKED, ASKED]
    check_files(target, {"breaks": content})


def test_broken_on_its_way_to_standard_output(origin):
    breaking = Breaking(origin, pack_gzip(TEXT * 4), "gzip")
    ended = run("--compressed", "-o", "-", "--retry-wait=0.01", breaking.url)
    assert ended.status == 8
    assert (TEXT * 4).startswith(ended.stdout) and ended.stdout
    assert len(ended.stdout) < len(TEXT * 4)


@pytest.mark.parametrize("how", (signal.SIGKILL, signal.SIGTERM))
@pytest.mark.parametrize("checksum", (False, True))
def test_stopped_in_the_middle(origin, target, how, checksum):
    """No journal says that what was unpacked could be gone on from, and the next run has it all anew."""
    content = body_bytes(4_000_000).hex().encode()
    breaking = Breaking(origin, pack_gzip(content), hold=True)
    options = [f"--checksum=sha-256={hashlib.sha256(content).hexdigest()}"] if checksum else []
    options += ["--compressed", "-d", target, breaking.url]
    with Haul("--auto-save-interval=0.05", *options) as haul:
        haul.wait_until(breaking.held.is_set, "half of it was sent")
        haul.wait_until(lambda: any((target / name).stat().st_size > 1_000_000 for name in tree(target)), "it is stored")
        time.sleep(0.3)
        assert not [name for name in tree(target) if name.endswith("journal")]
        haul.signal(how)
        haul.finish(killed_by=(how,), or_not=True)
    if how == signal.SIGTERM:
        check_files(target, {})
    breaking.go_on.set()
    before = len(origin.requests)
    run_good(*options)
    assert [request.header("range") for request in origin.requests[before:]] == [None]
    check_files(target, {"breaks": content})


def test_partial_file_of_an_earlier_run_is_gone_on_with(origin, target):
    """It was had as it is, so the rest is asked for as it is, and nothing is packed."""
    body = body_bytes(4 * MIB)
    stop = threading.Event()

    @origin.on("/x")
    def answer(exchange):
        start = int((exchange.request.header("range") or "bytes=0-").split("=")[1].split("-")[0])
        fields = [("ETag", '"x"'), ("Content-Length", len(body) - start)]
        if start:
            fields.append(("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}"))
        exchange.head(206 if start else 200, fields)
        if stop.is_set():
            exchange.send(body[start:])
        else:
            exchange.send(body[:2 * MIB])
            exchange.sleep(60)

    with Haul("-d", target, origin.url("/x")) as haul:
        haul.wait_until(lambda: tree(target) and (target / tree(target)[0]).stat().st_size > MIB, "a part is there")
        haul.signal(signal.SIGTERM)
        haul.finish(killed_by=(signal.SIGTERM,), or_not=True)
    stop.set()
    run_good("-d", target, "--compressed", origin.url("/x"))
    assert asked(origin) == ["identity", "identity"]
    assert origin.requests[1].header("range")
    check_files(target, {"x": body})


def test_cancelled_while_it_unpacks(origin, target):
    """With much still to be made of what has come."""
    url = serve(origin, "/x", pack_zstd(text_bytes(200_000, "s") * 500), "zstd")
    with Haul("-d", target, "--compressed", url) as haul:
        haul.wait_until(lambda: tree(target), "it has begun")
        haul.signal(signal.SIGTERM)
        ended = haul.finish(killed_by=(signal.SIGTERM,), or_not=True)
    assert ended.status != 0 or tree(target) == ["x"]
    assert tree(target) in ([], ["x"])


# --- checksums ---


def test_checksum_is_of_what_is_stored(origin, target):
    url = serve(origin, "/x", pack_gzip(TEXT), "gzip")
    right = hashlib.sha256(TEXT).hexdigest()
    run_good("-d", target, "--compressed", f"--checksum=sha-256={right}", url)
    check_files(target, {"x": TEXT})
    (target / "x").unlink()
    wrong = hashlib.sha256(pack_gzip(TEXT)).hexdigest()
    ended = run("-d", target, "--compressed", f"--checksum=sha-256={wrong}", url)
    assert ended.status == 32
    assert [name for name in tree(target) if name != "x"] == tree(target)


@pytest.mark.parametrize("field", ("Repr-Digest", "Content-Digest", "Digest"))
@pytest.mark.parametrize("of, good", (("packed", True), ("plain", True), ("other", False)))
def test_digest(origin, target, field, of, good):
    """Of the bytes that are sent, as the standard has it, or of what is in them, as many servers have it."""
    packed = pack_gzip(TEXT)
    digest = base64.b64encode(hashlib.sha256({"packed": packed, "plain": TEXT, "other": b""}[of]).digest()).decode()
    value = f"SHA-256={digest}" if field == "Digest" else f"sha-256=:{digest}:"
    ended = run("-d", target, "--compressed", serve(origin, "/x", packed, "gzip", (field, value)))
    assert ended.status == (0 if good else 32), ended.stderr
    check_files(target, {"x": TEXT} if good else {})
    if not good:
        assert "its sha-256 is not what the server says, neither packed nor unpacked" in ended.stderr
        run_good("-d", target, "--compressed", "--check-digest=no", origin.url("/x"))


# --- bombs ---


def pack_bomb(megabytes):
    """Sixty times what is sent, well within what is allowed."""
    page = text_bytes(4000, "page")
    return gzip.compress(b"".join(page + body_bytes(40, i) for i in range(250)) * megabytes, 6)


@pytest.mark.parametrize("coding", ("gzip", "gzip, gzip", "br", "zstd", "gzip, br"))
def test_bomb(origin, target, coding):
    packed = gzip_zeros(128 * MIB)
    if coding == "gzip, gzip":
        packed = pack_gzip(packed)
    elif coding == "gzip, br":
        packed = pack_br(packed)
    elif coding != "gzip":
        packed = {"br": pack_br, "zstd": pack_zstd}[coding](bytes(64 * MIB))
    url = serve(origin, "/bomb", packed, coding)
    with Haul("-d", target, "--compressed", url) as haul:
        ended = haul.finish()
    assert ended.status == 1
    assert "unpacks (" in ended.stderr and "to more than 500 times its size, as bombs do" in ended.stderr
    assert len(origin.requests) == 1
    check_files(target, {})


def test_memory_of_a_bomb(origin):
    """One that stays below the ratio, all of it."""
    url = serve(origin, "/bomb", pack_bomb(100), "gzip")
    with open(os.devnull, "wb") as nowhere:
        with Haul("--compressed", "-o", "-", url, binary=plain_binary(), stdout=nowhere) as haul:
            peak = 0
            while not haul.ends_within(0.005):
                peak = max(peak, haul.peak_kib())
            assert haul.finish().status == 0
    assert 0 < peak < 48 * 1024, peak


def test_others_go_on_beside_a_bomb(origin, target, tmp_path):
    """However much a body unpacks to, other downloads are served in between."""
    binary = plain_binary()
    url = serve(origin, "/bomb", pack_bomb(300), "gzip")
    small = pack_gzip(TEXT[:20000])
    served = []

    @origin.on("/small")
    def answer(exchange):
        served.append(time.monotonic())
        return Response(200, [("Content-Encoding", "gzip")], small)

    def downloads():
        """One at a time: each asks for the next as soon as it has ended."""
        return [url] + [origin.url(f"/small/{i}") for i in range(400)]

    with Haul("--compressed", "-j", 2, "-x", 2, "-d", target, *downloads(), binary=binary) as haul:
        ended = haul.finish()
    assert ended.status == 0, ended.stderr
    gaps = [after - before for before, after in zip(served, served[1:])]
    assert len(served) == 400
    assert statistics.median(gaps) < 0.02, statistics.median(gaps)
    assert max(gaps) < 0.25, max(gaps)


# --- a real server ---


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    for i in range(200):
        (root / f"{i}.html").write_bytes(text_bytes(i * 997 + 50, i))
    for i in range(5):  # gzip_static takes these
        (root / f"{i}.html.gz").write_bytes(pack_gzip((root / f"{i}.html").read_bytes()))
    (root / "archive.tar.gz").write_bytes(pack_gzip(TEXT))
    (root / "large.html").write_bytes(text_bytes(9_000_000, "large"))
    return root


@pytest.mark.parametrize("kind", ("http", "tls13-ecdsa"))
def test_nginx(pages, target, tmp_path, kind):
    extra = "gzip on; gzip_types *; gzip_min_length 1; gzip_static on;"
    names = [f"{i}.html" for i in range(200)] + ["archive.tar.gz", "large.html"]
    with Nginx(pages, kinds=[kind], server_extra=extra, access_log=True) as nginx:
        ended = run_list(tmp_path, [nginx.url(kind, f"/{name}") for name in names], "-d", target, "--compressed",
                         "-j", 50, "--ca-certificate", nginx.ca)
        assert ended.status == 0, ended.stderr
        check_files(target, {name: (pages / name).read_bytes() for name in names})
        sent = sum(request["body_bytes_sent"] for request in nginx.requests(len(names)))
    assert sent < sum((pages / name).stat().st_size for name in names) * 0.6


def test_nginx_with_segments(pages, target):
    """A packed body comes in one piece; a file that isn't packed in several, as ever."""
    with Nginx(pages, kinds=["http"], server_extra="gzip on; gzip_types text/html;", access_log=True) as nginx:
        run_good("-s", 4, "-k", "1M", "-d", target, "--compressed", nginx.url("http", "/large.html"))
        assert len(nginx.requests(1)) == 1
        nginx.clear_log()
        run_good("-s", 4, "-k", "1M", "-d", target, "-o", "plain", nginx.url("http", "/large.html"))
        assert len(nginx.requests(4)) >= 4
    content = (pages / "large.html").read_bytes()
    check_files(target, {"large.html": content, "plain": content})
