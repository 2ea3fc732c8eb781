# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx, files to serve, file systems to write to, and the comparison of what was fetched. Used by the tests, the
benchmarks and the demo.

    files = make_media(root, {"a.bin": 1 << 20})
    with Nginx(root) as nginx:
        run("haul", nginx.url("http", "/a.bin"))
        run("haul", "--ca-certificate", nginx.ca, nginx.url("tls13-ecdsa", "/a.bin"))
        run("haul", nginx.url("cert:expired", "/a.bin"))
    assert compare_trees(root, downloads) == []

    with Relay(nginx.ports["http"], rates=[20e6], delay_ms=50) as relay:      # a long, narrow line before it
        run("haul", relay.url("/a.bin"))
        print(relay.report()["connections"])

    with Mounts() as mounts:
        run("haul", "-d", mounts.image("xfs", 300 << 20, "-b", "size=1024"), url)
"""

import atexit
import contextlib
import functools
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from origin import body_blocks

GENCERT = Path(__file__).resolve().parents[2] / "tools" / "gencert"

# kind -> (certificate, ssl_protocols); None is plain HTTP.
KINDS = {
    "http": None,
    "tls13-ecdsa": ("ecdsa", "TLSv1.3"),
    "tls13-rsa": ("rsa", "TLSv1.3"),
    "tls12-ecdsa": ("ecdsa", "TLSv1.2"),
    "tls12-rsa": ("rsa", "TLSv1.2"),
}
CERTIFICATES = (
    "ecdsa rsa wildcard expired future wrongname cnonly noip dnslooksip ipsan unknown selfsigned chain nochain".split()
)
for _name in CERTIFICATES:
    KINDS[f"cert:{_name}"] = (_name, "TLSv1.2 TLSv1.3")

LOG_FORMAT = {
    "time": "$msec",
    "server": "$server_addr:$server_port",
    "connection": "$connection",
    "connection_requests": "$connection_requests",
    "method": "$request_method",
    "uri": "$request_uri",
    "request": "$request",
    "status": "$status",
    "bytes_sent": "$bytes_sent",
    "body_bytes_sent": "$body_bytes_sent",
    "request_time": "$request_time",
    "completed": "$request_completion",
    "user_agent": "$http_user_agent",
    "range": "$http_range",
    "if_range": "$http_if_range",
    "referer": "$http_referer",
    "host": "$http_host",
    "tls": "$ssl_protocol",
    "cipher": "$ssl_cipher",
    "tls_reused": "$ssl_session_reused",
    "sni": "$ssl_server_name",
}
_NUMBERS = {"time", "connection", "connection_requests", "status", "bytes_sent", "body_bytes_sent", "request_time"}


class Nginx:
    """nginx on free ports of its own, in the foreground, as a context manager.

    root          the directory that is served
    kinds         which servers: names of KINDS ("http", "tls13-ecdsa", ..., "cert:expired"); all by default
    addresses     every server listens on each of them, with the same port; the first is url()'s default
    workers       worker_processes
    access_log    keep one, for requests()
    ciphersuites  restrict TLS 1.3 to these (OpenSSL names)
    server_extra  directives for every server block, for example a location or "limit_rate 1m;"
    http_extra    directives for the http block
    certificates  gencert's directory; by default one that all of this process share
    files         open_file_cache for so many files (a benchmark of small files should not measure the server's open)
    """

    def __init__(self, root, *, kinds=None, addresses=("127.0.0.1",), workers=1, access_log=False, ciphersuites=None,
                 server_extra="", http_extra="", files=0, certificates=None):
        self.root = Path(root).resolve()
        self.kinds = tuple(kinds or KINDS)
        self.addresses = tuple(addresses)
        self.workers = workers
        self.access_log = access_log
        self.ciphersuites = ciphersuites
        self.server_extra = server_extra
        self.http_extra = http_extra
        self.files = files
        self.certificates = Path(certificates).resolve() if certificates else None
        self.ports = {}
        self.process = None
        self.directory = None

    @property
    def ca(self):
        """The authority's certificate, for --ca-certificate."""
        return str(self.certificates / "ca.crt")

    def url(self, kind, path="/", host=None):
        host = host or self.addresses[0]
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if KINDS[kind] else 'http'}://{host}:{self.ports[kind]}{path}"

    def requests(self, at_least=0, timeout=5):
        """The access log as a list of dicts with LOG_FORMAT's keys.

        nginx logs a request after the client has its last byte: say how many to wait for."""
        deadline = time.monotonic() + timeout
        while True:
            text = (self.directory / "access.log").read_text(errors="replace")
            lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
            if len(lines) >= at_least or time.monotonic() > deadline:
                return [_log_entry(line) for line in lines]
            time.sleep(0.02)

    def clear_log(self):
        """Forgets the requests so far; nginx appends, so that emptying the file is enough."""
        os.truncate(self.directory / "access.log", 0)

    def error_log(self):
        return (self.directory / "error.log").read_text(errors="replace")

    # Starting and stopping.

    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="haul-nginx-"))
        try:
            self.certificates = self.certificates or shared_certificates()
            for attempt in range(5):
                if self._start():
                    return self
            raise RuntimeError(f"nginx does not start:\n{self.error_log()}")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exception):
        self._stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def stop(self):
        """As a server that is being restarted; start_again() ends that."""
        self._stop()

    def start_again(self):
        """On the same ports."""
        if not self._launch():
            raise RuntimeError(f"another process has taken nginx's ports:\n{self.error_log()}")

    def _start(self):
        """True when it listens, False when another process took one of the ports first."""
        self.ports = dict(zip(self.kinds, free_ports(len(self.kinds), self.addresses)))
        (self.directory / "nginx.conf").write_text(self._configuration())
        return self._launch()

    def _launch(self):
        (self.directory / "error.log").write_text("")
        (self.directory / "access.log").touch()
        pid = self.directory / "nginx.pid"
        pid.unlink(missing_ok=True)
        with open(self.directory / "stderr", "wb") as stderr:
            # Its own session: Ctrl-C reaches Python alone, which then ends nginx. The death signal is for a Python that
            # is killed; it also fires when the starting thread ends.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", find_nginx(), "-p", self.directory, "-e", "error.log", "-c", "nginx.conf"],
                stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, start_new_session=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            if "Address already in use" in self.error_log():
                break
            # Written once all sockets listen. To connect would tell less: another server may have the port.
            if pid.exists() and pid.read_text().strip():
                return True
            time.sleep(0.005)
        self._stop()
        if "Address already in use" in self.error_log():
            return False
        raise RuntimeError(f"nginx does not start:\n{(self.directory / 'stderr').read_text()}{self.error_log()}")

    def _stop(self):
        if self.process is None:
            return
        process, self.process = self.process, None
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            try:
                os.killpg(process.pid, number)  # the group is nginx and its workers, nothing else
            except ProcessLookupError:
                pass
            try:
                process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                continue

    def _configuration(self):
        log = "access.log json" if self.access_log else "off"
        fields = ",".join(f'"{name}":"{variable}"' for name, variable in LOG_FORMAT.items())
        user = "user root;" if os.geteuid() == 0 else ""  # the files may be readable by us alone
        cache = f"open_file_cache max={self.files}; open_file_cache_valid 1h;" if self.files else ""
        temporary = "\n    ".join(f"{name}_temp_path temp;" for name in
                                  ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        servers = "\n".join(self._server(kind) for kind in self.kinds)
        return f"""\
daemon off;
master_process on;
worker_processes {self.workers};
{user}
pid nginx.pid;
error_log error.log notice;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
    {temporary}
    log_format json escape=json '{{{fields}}}';
    access_log {log};
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    reset_timedout_connection on;
    ssl_session_cache shared:tls:1m;
    {cache}
    {self.http_extra}
{servers}
}}
"""

    def _server(self, kind):
        tls = KINDS[kind]
        lines = []
        for address in self.addresses:
            address = f"[{address}]" if ":" in address else address
            lines.append(f"listen {address}:{self.ports[kind]}{' ssl' if tls else ''} backlog=4096;")
        if tls:
            name, protocols = tls
            lines += [f"ssl_certificate {self.certificates}/{name}.crt;",
                      f"ssl_certificate_key {self.certificates}/{name}.key;", f"ssl_protocols {protocols};"]
            if self.ciphersuites:
                lines.append(f"ssl_conf_command Ciphersuites {self.ciphersuites};")
        lines += [f"root {self.root};", "location /autoindex/ { alias " + f"{self.root}/; autoindex on; }}",
                  self.server_extra]
        return "    server {\n" + "".join(f"        {line}\n" for line in lines) + "    }"


@contextlib.contextmanager
def openssl_server(certificates, name, *arguments):
    """openssl s_server, which does what no other would any more; each page says how the connection came about. Gives its
    port."""
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cipher", "ALL:@SECLEVEL=0",
         "-cert", certificates / f"{name}.crt", "-key", certificates / f"{name}.key", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield next(line for line in server.stdout if line.startswith("ACCEPT")).rpartition(":")[2].strip()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stdin.close()


class Relay:
    """tests/loop/relay.c before a server on 127.0.0.1; a context manager.

    port       the server's
    rates, cuts, stalls   lists of bytes a second, and of bytes after which a connection is reset or held; the last
                          one is for all connections that follow, 0 is none
    delay_ms   both ways
    listen     the port that it listens on, if it matters
    scheme     of url()
    """

    def __init__(self, port, *, rates=(), delay_ms=0, cuts=(), stalls=(), listen=0, scheme="http"):
        self._command = [c_program("relay"), "-d", str(delay_ms), "-p", str(listen)]
        for letter, numbers in (("-r", rates), ("-c", cuts), ("-s", stalls)):
            if numbers:
                self._command += [letter, ",".join(str(int(number)) for number in numbers)]
        self._command.append(str(port))
        self._scheme = scheme
        self.port = None
        self.process = None

    def url(self, path="/"):
        return f"{self._scheme}://127.0.0.1:{self.port}{path}"

    def report(self):
        """{"up": bytes, "down": bytes, "now": s, "connections": [{"up", "down", "begin", "first", "last", "end"}]}:
        first and last are when bytes came back; times count from the relay's beginning, 0 is not yet."""
        self.tell("report")
        return json.loads(self.process.stdout.readline())

    def tell(self, command):
        """report (whose answer must be read), cut, stall or go"""
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        self.process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()  # which ends it, even if this process is killed
        self.process.stdout.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@functools.cache
def c_program(name, *flags):
    """Compiles NAME.c of this directory and returns the program; removed at the end of this process."""
    directory = Path(tempfile.mkdtemp(prefix=f"haul-{name}-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    program = directory / name
    subprocess.run(["cc", "-O2", *flags, "-o", program, Path(__file__).with_name(f"{name}.c")], check=True)
    return program


@functools.cache
def shared_certificates():
    """gencert's directory for this process; removed at its end."""
    directory = Path(tempfile.mkdtemp(prefix="haul-certificates-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    subprocess.run([GENCERT, directory], check=True)
    return directory


def find_nginx():
    path = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not path:
        raise FileNotFoundError("nginx is not installed")
    return path


def free_ports(count, addresses=("127.0.0.1",)):
    """Ports that are free on all addresses now. Another process may still take one before it is used."""
    held, ports = [], []
    try:
        while len(ports) < count:
            port = 0
            try:
                for address in addresses:
                    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
                    held.append(sock)
                    sock.bind((address, port))
                    port = sock.getsockname()[1]
            except OSError as error:
                if not port:
                    raise OSError(error.errno, f"cannot bind to {address}: {error.strerror}") from None
                continue  # taken on the second address
            ports.append(port)
        return ports
    finally:
        for sock in held:
            sock.close()


def _log_entry(line):
    entry = json.loads(line)
    for name in _NUMBERS:
        entry[name] = float(entry[name]) if "." in entry[name] else int(entry[name] or 0)
    return entry


# Files.


def make_media(directory, spec, seed=0):
    """Writes incompressible files, the same ones for the same arguments: spec is {relative name: bytes}.

    Each file has a content of its own. Returns the paths, in the order of spec."""
    paths = []
    for name, size in spec.items():
        path = Path(directory) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            for block in body_blocks(size, f"{seed}/{name}"):
                file.write(block)
        paths.append(path)
    return paths


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree(directory):
    """The relative names of all files below a directory, sorted; hidden ones too, for nothing may be left behind."""
    directory = Path(directory)
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


def compare_trees(source, copy, names=None):
    """What is wrong with a downloaded tree: a list of sentences, empty when it equals the source.

    names: the files expected, all of the source by default; a dict maps a source's name to the copy's."""
    source, copy = Path(source), Path(copy)
    names = tree(source) if names is None else names
    wanted = names if isinstance(names, dict) else {name: name for name in names}
    troubles = [f"unexpected: {name}" for name in sorted(set(tree(copy)) - set(wanted.values()))]
    for name, copied in wanted.items():
        trouble = compare_files(source / name, copy / copied)
        if trouble:
            troubles.append(f"{copied}: {trouble}")
    return troubles


def compare_files(source, copy):
    """None when equal, else a sentence that says where they differ."""
    if not os.path.isfile(copy):
        return "missing"
    sizes = os.path.getsize(source), os.path.getsize(copy)
    if sizes[0] != sizes[1]:
        return f"has {sizes[1]} bytes, not {sizes[0]}"
    offset = 0
    with open(source, "rb") as one, open(copy, "rb") as other:
        while block := one.read(1 << 20):
            theirs = other.read(len(block))
            if block != theirs:
                pairs = enumerate(zip(block, theirs))
                return f"differs at byte {offset + next((i for i, (a, b) in pairs if a != b), len(theirs))}"
            offset += len(block)
    return None


# File systems.


class Unavailable(Exception):
    """This machine can't do that; the text says why."""


def _is_mounted(directory):
    return directory.stat().st_dev != directory.parent.stat().st_dev


class Mounts:
    """File systems in a mount namespace of their own; a context manager.

    They, their loop devices and their images end with the namespace, so nothing stays behind, not even after SIGKILL.
    The methods mount something and return the path by which it is reached from outside, which must not be resolved:
    it leads through /proc. They raise Unavailable where the machine can't.
    """

    def __init__(self):
        self._top = None  # a tmpfs, in the namespace
        self._holder = None
        self._daemons = []
        self._mounted = []

    def __enter__(self):
        if os.geteuid() != 0:
            raise Unavailable("only root can mount")
        self._top = Path(tempfile.mkdtemp(prefix="haul-mounts-"))
        self._holder = self._start("unshare", "--mount", "sh", "-c",
                                   f"mount -t tmpfs none {self._top} && echo ready && exec sleep infinity")
        answer = self._holder.stdout.readline()
        if answer != "ready\n":
            self.__exit__()
            raise Unavailable(answer.strip() or "no mount namespaces here")
        return self

    def __exit__(self, *exception):
        try:
            # The end of the namespace would do it too, but would not say what is still in use.
            for name in reversed(self._mounted):
                ended = self._run("umount", self._top / name)
                if ended.returncode != 0:
                    raise RuntimeError(ended.stdout.strip())
        finally:
            for process in (*self._daemons, self._holder):
                process.kill()
                process.wait()
                process.stdout.close()
            self._top.rmdir()

    def mount(self, name, kind, source="none", options="rw"):
        self._directory(name)
        self._inside("mount", "-t", kind, "-o", options, source, self._top / name)
        self._mounted.append(name)
        return self._outside(name)

    def image(self, name, kind, size, *mkfs_options, options="rw", on=None):
        """A file system in a file; on: the name of the mount that the file is in."""
        image = f"{on or '.'}/{name}.image"
        with open(self._outside(image), "wb") as file:
            file.truncate(size)
        self._inside(f"mkfs.{kind}", *mkfs_options, self._top / image)
        return self.mount(name, kind, self._top / image, f"loop,{options}")

    def overlay(self, name, on):
        """On the mount of that name. What stands in NAME-lower there is to be seen in it."""
        for part in ("lower", "upper", "work"):
            self._outside(f"{on}/{name}-{part}").mkdir()
        layers = (f"{option}={self._top}/{on}/{name}-{part}" for option, part in
                  (("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")))
        return self.mount(name, "overlay", "overlay", ",".join(layers))

    def fuse(self, name, on):
        """A process (bindfs) passes everything on to the mount of that name; kill_daemons() ends it."""
        directory, below = self._directory(name), self._outside(f"{on}/{name}-below")
        below.mkdir()
        daemon = self._start(*self._enter(), "bindfs", "-f", self._top / on / below.name, self._top / name)
        self._daemons.append(daemon)
        deadline = time.monotonic() + 10
        while not _is_mounted(directory):
            if daemon.poll() is not None or time.monotonic() > deadline:
                daemon.kill()
                raise Unavailable(f"bindfs: {daemon.stdout.read().strip()}")
            time.sleep(0.01)
        self._mounted.append(name)
        return directory

    def kill_daemons(self):
        for daemon in self._daemons:
            daemon.kill()
            daemon.wait()

    def set_options(self, name, options):
        self._inside("mount", "-o", f"remount,{options}", self._top / name)

    def _outside(self, name):
        return Path(f"/proc/{self._holder.pid}/root{self._top}/{name}")

    def _directory(self, name):
        path = self._outside(name)
        path.mkdir()
        return path

    def _enter(self):
        return "nsenter", "-t", str(self._holder.pid), "-m"

    def _run(self, *command):
        return subprocess.run([*self._enter(), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)

    def _inside(self, *command):
        ended = self._run(*command)
        if ended.returncode != 0:
            raise Unavailable(f"{command[0]}: {ended.stdout.strip()}")

    @staticmethod
    def _start(*command):
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
