# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins: Basic before a real nginx, Digest before a scripted server, netrc files, and that nobody else learns of them."""

import base64
import hashlib
import re
import subprocess

import pytest

import testbed
from haul import check_files, run, run_good, run_list
from origin import Response, body_bytes

HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def logins(origin):
    return [request.header("authorization") for request in origin.requests]


def netrc(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


class Digest:
    """Guards /digest of an origin, as strictly as RFC 7616 lets it. uses: how often a nonce is good."""

    def __init__(self, origin, user="user", password="pass", algorithm="MD5", qop='qop="auth"', uses=1 << 30, more=""):
        self.user, self.password, self.algorithm, self.qop, self.more = user, password, algorithm, qop, more
        self.uses = uses
        self.nonces = {}  # nonce -> the counts that were seen
        self.stale = self.refused = 0
        self.hash = HASHES[(algorithm or "MD5").removesuffix("-sess")]
        origin.on("/digest")(self.answer)

    def h(self, *parts):
        return self.hash(":".join(parts).encode()).hexdigest()

    def challenge(self, stale):
        nonce = f"n{len(self.nonces)}/+=="
        self.nonces[nonce] = set()
        algorithm = f", algorithm={self.algorithm}" if self.algorithm else ""
        qop = f", {self.qop}" if self.qop else ""
        text = f'Digest realm="a \\"realm\\"", nonce="{nonce}"{qop}{algorithm}, opaque="o,p"{self.more}'
        return Response(401, [("WWW-Authenticate", text + (", stale=true" if stale else ""))], b"who are you?")

    def answer(self, exchange):
        given = exchange.request.header("authorization") or ""
        if not given.startswith("Digest "):
            return self.challenge(False)
        fields = {name: quoted.replace('\\"', '"') or plain for name, quoted, plain in
                  re.findall(r'(\w+\*?)=(?:"((?:\\.|[^"])*)"|([^\s,]+))', given)}
        nonce = fields["nonce"]
        if nonce not in self.nonces or len(self.nonces[nonce]) >= self.uses:
            self.stale += 1
            return self.challenge(True)
        if not self.is_right(fields, exchange.request):
            self.refused += 1
            return self.challenge(False)
        size = int(exchange.request.path.split("/")[2])
        return Response(200, [("ETag", '"1"')], body_bytes(size))

    def is_right(self, fields, request):
        nonce, cnonce = fields["nonce"], fields.get("cnonce", "")
        user = self.h(self.user, 'a "realm"') if "userhash=true" in self.more else self.user
        a1 = self.h(self.user, 'a "realm"', self.password)
        if (self.algorithm or "").endswith("-sess"):
            a1 = self.h(a1, nonce, cnonce)
        a2 = self.h(request.method, request.target)
        if self.qop:
            count = fields["nc"]
            if count in self.nonces[nonce] or not re.fullmatch("[0-9a-f]{8}", count) or len(cnonce) < 16:
                return False
            self.nonces[nonce].add(count)
            wanted = self.h(a1, nonce, count, cnonce, "auth", a2)
        else:
            self.nonces[nonce].add(len(self.nonces[nonce]))
            wanted = self.h(a1, nonce, a2)
        return (fields["response"] == wanted and fields["username"] == user and fields["uri"] == request.target and
                fields["opaque"] == "o,p" and fields["realm"] == 'a "realm"')


# Basic.


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """nginx that asks for user:päss, but not at /open."""
    root = tmp_path_factory.mktemp("guarded")
    testbed.make_media(root, {"a": 1000, "b": 2000, "open": 500})
    hashed = subprocess.run(["openssl", "passwd", "-apr1", "päss"], check=True, capture_output=True, text=True).stdout
    users = root.parent / "users"
    users.write_text(f"user:{hashed}")
    extra = f'auth_basic "the realm"; auth_basic_user_file {users}; location = /open {{ auth_basic off; }}'
    with testbed.Nginx(root, kinds=["http"], server_extra=extra, access_log=True) as server:
        yield server


def statuses(server, count):
    found = [request["status"] for request in server.requests(count)]
    server.clear_log()
    return found


def test_basic(guarded, target):
    guarded.clear_log()
    url = guarded.url("http", "/a")
    run_good("-d", target, "--http-user=user", "--http-passwd=päss", url)
    run_good("-d", target, url.replace("//", "//user:p%C3%A4ss@").replace("/a", "/b"))
    assert statuses(guarded, 2) == [200, 200]
    assert testbed.compare_trees(guarded.root, target, ["a", "b"]) == []


def test_basic_when_asked(guarded, target):
    """Only the first of all has to be asked."""
    guarded.clear_log()
    run_good("-d", target, "-j", 1, "--http-auth-challenge", "--http-user=user", "--http-passwd=päss", "-m", 1,
             guarded.url("http", "/open"), guarded.url("http", "/a"), guarded.url("http", "/b"))
    assert statuses(guarded, 4) == [200, 401, 200, 200]


def test_basic_in_vain(guarded, target):
    guarded.clear_log()
    ended = run("-d", target, "--http-user=user", "--http-passwd=wrong", "--retry-wait=0.1", guarded.url("http", "/a"))
    assert ended.status == 24 and "401" in ended.stderr and "wrong" not in ended.stderr
    ended = run("-d", target, "--http-auth-challenge", "--http-user=user", "--http-passwd=wrong", guarded.url("http", "/a"))
    assert ended.status == 24
    ended = run("-d", target, guarded.url("http", "/a"))
    assert ended.status == 24
    assert statuses(guarded, 4) == [401, 401, 401, 401]
    check_files(target, {})


def test_own_header_wins(origin, target):
    ended = run("-d", target, "--header=Authorization: Mine", "--http-user=user", "--http-passwd=pass",
                origin.url("/bytes/5"))
    assert ended.status == 0 and logins(origin) == ["Mine"]
    Digest(origin)
    ended = run("-d", target, "--header=Authorization: Mine", "--http-user=user", "--http-passwd=pass",
                origin.url("/digest/5"))
    assert ended.status == 24 and logins(origin) == ["Mine", "Mine"]


def test_bearer(origin, target):
    run_good("-d", target, "--bearer=t0ken", origin.url("/bytes/5"))

    @origin.on("/api")
    def api(exchange):
        if exchange.request.header("authorization") == "Bearer t0ken":
            return Response(200, [], b"ok")
        return Response(401, [("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", 'Bearer realm="x"')])

    run_good("-d", target, "--bearer=t0ken", "--http-auth-challenge", origin.url("/api/1"))
    assert logins(origin) == ["Bearer t0ken", None, "Bearer t0ken"]
    ended = run("-d", target, "--bearer=other", origin.url("/api/2"))
    assert ended.status == 24 and len(origin.requests) == 4


# Digest.


@pytest.mark.parametrize("algorithm", (None, "MD5", "SHA-256", "MD5-sess", "SHA-256-sess"))
@pytest.mark.parametrize("qop", ("", 'qop="auth-int, auth"'))
def test_digest(origin, target, algorithm, qop):
    guard = Digest(origin, algorithm=algorithm, qop=qop)
    run_good("-d", target, "-j", 1, "-m", 1, "--http-user=user", "--http-passwd=pass", origin.url("/digest/5?x=%20"),
             origin.url("/digest/6"), origin.url("/digest/7"))
    check_files(target, {str(size): body_bytes(size) for size in (5, 6, 7)})
    assert guard.refused == 0 and len(guard.nonces) == 1
    assert [login.split()[0] for login in logins(origin)] == ["Basic"] + ["Digest"] * 3
    if qop:
        assert list(guard.nonces.values()) == [{"00000001", "00000002", "00000003"}]


def test_digest_with_hashed_name(origin, target):
    guard = Digest(origin, user="Jäsøn", more=", userhash=true, charset=UTF-8")
    run_good("-d", target, "--http-auth-challenge", "--http-user=Jäsøn", "--http-passwd=pass", origin.url("/digest/5"))
    assert guard.refused == 0 and logins(origin)[0] is None and "userhash=true" in logins(origin)[1]


@pytest.mark.parametrize("threads", (0, 3))
def test_stale_nonces(origin, target, tmp_path, threads):
    """A nonce for three requests, and many downloads at once."""
    guard = Digest(origin, uses=3)
    lines = [origin.url(f"/digest/{size}") for size in range(1, 41)]
    ended = run_list(tmp_path, lines, "-d", target, "-m", 1, "-j", 2, "-x", 2, "--threads", threads, "--http-user=user",
                     "--http-passwd=pass")
    assert ended.status == 0, ended.stderr
    check_files(target, {str(size): body_bytes(size) for size in range(1, 41)})
    assert guard.refused == 0 and guard.stale >= 8


def test_always_stale(origin, target):
    """It ends."""
    guard = Digest(origin, uses=0)
    ended = run("-d", target, "--http-user=user", "--http-passwd=pass", origin.url("/digest/5"))
    assert ended.status == 24 and guard.stale == 5


def test_digest_in_vain(origin, target):
    guard = Digest(origin, password="another")
    ended = run("-d", target, "--retry-wait=0.1", "--http-user=user", "--http-passwd=pass", origin.url("/digest/5"))
    assert ended.status == 24 and guard.refused == 1 and len(origin.requests) == 2
    assert "401" in ended.stderr


def test_forgotten_nonce(origin, target):
    """The server has been started anew, and does not say that it is only the nonce."""
    guard = Digest(origin)

    @origin.on("/digest/6")
    def forget(exchange):
        if guard.nonces.pop("n0/+==", None) is None:
            return guard.answer(exchange)
        guard.nonces["another"] = set()
        return guard.challenge(False)

    run_good("-d", target, "-j", 1, "-m", 1, "--http-user=user", "--http-passwd=pass", origin.url("/digest/5"),
             origin.url("/digest/6"))
    assert [request.path for request in origin.requests] == ["/digest/5"] * 2 + ["/digest/6"] * 2


def test_no_try_is_lost_and_nothing_slept(origin, target):
    Digest(origin)
    ended = run_good("-d", target, "-m", 1, "--retry-wait=20", "--http-user=user", "--http-passwd=pass",
                     origin.url("/digest/5"))
    assert ended.seconds < 10


def test_answer_is_no_try(origin, target):
    guard = Digest(origin)

    @origin.on("/digest/6")
    def trouble(exchange):
        response = guard.answer(exchange)
        return Response(500) if len(origin.requests) == 2 else response

    run_good("-d", target, "-m", 2, "--retry-wait=0.1", "--http-auth-challenge", "--http-user=user", "--http-passwd=pass",
             origin.url("/digest/6"))
    assert len(origin.requests) == 3


def test_digest_of_a_post(origin, target):
    guard = Digest(origin)
    run_good("-d", target, "-o", "it", "--http-user=user", "--http-passwd=pass", "--data=x=1", origin.url("/digest/5"))
    assert [request.body for request in origin.requests] == [b"x=1", b"x=1"] and guard.refused == 0


# netrc.


def test_netrc(origin, target, tmp_path):
    file = netrc(tmp_path / "netrc", "machine 127.0.0.1\n  login me\n  password \"my \\\"word\"\ndefault login no password no\n")
    run_good("-d", target, "--netrc-path", file, origin.url("/bytes/1"))
    run_good("-d", target, "--netrc-path", file, origin.url("/bytes/2").replace("//", "//you:there@"))
    run_good("-d", target, "--netrc-path", file, "--http-user=he", "--http-passwd=p", origin.url("/bytes/3"))
    run_good("-d", target, "--netrc-path", file, "-n", origin.url("/bytes/4"))
    run_good("-d", target, "--netrc-path", file, origin.url("/bytes/5").replace("127.0.0.1", "localhost"))
    assert logins(origin) == [basic("me", 'my "word'), basic("you", "there"), basic("he", "p"), None, basic("no", "no")]


def test_home(origin, target, tmp_path):
    """~/.netrc, whose absence is no trouble."""
    netrc(tmp_path / ".netrc", "machine 127.0.0.1 login me password word")
    run_good("-d", target, origin.url("/bytes/1"), env={"HOME": str(tmp_path)})
    run_good("-d", target, origin.url("/bytes/2"), env={"HOME": str(tmp_path / "none")})
    assert logins(origin) == [basic("me", "word"), None]
    ended = run("-d", target, "--netrc-path", tmp_path / "none", origin.url("/bytes/1"))
    assert ended.status == 28 and "none" in ended.stderr


def test_readable_netrc_is_warned_of(origin, target, tmp_path):
    file = netrc(tmp_path / "netrc", "machine 127.0.0.1 login me password word")
    run_good("-d", target, "--netrc-path", file, "-l", tmp_path / "log", "--log-level=warn", origin.url("/bytes/1"))
    assert (tmp_path / "log").read_text() == ""
    file.chmod(0o644)
    run_good("-d", target, "--netrc-path", file, "-l", tmp_path / "log", "--log-level=warn", origin.url("/bytes/2"))
    assert "others can read it" in (tmp_path / "log").read_text()


# Who else gets to see it.


@pytest.mark.parametrize("options", (["--http-user=user", "--http-passwd=pass"], ["--bearer=t0ken"],
                                     ["--header=Authorization: Mine"], []), ids=("user", "bearer", "header", "url"))
def test_redirect_to_another_origin_leaks_nothing(origin, second_origin, target, options):
    there = second_origin.url("/bytes/5")
    here = origin.url(f"/redirect?to={there}")
    run_good("-d", target, *options, here if options else here.replace("//127", "//user:pass@127", 1))
    assert logins(origin) != [None] and logins(second_origin) == [None]

    @second_origin.on("/asks")
    def asks(exchange):
        return Response(401, [("WWW-Authenticate", 'Basic realm="x"'), ("WWW-Authenticate", 'Digest realm="x", nonce=1')])

    here = origin.url(f"/redirect?to={second_origin.url('/asks')}")
    ended = run("-d", target, *options, here if options else here.replace("//127", "//user:pass@127", 1))
    assert ended.status == 24 and logins(second_origin) == [None, None]


def test_redirect_within_the_origin_keeps_the_login(origin, target):
    Digest(origin)
    run_good("-d", target, "-o", "a", "--http-user=user", "--http-passwd=pass", origin.url("/redirect?to=/digest/5"))
    run_good("-d", target, "-o", "b", origin.url("/redirect?to=/digest/6").replace("//127", "//user:pass@127", 1))
    check_files(target, {"a": body_bytes(5), "b": body_bytes(6)})


def test_netrc_is_looked_up_anew_after_a_redirect(origin, second_origin, target, tmp_path):
    there = second_origin.url("/bytes/5").replace("127.0.0.1", "localhost")
    file = netrc(tmp_path / "netrc", "machine 127.0.0.1 login me password word\nmachine localhost login there password too\n"
                 "default login any password body\n")
    run_good("-d", target, "--netrc-path", file, origin.url(f"/redirect?to={there}"))
    assert logins(origin) == [basic("me", "word")] and logins(second_origin) == [basic("there", "too")]


def test_default_is_not_for_where_a_redirect_leads(origin, second_origin, target, tmp_path):
    there = second_origin.url("/bytes/5").replace("127.0.0.1", "localhost")
    file = netrc(tmp_path / "netrc", "default login any password body\n")
    run_good("-d", target, "--netrc-path", file, origin.url(f"/redirect?to={there}"))
    assert logins(origin) == [basic("any", "body")] and logins(second_origin) == [None]


def test_login_of_mirrors(origin, second_origin, target):
    """What was given for the file goes to its mirrors, which the user has named."""
    run_good("-d", target, "-m", 1, "--http-user=user", "--http-passwd=pass", "--mirror", second_origin.url("/bytes/5"),
             origin.url("/status/404"))
    assert logins(second_origin) == [basic("user", "pass")]


@pytest.mark.parametrize("threads", (0, 2))
def test_secrets_are_told_nobody(origin, target, tmp_path, threads):
    Digest(origin, password="s3cret")

    @origin.on("/short")
    def short(exchange):
        exchange.head(200, [("Content-Length", 3_000_000), ("ETag", '"x"')])
        exchange.body(2_000_000)
        exchange.close()

    log = tmp_path / "log"
    file = netrc(tmp_path / "netrc", "machine localhost login me password s3cret-netrc")
    lines = [origin.url("/digest/5").replace("//", "//user:s3cret@"), origin.url("/short").replace("//", "//user:s3cret@"),
             origin.url("/digest/6").replace("127.0.0.1", "localhost"), origin.url("/status/401?size=5")]
    ended = run_list(tmp_path, lines, "-d", target, "-l", log, "--log-level=debug", "-m", 2, "--retry-wait=0.1",
                     "--http-user=user", "--http-passwd=s3cret-option", "--netrc-path", file, "--threads", threads)
    assert ended.status == 6 or ended.status == 24, ended.stderr
    told = [ended.stderr, log.read_text()]
    for path in target.iterdir():
        told += [path.name, path.read_bytes().decode("latin-1")]
    secrets = ["s3cret", "s3cret-option", "s3cret-netrc", "Basic ", "response="]
    secrets += [basic(user, word).split()[1] for user, word in (("user", "s3cret"), ("me", "s3cret-netrc"))]
    for secret in secrets:
        assert not any(secret in text for text in told), secret
    for path in target.iterdir():
        path.unlink()
