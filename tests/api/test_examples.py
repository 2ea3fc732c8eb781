# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples do what they are shown for."""

import os
import re
import subprocess

import pytest

from testbed import Nginx, compare_trees, make_media

MEDIA = {f"film-{number}.mp4": number * 700_001 for number in range(8)}


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    root = tmp_path_factory.mktemp("media")
    make_media(root, MEDIA)
    return root


@pytest.fixture(scope="module")
def nginx(media):
    with Nginx(media, kinds=("http", "tls13-ecdsa")) as server:
        yield server


@pytest.fixture(params=["driven", "threads"])
def run(request):
    """Runs a program whose engine works in the program's thread, or has threads: nobody is to see a difference."""
    threads = {"EXAMPLE_THREADS": "yes"} if request.param == "threads" else {}

    def run_program(program, *arguments, ca=None):
        environment = dict(os.environ, LC_ALL="C", **threads, **({"EXAMPLE_CA": ca} if ca else {}))
        return subprocess.run([program, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=60)

    return run_program


@pytest.mark.parametrize("kind", ["http", "tls13-ecdsa"])
def test_gather(run, build, nginx, media, tmp_path, kind):
    ended = run(build / "tests/example_gather", tmp_path, *(nginx.url(kind, f"/{name}") for name in MEDIA), ca=nginx.ca)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = sorted(f"{tmp_path}/{name}: {size} bytes" for name, size in MEDIA.items())
    assert sorted(ended.stdout.splitlines()) == lines
    assert compare_trees(media, tmp_path) == []


def test_gather_tells_of_failures(run, build, nginx, tmp_path):
    ended = run(build / "tests/example_gather", tmp_path, nginx.url("http", "/film-1.mp4"), nginx.url("http", "/no"), "no:url")
    assert ended.returncode == 1
    assert "film-1.mp4: 700001 bytes" in ended.stdout
    assert "/no: " in ended.stdout and "404" in ended.stdout
    assert "not supported" in ended.stderr


@pytest.mark.parametrize("kind", ["http", "tls13-ecdsa"])
@pytest.mark.parametrize("last_line_ends", [True, False])
def test_callbacks(run, build, nginx, media, tmp_path, kind, last_line_ends):
    lines = "\n".join(nginx.url(kind, f"/{name}") for name in MEDIA)
    served = tmp_path / "list"
    served.mkdir()
    (served / "list.txt").write_text(lines + ("\n" if last_line_ends else ""))
    target = tmp_path / "target"
    target.mkdir()
    with Nginx(served, kinds=("http",)) as lists:
        ended = run(build / "tests/example_callbacks", target, lists.url("http", "/list.txt"), ca=nginx.ca)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{len(MEDIA)} files, {sum(MEDIA.values())} bytes\n"
    assert compare_trees(media, target) == []


def test_callbacks_without_a_list(run, build, nginx, tmp_path):
    ended = run(build / "tests/example_callbacks", tmp_path, nginx.url("http", "/nothing"))
    assert ended.returncode == 1
    assert "404" in ended.stderr
    assert ended.stdout == "0 files, 0 bytes\n"


def test_the_readme_shows_what_is_compiled(root):
    """The pieces of C in the README stand, blanks aside, in an example."""
    examples = [" ".join(path.read_text().split()) for path in (root / "tests/api").glob("example_*.c")]
    pieces = re.findall(r"```c\n(.*?)```", (root / "README.md").read_text(), re.S)
    assert pieces
    for piece in pieces:
        assert any(" ".join(piece.split()) in example for example in examples), piece
