# SPDX-License-Identifier: GPL-3.0-or-later
"""demo.py HAUL [--keep]: a web server on this machine, files for it, haul to fetch them, and a look at every one of them.

Called by tools/demo.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "loop"))

from testbed import Nginx, make_media, sha256, tree  # noqa: E402

HOSTS = ("127.0.0.1", "127.0.0.2", "localhost")
KINDS = ("http", "tls13-ecdsa")
# For a terminal, so that there is something to watch: bytes per second of each connection.
RATE = "10m"
URLS, TARGET = "urls.txt", "downloads"
MB = 1_000_000


class Trouble(Exception):
    pass


def media():
    """{name: bytes}: 60 files of 40 KB to 64 MB, 600 MB in all; the long ones come first."""
    films = {f"film-{number:03}.mp4": (64 - 5 * number) * MB for number in range(10)}
    songs = {f"song-{number:02}.flac": (6 + 7 * number % 11) * MB for number in range(16)}
    covers = {f"cover-{number}.jpg": 40_000 + 26_000 * number for number in range(1, 34)}
    return films | songs | covers | {"index.json": 40_000}


def fit(spec, folder):
    """Smaller files where the disk is small: they are there twice, served and downloaded."""
    room = shutil.disk_usage(folder).free
    share = room / (2.2 * sum(spec.values()))
    if share >= 1:
        return spec
    if share < 0.05:
        raise Trouble(f"{folder} has only {room // MB} MB free; name another directory in TMPDIR")
    print(f"{folder} has {room // MB} MB free: smaller files than usual")
    return {name: max(int(size * share), 1000) for name, size in spec.items()}


def write_list(path, nginx, names):
    """Every file from one of the hosts, every other one over HTTPS."""
    places = [(kind, host) for host in HOSTS for kind in KINDS]
    urls = []
    for number, name in enumerate(names):
        kind, host = places[number % len(places)]
        urls.append(nginx.url(kind, f"/{name}", host))
    path.write_text("".join(f"{url}\n" for url in urls))


def download(haul, folder, ca):
    """Runs it on this terminal. Returns the seconds that it took."""
    start = time.monotonic()
    process = subprocess.Popen([haul, "-i", URLS, "-d", TARGET, "--ca-certificate", ca], cwd=folder)
    try:
        status = process.wait()
    except BaseException:
        # Ctrl-C has reached haul too, which stops in good order; anything else has not.
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    if status != 0:
        raise Trouble(f"haul ended with {status}")
    return time.monotonic() - start


def verify(source, target, names):
    """Compares by SHA-256. Returns how many are good, and says which are not."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        def judge(name):
            if not (target / name).is_file():
                return "is missing"
            return None if sha256(target / name) == sha256(source / name) else "is not what was served"

        verdicts = dict(zip(names, threads.map(judge, names)))
    verdicts |= {name: "was not asked for" for name in tree(target) if name not in verdicts}
    for name, verdict in verdicts.items():
        if verdict:
            print(f"{name} {verdict}")
    return sum(verdict is None for verdict in verdicts.values()), len(verdicts)


def demonstrate(haul, folder):
    """Returns whether all went well, and the folder with the files."""
    source, target = folder / "served", folder / TARGET
    spec = fit(media(), folder)
    make_media(source, spec)
    total = sum(spec.values())
    watched = sys.stdout.isatty()
    with Nginx(source, kinds=KINDS, addresses=("127.0.0.1", "127.0.0.2"), workers=2,
               server_extra=f"limit_rate {RATE};" if watched else "") as nginx:
        write_list(folder / URLS, nginx, list(spec))
        print(f"{len(spec)} files, {total / MB:.0f} MB, from {len(HOSTS)} hosts over HTTP and HTTPS"
              f"{f', at most {RATE[:-1]} MB/s a connection' if watched else ''}:", flush=True)
        seconds = download(haul, folder, nginx.ca)
    print(f"\n{len(spec)} files, {total / MB:.1f} MB in {seconds:.2f} s, {total / MB / seconds:.0f} MB/s")
    good, count = verify(source, target, list(spec))
    print(f"{good} of {count} files verified (SHA-256)")
    return good == count == len(spec), target


def main(arguments):
    haul, keep = arguments[0], arguments[1:] == ["--keep"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even if whoever started this has it ignored
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    folder = Path(tempfile.mkdtemp(prefix="haul-demo-"))
    try:
        good, target = demonstrate(haul, folder)
    except Trouble as trouble:
        print(f"tools/demo: {trouble}", file=sys.stderr)
        good, keep = False, False
    except KeyboardInterrupt:
        print("\ntools/demo: interrupted; nothing is left behind", file=sys.stderr)
        keep = False
        return 130
    except BaseException:
        keep = False
        raise
    finally:
        shutil.rmtree(folder if not keep else folder / "served", ignore_errors=True)
    if keep:
        print(f"the files are in {target}")
    elif good:
        print("the files have been deleted (tools/demo --keep leaves them)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
