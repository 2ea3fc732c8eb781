# SPDX-License-Identifier: GPL-3.0-or-later
"""What the library promises, it promises with any number of threads; threads.c says what is checked in there."""

import os
import re
import subprocess

import pytest

from origin import Origin, body_bytes
from testbed import Nginx, compare_trees, make_media, sha256, tree

MEDIA = {f"film-{number:02}.mp4": number * 37_001 for number in range(24)}
BIG = {"big.bin": 24 << 20}
HOSTS = ("127.0.0.1", "127.0.0.2", "::1")
THREADS = (0, 1, 3)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    root = tmp_path_factory.mktemp("media")
    make_media(root, MEDIA)
    return root


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    root = tmp_path_factory.mktemp("big")
    make_media(root, BIG)
    return root


@pytest.fixture(scope="module")
def nginx(media):
    with Nginx(media, kinds=("http", "tls13-ecdsa"), addresses=HOSTS) as server:
        yield server


@pytest.fixture(params=THREADS)
def play(request, build, tmp_path):
    """Plays a scene in tmp_path/target; returns how many were done, unfinished, failed, the bytes, and the looks."""
    target = tmp_path / "target"
    target.mkdir()

    def play_scene(scene, *urls, ca=None):
        environment = dict(os.environ, LC_ALL="C", **({"EXAMPLE_CA": ca} if ca else {}))
        ended = subprocess.run([build / "tests/threads", scene, str(request.param), target, *urls], env=environment,
                               capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr
        assert "Sanitizer" not in ended.stderr, ended.stderr
        play_scene.stderr = ended.stderr
        print(ended.stderr)
        return tuple(map(int, ended.stdout.split()))

    play_scene.target = target
    return play_scene


def test_several_hosts(play, nginx, media):
    """Callbacks, log and looks at what is active while files come from three hosts, plain and with TLS."""
    urls = [nginx.url(("http", "tls13-ecdsa")[number % 2], f"/{name}", HOSTS[number % 3]) for number, name in enumerate(MEDIA)]
    with Origin() as origin:
        urls.append(origin.url("/trickle/10000/20000"))
        *ended, looks = play("all", *urls, ca=nginx.ca)
    assert ended == [len(urls), 0, 0, sum(MEDIA.values()) + 10000]
    assert looks > 10
    (play.target / "20000").unlink()
    assert compare_trees(media, play.target) == []


def test_redirects_between_hosts_and_retries(play, nginx, media):
    with Origin() as origin:
        urls = [origin.url("/redirect?to=" + nginx.url("http", f"/{name}", HOSTS[number % 3])) for number, name in enumerate(MEDIA)]
        urls += [origin.url(f"/flaky/1?seed={number}&retry-after=0") for number in range(3)]
        assert play("all", *urls)[:3] == (len(urls), 0, 0)
        # A thread finds its connections again.
        assert len({request.connection for request in origin.requests}) < len(origin.requests)
    found = sorted(sha256(play.target / name) for name in tree(play.target) if name.startswith("redirect"))
    assert found == sorted(sha256(media / name) for name in MEDIA)


def test_failures_are_told(play, nginx):
    assert play("all", nginx.url("http", "/film-03.mp4"), nginx.url("http", "/nothing"))[:3] == (1, 0, 1)
    assert "404" in play.stderr


def test_one_name_for_many(play):
    """Whatever thread writes them: every file gets a name of its own, and none is lost."""
    with Origin() as origin:
        urls = [origin.url(f"/bytes/{size}?seed={size}") for size in (10_000, 20_000, 30_000)]
        assert play("names", *urls)[:3] == (24, 0, 0)
    assert tree(play.target) == sorted(["same.bin"] + [f"same.{number}.bin" for number in range(1, 24)])
    contents = [(play.target / name).read_bytes() for name in tree(play.target)]
    for size in (10_000, 20_000, 30_000):
        assert contents.count(body_bytes(size, str(size))) == 8


def test_callbacks_submit(play, nginx, media):
    urls = [nginx.url("http", f"/{name}", HOSTS[number % 3]) for number, name in enumerate(MEDIA)]
    assert play("chain", *urls)[:4] == (len(MEDIA), 0, 0, sum(MEDIA.values()))
    assert compare_trees(media, play.target) == []


def test_others_wake_it(play, nginx, media):
    urls = [nginx.url("http", f"/{name}") for name in MEDIA]
    assert play("wake", *urls)[:3] == (len(MEDIA), 0, 0)
    assert compare_trees(media, play.target) == []


def cancelled(play, scene, nginx, big):
    """Half are short, half come slowly: some end before they are stopped, some are in the middle."""
    with Nginx(big, kinds=("http",), server_extra="limit_rate 4m;") as slow, Origin() as origin:
        urls = [nginx.url("http", f"/{name}", HOSTS[number % 3]) for number, name in enumerate(MEDIA)]
        urls[::3] = [slow.url("http", "/big.bin") if number % 2 else origin.url("/stall/1000/10") for number in range(len(urls[::3]))]
        if scene == "cancel":  # what nobody stops has to end
            urls = [url for pair in zip(urls[::3], urls[1::3]) for url in pair]
        return play(scene, *urls), urls


@pytest.mark.parametrize("scene", ["cancel", "cancel-all", "destroy"])
def test_stopped_at_any_time(play, nginx, big, scene):
    (done, unfinished, failed, *_), urls = cancelled(play, scene, nginx, big)
    assert done + unfinished == 20 * len(urls) * (8 if scene == "cancel-all" else 1)
    assert failed == 0
    assert unfinished > 0
    if scene == "cancel":
        assert done >= 20 * len(urls) // 2
    # What has a final name is whole.
    sizes = [(play.target / name).stat().st_size for name in tree(play.target) if re.fullmatch(r"film-[0-9.]+mp4", name)]
    assert all(size in MEDIA.values() for size in sizes)
