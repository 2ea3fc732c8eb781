# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way of writing files on real file systems: what ends up there, and what one sees of the way.

The images are loop-mounted in a namespace of the test's own (testbed.Mounts); what the machine can't mount is skipped.
"""

import ctypes
import functools
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import testbed
from haul import BLOCK_BYTES, Haul, check_files, has_arrived, resumed_from, run, run_good
from origin import CHUNKED, body_bytes
from testbed import Mounts, Unavailable, tree

KIB, MIB = 1 << 10, 1 << 20
RWF_DONTCACHE = 0x80
LARGE = 20 * MIB + 123
# Around the blocks of memory and disk, and around the size from which on files are written past the page cache.
SIZES = (0, 1, 4095, 4096, 4097, MIB + 1, 8 * MIB - 1, 8 * MIB, LARGE)
UNKNOWN_SIZES = (0, 1, 4097, MIB + 1, 8 * MIB)

EXT = ("-q", "-m", "0")  # no blocks for root alone
FILE_SYSTEMS = {
    "ext4": lambda mounts: mounts.image("ext4", "ext4", 192 * MIB, *EXT, "-b", "4096"),
    "ext4-1k": lambda mounts: mounts.image("ext4-1k", "ext4", 192 * MIB, *EXT, "-b", "1024"),
    "ext4-inline": lambda mounts: mounts.image("ext4-inline", "ext4", 96 * MIB, *EXT, "-O", "inline_data", "-I", "1024"),
    "ext4-data": lambda mounts: mounts.image("ext4-data", "ext4", 128 * MIB, *EXT, options="data=journal"),
    "ext2": lambda mounts: mounts.image("ext2", "ext2", 96 * MIB, *EXT),
    "xfs": lambda mounts: mounts.image("xfs", "xfs", 300 * MIB, "-q"),
    "xfs-16k": lambda mounts: mounts.image("xfs-16k", "xfs", 300 * MIB, "-q", "-b", "size=16384"),
    "btrfs": lambda mounts: mounts.image("btrfs", "btrfs", 256 * MIB, "-q"),
    "btrfs-zstd": lambda mounts: mounts.image("btrfs-zstd", "btrfs", 256 * MIB, "-q", options="compress-force=zstd"),
    "btrfs-nodatacow": lambda mounts: mounts.image("btrfs-nodatacow", "btrfs", 256 * MIB, "-q", options="nodatacow"),
    "f2fs": lambda mounts: mounts.image("f2fs", "f2fs", 128 * MIB, "-q"),
    "vfat": lambda mounts: mounts.image("vfat", "vfat", 96 * MIB),
    "tmpfs": lambda mounts: mounts.mount("tmpfs", "tmpfs", options="size=192m"),
    "ramfs": lambda mounts: mounts.mount("ramfs", "ramfs"),
    "overlay-ext4": lambda mounts: overlay(mounts, mounts.image("ext4", "ext4", 192 * MIB, *EXT)),
    "overlay-tmpfs": lambda mounts: overlay(mounts, mounts.mount("tmpfs", "tmpfs", options="size=192m")),
    "fuse": lambda mounts: mounts.fuse("fuse", mounts.image("ext4", "ext4", 192 * MIB, *EXT).name),
}

DIRECT, CACHED = "--direct=always", "--direct=never"
NONE, TRUNC, FALLOC, PREALLOC = (f"--file-allocation={how}" for how in ("none", "trunc", "falloc", "prealloc"))
WAYS = {
    "auto": (),
    "direct-none": (DIRECT, NONE),
    "direct-trunc": (DIRECT, TRUNC),
    "direct-falloc": (DIRECT, FALLOC),
    "cached-trunc": (CACHED, TRUNC),
    "cached-prealloc": (CACHED, PREALLOC),
    "uncached": ("--kernel-features-off=direct,fixed", DIRECT),
    "old-kernel": ("--kernel-features-off=direct,fallocate,dontcache,fixed", DIRECT, PREALLOC),
}


# Where haul does most of what it can do.
THOROUGHLY = ("ext4", "xfs", "btrfs", "tmpfs")


def covering(ways, every):
    """(file system, way): each way on THOROUGHLY, else the automatic one and every so many others in turn."""
    return [(disk, way) for i, disk in enumerate(FILE_SYSTEMS) for j, way in enumerate(ways)
            if disk in THOROUGHLY or way == "auto" or (i + j) % every == 0]


def overlay(mounts, below):
    return mounts.overlay("overlay", below.name)


@dataclass
class Disk:
    name: str
    path: Path
    mounts: Mounts

    @functools.cached_property
    def block_bytes(self):
        return os.statvfs(self.path).f_bsize

    @functools.cached_property
    def has_fallocate(self):
        with tempfile.TemporaryFile(dir=self.path) as file:
            libc = ctypes.CDLL(None, use_errno=True)  # posix_fallocate() would write zeros instead
            return libc.fallocate64(file.fileno(), 0, ctypes.c_int64(0), ctypes.c_int64(1)) == 0


@pytest.fixture(scope="module", params=FILE_SYSTEMS)
def disk(request):
    try:
        with Mounts() as mounts:
            yield Disk(request.param, FILE_SYSTEMS[request.param](mounts), mounts)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def target(disk):
    directory = disk.path / "target"
    directory.mkdir()
    yield directory
    left = [name for name in tree(directory) if name.endswith(".haul")]
    shutil.rmtree(directory)
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    testbed.make_media(root, {f"known-{size}": size for size in SIZES} |
                       {f"{how}-{size}": size for how in ("chunked", "close") for size in UNKNOWN_SIZES})
    return root


@pytest.fixture(scope="module")
def server(files):
    with testbed.Nginx(files, kinds=["http"]) as nginx:
        yield nginx


@pytest.fixture
def urls(files, server, origin):
    @origin.on("/file")
    def file(exchange):
        name = exchange.request.path.split("/")[2]
        data = (files / name).read_bytes()
        if name.startswith("chunked"):
            exchange.head(200, [CHUNKED])
            for start in range(0, len(data), 50_000):
                piece = data[start : start + 50_000]
                exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            exchange.send(b"0\r\n\r\n")
        else:
            exchange.head(200)
            exchange.send(data)
            exchange.close()

    return [server.url("http", f"/{name}") if name.startswith("known") else origin.url(f"/file/{name}")
            for name in tree(files)]


def allocated(path):
    """Bytes on the disk."""
    return path.stat().st_blocks * 512


def resident(path):
    """Bytes in the page cache."""
    shown = subprocess.run(["fincore", "--noheadings", "--bytes", "--output", "RES", path], check=True,
                           capture_output=True, text=True)
    return int(shown.stdout)


def is_direct(haul, path):
    """Whether haul has the file open with O_DIRECT as well."""
    flags = [Path(f"/proc/{haul.pid}/fdinfo/{link.name}").read_text().split("flags:")[1].split()[0]
             for link in Path(f"/proc/{haul.pid}/fd").iterdir() if os.readlink(link).endswith(f"/{path.name}")]
    assert flags, f"{path} is not open"
    return any(int(flag, 8) & os.O_DIRECT for flag in flags)


def check_room(path, size=None):
    """So many bytes, its size by default, take no more than the rest of a block, and what file systems count besides."""
    size = path.stat().st_size if size is None else size
    assert allocated(path) <= size + 16 * KIB + size // 128


class Held:
    """A path /held/SIZE with an ETag and ranges; the first responses stop, each at its position in the file."""

    def __init__(self, origin, *stops):
        self.stops = list(stops)
        self.sockets = []  # of the responses that have stopped
        self.origin = origin
        origin.on("/held")(self.answer)

    def url(self, size):
        return self.origin.url(f"/held/{size}")

    def answer(self, exchange):
        size = exchange.number(0)
        ranged = exchange.request.header("range")
        start, asked = (ranged or "bytes=0-").removeprefix("bytes=").split("-")
        start, asked = int(start), int(asked) + 1 if asked else size
        end = self.stops.pop(0) if self.stops else asked
        fields = [("ETag", '"x"'), ("Content-Length", asked - start)]
        if ranged:
            fields.append(("Content-Range", f"bytes {start}-{asked - 1}/{size}"))
        exchange.head(206 if ranged else 200, fields)
        exchange.body(end, start)
        if end < asked:
            self.sockets.append(exchange.sock)
            exchange.sleep(3600)

    def wait(self, haul, count=1):
        """Until so many have stopped, and what comes before has arrived."""
        haul.wait_until(lambda: len(self.sockets) == count and all(map(has_arrived, self.sockets)),
                        "it has what was sent")
        self.sockets.clear()


def ranges(requests):
    return [request.header("range") for request in requests]


@pytest.mark.parametrize("disk, way", covering(WAYS, 4), indirect=["disk"])
def test_sizes(disk, target, files, urls, way):
    run_good("-q", *WAYS[way], "-d", target, *urls)
    assert testbed.compare_trees(files, target) == []
    for path in target.iterdir():
        check_room(path)


# What one sees of the way.


# Who says in statx() how O_DIRECT wants its writes, and lays out blocks; and who takes it at least.
DIRECT_BY_ITSELF = ("ext4", "ext4-1k", "xfs", "xfs-16k", "overlay-ext4")
DIRECT_IF_TOLD = (*DIRECT_BY_ITSELF, "ext2", "btrfs", "tmpfs", "overlay-tmpfs", "fuse")


@pytest.mark.parametrize("disk", (*DIRECT_IF_TOLD, "ramfs"), indirect=True)
def test_who_is_written_past_the_page_cache(disk, target, origin):
    """By itself very large files alone (others once there are many), if told all whose size is known."""
    sizes = (8 * MIB, 128 * MIB)
    for option, expected in (("--direct=auto", (False, disk.name in DIRECT_BY_ITSELF)),
                             (DIRECT, (disk.name in DIRECT_IF_TOLD,) * 2), (CACHED, (False, False))):
        if option == "--direct=auto" and disk.name == "btrfs":
            continue  # it depends on the kernel
        held = Held(origin, 100_000, 100_000)
        with Haul(option, "-d", target, *map(held.url, sizes)) as haul:
            held.wait(haul, 2)
            for size, direct in zip(sizes, expected):
                haul.wait_until(lambda: any(target.glob(f"{size}.*.haul")), "the file is there")
                (partial,) = target.glob(f"{size}.*.haul")
                assert is_direct(haul, partial) == direct, (option, size)
            haul.signal(signal.SIGKILL)
            haul.finish(killed_by=(signal.SIGKILL,))
        for partial in target.iterdir():
            partial.unlink()


@pytest.mark.parametrize("disk", DIRECT_BY_ITSELF, indirect=True)
@pytest.mark.parametrize("room", (NONE, FALLOC))
def test_direct_leaves_the_page_cache_alone(disk, target, server, room):
    """The end that is no whole block goes through it."""
    sizes = (4095, 4097, MIB + 1, LARGE)
    run_good(DIRECT, room, "-d", target, *(server.url("http", f"/known-{size}") for size in sizes))
    for size in sizes:
        assert resident(target / f"known-{size}") <= max(disk.block_bytes, 4096), size


def is_kept(path, url, *options):
    """Whether the page cache has a whole file that is written so. What is short of memory drops some: a few tries."""
    for _ in range(5):
        run_good(*options, "-d", path.parent, "-o", path.name, url)
        subprocess.run(["sync", path], check=True)
        kept = resident(path) >= path.stat().st_size // 4096 * 4096
        path.unlink()
        if kept:
            return True
    return False


@pytest.mark.parametrize("disk", ("ext4", "xfs", "btrfs"), indirect=True)
def test_cached_is_in_the_page_cache(disk, target, server):
    assert is_kept(target / "file", server.url("http", f"/known-{LARGE}"), CACHED)
    assert is_kept(target / "file", server.url("http", f"/known-{8 * MIB - 1}"))


@pytest.mark.parametrize("disk", ("ext4", "xfs"), indirect=True)
def test_uncached_is_dropped_once_it_is_written(disk, target, server):
    """RWF_DONTCACHE is the next best where O_DIRECT can't be."""
    with open(target / "probe", "wb") as probe:
        try:
            os.pwritev(probe.fileno(), [b"x"], 0, RWF_DONTCACHE)
        except OSError as error:
            pytest.skip(f"no RWF_DONTCACHE here: {error.strerror}")
    url = server.url("http", f"/known-{LARGE}")
    run_good("--kernel-features-off=direct", DIRECT, "-d", target, "-o", "file", url)
    subprocess.run(["sync", target / "file"], check=True)
    assert resident(target / "file") < LARGE // 4
    assert is_kept(target / "other", url, "--kernel-features-off=direct,dontcache", DIRECT)


@pytest.mark.parametrize("disk", ("ext4", "ext2", "xfs", "btrfs", "tmpfs", "ramfs", "overlay-ext4"), indirect=True)
@pytest.mark.parametrize("cache", (DIRECT, CACHED))
@pytest.mark.parametrize("room", (NONE, TRUNC, FALLOC, PREALLOC))
def test_room_ahead(disk, target, origin, cache, room):
    held = Held(origin, MIB)
    with Haul(cache, room, "-d", target, held.url(LARGE)) as haul:
        held.wait(haul)
        haul.wait_until(lambda: any(map(allocated, target.glob("*.haul"))), "some of it is written")
        (partial,) = target.glob("*.haul")
        if room == PREALLOC or room == FALLOC and disk.has_fallocate:
            assert partial.stat().st_size == LARGE
            assert allocated(partial) >= LARGE
        else:
            assert partial.stat().st_size == LARGE if room == TRUNC else partial.stat().st_size <= MIB
            assert allocated(partial) < LARGE // 2
        haul.signal(signal.SIGKILL)
        haul.finish(killed_by=(signal.SIGKILL,))
    partial.unlink()


# Interruptions.


STEPS = {
    "automatic": ("auto", "auto", "auto"),
    "direct-first": ("direct-falloc", "cached-trunc", "direct-none"),
    "cached-first": ("cached-prealloc", "direct-trunc", "old-kernel"),
}


@pytest.mark.parametrize("disk, steps", covering(STEPS, 3), indirect=["disk"])
def test_stopped_download_goes_on(disk, target, origin, steps):
    """Twice, and each time in another way, from where no block begins."""
    size, stops = 13 * MIB + 123, (100_077, 9 * MIB + 4095)
    held = Held(origin, *stops)
    first, second, last = (WAYS[way] for way in STEPS[steps])
    for way in (first, second):
        stop(held, size, target, way)
    run_good(*last, "-d", target, held.url(size))
    check_files(target, {str(size): body_bytes(size)})
    check_room(target / str(size))
    assert ranges(origin.requests) == [None, *(f"bytes={resumed_from(position)}-" for position in stops)]


def stop(held, size, target, way):
    """Starts it, and stops it when it stops."""
    with Haul(*way, "-d", target, held.url(size)) as haul:
        held.wait(haul)
        haul.signal(signal.SIGTERM)
        assert haul.finish(10).status == 7


@pytest.mark.parametrize("disk", ("ext4", "xfs", "tmpfs"), indirect=True)
def test_stopped_download_gives_back_room(disk, tmp_path, origin):
    target = disk.path / "stopped"
    stop(Held(origin, 100_077), LARGE, target, (FALLOC,))
    (partial,) = target.glob("*.haul")
    room = allocated(partial)
    for path in target.iterdir():
        path.unlink()
    target.rmdir()
    assert room <= MIB


@pytest.mark.parametrize("disk", ("ext4", "xfs", "btrfs", "tmpfs", "fuse"), indirect=True)
@pytest.mark.parametrize("way", ("auto", "direct-falloc", "cached-prealloc"))
def test_second_try_is_of_another_kind(disk, target, origin, way):
    """It has no length, and is shorter than what was there for the first."""
    size = 5 * MIB + 1

    @origin.on("/changing")
    def changing(exchange):
        if len(origin.requests) == 1:
            exchange.head(200, [("Content-Length", LARGE)])
            exchange.body(9 * MIB + 5)
        else:
            exchange.head(200)
            exchange.body(size)
        exchange.close()

    run_good(*WAYS[way], "--retry-wait=0.01", "-d", target, origin.url("/changing"))
    check_files(target, {"changing": body_bytes(size)})
    check_room(target / "changing")


# Trouble.


@pytest.fixture
def nearly_full(disk):
    """Leaves so many bytes of room."""
    ballast = disk.path / "ballast"

    def fill(room):
        subprocess.run(["sync", "-f", disk.path], check=True)
        status = os.statvfs(disk.path)
        size = status.f_bavail * status.f_frsize - room
        with open(ballast, "wb") as file:
            if disk.has_fallocate:
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                for start in range(0, size, MIB):
                    file.write(bytes(min(MIB, size - start)))
        return ballast

    yield fill
    ballast.unlink(missing_ok=True)
    subprocess.run(["sync", "-f", disk.path], check=True)


LIMITED = ("ext4", "ext2", "xfs", "btrfs", "tmpfs", "overlay-ext4", "fuse")


@pytest.mark.parametrize("disk", LIMITED, indirect=True)
@pytest.mark.parametrize("way", ("auto", "direct-falloc", "cached-prealloc"))
def test_room_that_is_not_there_is_known_at_once(disk, target, origin, nearly_full, way):
    if way != "cached-prealloc" and not disk.has_fallocate:
        pytest.skip("no fallocate() here")
    nearly_full(12 * MIB)
    held = Held(origin, 100_000)
    ended = run(*WAYS[way], "-j", 1, "-d", target, origin.url("/bytes/5"), held.url(LARGE))
    assert ended.status == 9
    assert f"room for the {LARGE} bytes of {LARGE}" in ended.stderr and "No space left" in ended.stderr
    check_files(target, {"5": body_bytes(5)})
    run_good("-d", target, origin.url(f"/bytes/{5 * MIB}"))


@pytest.mark.parametrize("disk", LIMITED, indirect=True)
@pytest.mark.parametrize("way", ("auto", "direct-none", "direct-trunc", "cached-trunc"))
def test_disk_that_becomes_full(disk, target, origin, nearly_full, way):
    if way == "auto" and disk.has_fallocate:
        pytest.skip("that is known at once")
    nearly_full(12 * MIB)
    ended = run(*WAYS[way], "-j", 1, "-d", target, origin.url("/bytes/5"), origin.url(f"/bytes/{LARGE}?ranges=0"))
    assert ended.status == 9
    assert "can't write" in ended.stderr and "No space left" in ended.stderr
    check_files(target, {"5": body_bytes(5)})
    run_good("-d", target, origin.url(f"/bytes/{5 * MIB}"))


@pytest.mark.parametrize("disk", ("ext4", "xfs", "btrfs", "tmpfs", "fuse"), indirect=True)
@pytest.mark.parametrize("way", ("direct-none", "cached-trunc"))
def test_stopped_download_that_does_not_fit_is_kept(disk, target, origin, nearly_full, way):
    """It goes on once there is room, with what had come into the room that there was."""
    held = Held(origin, 100_077)
    stop(held, LARGE, target, WAYS[way])
    ballast = nearly_full(4 * MIB)
    assert run(*WAYS[way], "-d", target, held.url(LARGE)).status == 9
    ballast.unlink()
    run_good(*WAYS[way], "-d", target, held.url(LARGE))
    check_files(target, {str(LARGE): body_bytes(LARGE)})
    # A write that found no room may leave a hole before one that did: its range has an end, and more may follow.
    whole, second, third, *_ = ranges(origin.requests)
    assert (whole, second) == (None, f"bytes={resumed_from(100_077)}-")
    kept = int(third.removeprefix("bytes=").split("-")[0]) + BLOCK_BYTES
    assert kept % BLOCK_BYTES == 0 and MIB <= kept <= 8 * MIB


@pytest.mark.parametrize("disk", ("ext4", "xfs", "btrfs", "tmpfs", "fuse"), indirect=True)
@pytest.mark.parametrize("way", ("auto", "direct-none", "direct-trunc", "cached-prealloc", "uncached"))
def test_limit_on_the_size_of_files(disk, target, origin, way):
    ended = run(*WAYS[way], "-d", target, origin.url("/bytes/5"), origin.url(f"/bytes/{LARGE}"),
                prefix=["prlimit", "--fsize=10000001"])
    assert ended.status == 17
    assert "File too large" in ended.stderr
    check_files(target, {"5": body_bytes(5)})


@pytest.mark.parametrize("disk", ("ext4", "xfs", "btrfs"), indirect=True)
def test_read_only(disk, target, origin):
    disk.mounts.set_options(disk.name, "ro")
    try:
        ended = run("-d", target, origin.url("/bytes/5"))
    finally:
        disk.mounts.set_options(disk.name, "rw")
    assert ended.status == 16
    assert "Read-only file system" in ended.stderr
    check_files(target, {})


@pytest.fixture
def mounts():
    try:
        with Mounts() as mounts:
            yield mounts
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("way", ("direct-none", "direct-falloc"))
def test_disk_that_fails(mounts, origin, way):
    """An image that promises more than there is below it: to write past the page cache is to be told."""
    mounts.mount("below", "tmpfs", options="size=16m")
    disk = mounts.image("thin", "ext4", 64 * MIB, "-q", "-O", "^has_journal", on="below")
    ended = run(*WAYS[way], "-d", disk / "new", origin.url(f"/bytes/{LARGE}?ranges=0"))
    assert ended.status in (9, 17)
    assert "can't write" in ended.stderr
    check_files(disk / "new", {})


@pytest.mark.parametrize("way", ("direct-none", "cached-trunc"))
def test_file_system_that_goes_away(mounts, origin, way):
    mounts.mount("tmpfs", "tmpfs")
    disk = mounts.fuse("fuse", "tmpfs")
    held = Held(origin, 100_000)
    with Haul(*WAYS[way], "-d", disk, held.url(LARGE)) as haul:
        held.wait(haul)
        mounts.kill_daemons()
        haul.signal(signal.SIGTERM)
        ended = haul.finish(10)
    assert ended.status == 7


# Overlays.


def test_names_below(mounts, origin):
    """What the lower layer has is not replaced, and is copied up only to be continued."""
    upper = mounts.mount("upper", "tmpfs")
    disk = mounts.overlay("overlay", "upper")
    below = upper / "overlay-lower"
    below.joinpath("4097").write_bytes(b"mine")
    below.joinpath(str(LARGE)).write_bytes(body_bytes(MIB))
    run_good(DIRECT, "-d", disk, origin.url("/bytes/4097"))
    run_good("-c", DIRECT, "-d", disk, origin.url(f"/bytes/{LARGE}"))
    check_files(disk, {"4097": b"mine", "4097.1": body_bytes(4097), str(LARGE): body_bytes(LARGE)})
    assert ranges(origin.requests) == [None, f"bytes={resumed_from(MIB)}-"]
    check_files(below, {"4097": b"mine", str(LARGE): body_bytes(MIB)})
