/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The resolver on the real ring, against a name server of our own: the test enters a network and
 * mount namespace, where it puts its own /etc/resolv.conf and /etc/hosts, and answers port 53.
 * Where namespaces are forbidden, only what needs no name server is tested.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "resolve/resolve.h"
#include "ring/ring.h"

enum { PACKET_BYTES = 4096, MANY = 200 };

static bool has_server;
static volatile uint32_t *queries; /* shared with the name server */

/* ---- the name server ---- */

static size_t put16(unsigned char *p, unsigned value)
{
    p[0] = (unsigned char)(value >> 8);
    p[1] = (unsigned char)value;
    return 2;
}

static size_t put_record(unsigned char *p, unsigned type, unsigned ttl, const void *data,
                         size_t len)
{
    size_t at = put16(p, 0xc00c); /* the name that was asked for */

    at += put16(p + at, type);
    at += put16(p + at, 1);
    at += put16(p + at, ttl >> 16);
    at += put16(p + at, ttl & 0xffff);
    at += put16(p + at, (unsigned)len);
    memcpy(p + at, data, len);
    return at + len;
}

static bool asked_for(const unsigned char *query, const char *label)
{
    size_t len = strlen(label);

    return query[12] == len && memcmp(query + 13, label, len) == 0;
}

/* Makes the answer out of the query, in place. 0: none. */
static size_t answer(unsigned char *packet, size_t len, bool tcp)
{
    size_t at = 12;
    unsigned type;
    unsigned count = 0;
    unsigned code = 0;
    unsigned ttl = 60;
    unsigned char address[16] = {192, 0, 2, 1};
    size_t address_len = 4;
    uint32_t number = ++*queries;

    while (at < len && packet[at] != 0)
        at += packet[at] + 1u;
    at += 5;
    if (at > len)
        return 0;
    type = (unsigned)(packet[at - 4] << 8 | packet[at - 3]);
    if (type == 28) {
        static const unsigned char v6[16] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0,
                                             0,    0, 0,    0,    0, 0, 0, 1};
        memcpy(address, v6, 16);
        address_len = 16;
    }
    if (asked_for(packet, "silent"))
        return 0;
    if (asked_for(packet, "slow"))
        usleep(200000);
    if (asked_for(packet, "short")) {
        ttl = 1;
        address[3] = (unsigned char)number;
    }
    if (asked_for(packet, "nosuch") || (asked_for(packet, "single") && packet[19] == 0))
        code = 3;
    else if (asked_for(packet, "broken") || (asked_for(packet, "halfbroken") && packet[23] != 0))
        code = 2;
    else if (!(asked_for(packet, "v4only") && type == 28))
        count = asked_for(packet, "big") ? 40 : 2;
    packet[2] = 0x85;
    packet[3] = (unsigned char)(0x80 | code);
    if (asked_for(packet, "big") && !tcp) {
        packet[2] |= 2; /* truncated: ask by TCP */
        count = 0;
    }
    put16(packet + 6, count);
    put16(packet + 8, 0);
    put16(packet + 10, 0);
    for (unsigned i = 0; i < count; i++) {
        at += put_record(packet + at, type, ttl, address, address_len);
        address[address_len - 1]++;
    }
    return at;
}

static void serve_tcp(int listener)
{
    unsigned char packet[2 + PACKET_BYTES];
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ssize_t got = recv(fd, packet, 2, MSG_WAITALL);
    size_t len = got == 2 ? (size_t)(packet[0] << 8 | packet[1]) : 0;

    if (len > 0 && len <= PACKET_BYTES && recv(fd, packet + 2, len, MSG_WAITALL) == (ssize_t)len) {
        len = answer(packet + 2, len, true);
        put16(packet, (unsigned)len);
        if (len > 0 && write(fd, packet, len + 2) < 0)
            perror("write");
    }
    usleep(50000); /* so that the client sees the answer before the end */
    close(fd);
}

static void serve(int udp, int listener)
{
    struct pollfd fds[] = {{.fd = udp, .events = POLLIN}, {.fd = listener, .events = POLLIN}};

    for (;;) {
        unsigned char packet[PACKET_BYTES];
        struct sockaddr_storage from;
        socklen_t from_len = sizeof(from);

        poll(fds, 2, -1);
        if (fds[0].revents) {
            ssize_t got =
                recvfrom(udp, packet, sizeof(packet), 0, (struct sockaddr *)&from, &from_len);
            size_t len = got > 16 ? answer(packet, (size_t)got, false) : 0;

            if (len > 0)
                sendto(udp, packet, len, 0, (struct sockaddr *)&from, from_len);
        }
        if (fds[1].revents)
            serve_tcp(listener);
    }
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        perror(path);
    close(fd);
}

static bool put_over(const char *path, const char *text)
{
    char name[] = "/tmp/haul-test-XXXXXX";
    int fd = mkstemp(name);
    bool good;

    close(fd);
    write_text(name, text);
    good = mount(name, path, NULL, MS_BIND, NULL) == 0;
    unlink(name);
    return good;
}

static bool enter_namespace(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    unsigned user = geteuid();
    unsigned group = getegid();
    char map[64];
    int fd;

    if (unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
            return false;
        write_text("/proc/self/setgroups", "deny");
        snprintf(map, sizeof(map), "0 %u 1", user);
        write_text("/proc/self/uid_map", map);
        snprintf(map, sizeof(map), "0 %u 1", group);
        write_text("/proc/self/gid_map", map);
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        ioctl(fd, SIOCSIFFLAGS, &lo) != 0 ||
        !put_over("/etc/resolv.conf", "nameserver 127.0.0.1\nsearch search.test\n") ||
        !put_over("/etc/hosts", "127.0.0.1 localhost\n192.0.2.77 inhosts.test\n")) {
        close(fd);
        return false;
    }
    close(fd);
    return true;
}

static pid_t start_server(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons(53),
                               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t parent;
    pid_t child;

    queries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (queries == MAP_FAILED || bind(udp, (struct sockaddr *)&here, sizeof(here)) != 0 ||
        bind(listener, (struct sockaddr *)&here, sizeof(here)) != 0 || listen(listener, 16) != 0) {
        perror("name server");
        exit(1);
    }
    parent = getpid();
    child = fork();
    if (child == 0) {
        /* It must not outlive a test that aborts, not even one that has done so already. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        serve(udp, listener);
    }
    close(udp);
    close(listener);
    return child;
}

/* ---- the client ---- */

struct fixture {
    struct ring *ring;
    struct resolver *resolver;
    struct log log;
};

struct asking {
    struct resolve_question question;
    struct fixture *f;
    int called;
    void (*then)(struct asking *asking);
};

static void asking_done(struct resolve_question *question)
{
    struct asking *asking = CONTAINER_OF(question, struct asking, question);

    asking->called++;
    if (asking->then)
        asking->then(asking);
}

static void destroy(struct asking *asking)
{
    resolver_destroy(asking->f->resolver);
    asking->f->resolver = NULL;
}

static void log_line(void *context, enum haul_log_level level, const char *line)
{
    (void)context;
    (void)level;
    printf("# %s\n", line);
}

static struct fixture *begin_with(const struct resolver_options *resolver)
{
    static const struct ring_options options = {.helper_threads = 1};
    struct fixture *f = calloc(1, sizeof(*f));
    struct haul_error error;

    assert_non_null(f);
    f->log = (struct log){.level = HAUL_LOG_DEBUG, .write = log_line};
    f->ring = ring_create(&options, &error);
    if (!f->ring)
        fail_msg("%s", error.text);
    f->resolver = resolver_create(f->ring, resolver, &f->log);
    assert_non_null(f->resolver);
    return f;
}

static struct fixture *begin(void)
{
    return begin_with(NULL);
}

static void end(struct fixture *f)
{
    resolver_destroy(f->resolver);
    while (ring_busy(f->ring) > 0)
        assert_int_equal(ring_turn(f->ring, UINT64_MAX), 0);
    ring_destroy(f->ring);
    free(f);
}

static void turn_until(struct fixture *f, const int *called, int count)
{
    uint64_t limit = ring_now_ns(f->ring) + 20 * (uint64_t)NS_PER_S;

    while (*called < count) {
        assert_int_equal(ring_turn(f->ring, ring_now_ns(f->ring) + (uint64_t)NS_PER_S), 0);
        assert_true(ring_now_ns(f->ring) < limit);
    }
}

static void turn_for(struct fixture *f, uint64_t ns)
{
    uint64_t until = ring_now_ns(f->ring) + ns;

    while (ring_now_ns(f->ring) < until)
        assert_int_equal(ring_turn(f->ring, until), 0);
}

/* Asks and waits. Returns whether the answer was there at once. */
static bool ask(struct fixture *f, struct asking *asking, const char *host, int family)
{
    *asking = (struct asking){.f = f};
    resolve_question_init(&asking->question, asking_done);
    if (resolve_ask(f->resolver, &asking->question, span_of(host), family)) {
        assert_int_equal(asking->called, 0);
        return true;
    }
    assert_int_equal(asking->called, 0);
    turn_until(f, &asking->called, 1);
    return false;
}

static void expect(const struct asking *asking, size_t index, const char *expected)
{
    char text[ADDRESS_TEXT_BYTES];

    assert_int_equal(asking->question.status, HAUL_OK);
    assert_string_equal(asking->question.reason, "");
    assert_true(asking->question.count > index);
    address_format(&asking->question.addresses[index], text);
    assert_string_equal(text, expected);
}

static void test_localhost(void **state)
{
    struct fixture *f = begin();
    struct asking asking;

    (void)state;
    assert_true(ask(f, &asking, "localhost", AF_INET));
    expect(&asking, 0, "127.0.0.1:0");
    assert_true(ask(f, &asking, "a.b.LocalHost.", AF_INET6));
    expect(&asking, 0, "[::1]:0");
    assert_int_equal(asking.question.count, 1);
    assert_true(ask(f, &asking, "somewhere.onion", AF_INET));
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    end(f);
}

static void test_bad_names(void **state)
{
    static const char with_nul[] = "a\0b";
    struct fixture *f = begin();
    struct resolve_question question;
    char host[300];
    struct asking asking;

    (void)state;
    memset(host, 'a', sizeof(host));
    resolve_question_init(&question, NULL);
    assert_true(resolve_ask(f->resolver, &question, span_make(with_nul, 3), AF_INET));
    assert_int_equal(question.status, HAUL_HOST_UNKNOWN);
    assert_true(resolve_ask(f->resolver, &question, span_make(host, 300), AF_INET));
    assert_int_equal(question.status, HAUL_HOST_UNKNOWN);
    assert_true(resolve_ask(f->resolver, &question, SPAN(""), AF_INET));
    assert_int_equal(question.status, HAUL_HOST_UNKNOWN);
    host[100] = '\0'; /* a label of 100 */
    assert_true(ask(f, &asking, host, AF_INET));
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    assert_true(ask(f, &asking, "a..b", AF_INET));
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    assert_int_equal(asking.question.count, 0);
    end(f);
}

/* Nothing is set up, and nothing left, for a resolver that nobody asks. */
static void test_unused(void **state)
{
    (void)state;
    end(begin());
    resolver_destroy(NULL);
}

static void test_hosts_file(void **state)
{
    struct fixture *f = begin();
    struct asking asking;

    (void)state;
    if (!has_server)
        skip();
    assert_true(ask(f, &asking, "inhosts.test", AF_INET));
    expect(&asking, 0, "192.0.2.77:0");
    assert_true(ask(f, &asking, "InHosts.test.", AF_INET));
    expect(&asking, 0, "192.0.2.77:0");
    /* it has no other address, whatever a name server would say */
    assert_true(ask(f, &asking, "inhosts.test", AF_INET6));
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    /* a change is seen within a second or so */
    write_text("/etc/hosts", "192.0.2.78 inhosts.test\n2001:db8::78 inhosts.test\n");
    turn_for(f, 1100 * (uint64_t)NS_PER_MS);
    assert_true(ask(f, &asking, "inhosts.test", AF_INET));
    expect(&asking, 0, "192.0.2.78:0");
    assert_true(ask(f, &asking, "inhosts.test", AF_INET6));
    expect(&asking, 0, "[2001:db8::78]:0");
    end(f);
}

static void test_answers(void **state)
{
    struct fixture *f = begin();
    struct asking asking;
    uint32_t before;

    (void)state;
    if (!has_server)
        skip();
    assert_false(ask(f, &asking, "good.test", AF_INET));
    assert_int_equal(asking.question.count, 2);
    expect(&asking, 0, "192.0.2.1:0");
    expect(&asking, 1, "192.0.2.2:0");
    assert_false(ask(f, &asking, "good.test", AF_INET6));
    expect(&asking, 1, "[2001:db8::2]:0");
    /* kept, whatever the case */
    before = *queries;
    assert_true(ask(f, &asking, "GOOD.test", AF_INET));
    expect(&asking, 0, "192.0.2.1:0");
    assert_int_equal(*queries, before);
    /* more than there is room for, by TCP */
    assert_false(ask(f, &asking, "big.test", AF_INET));
    assert_int_equal(asking.question.count, RESOLVE_ADDRESSES_MAX);
    expect(&asking, 15, "192.0.2.16:0");
    /* by the search list: the name alone is not there */
    assert_false(ask(f, &asking, "single", AF_INET));
    expect(&asking, 0, "192.0.2.1:0");
    end(f);
}

static void test_failures(void **state)
{
    struct fixture *f = begin();
    struct asking asking;
    uint32_t before;

    (void)state;
    if (!has_server)
        skip();
    assert_false(ask(f, &asking, "nosuch.test", AF_INET));
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    assert_string_equal(asking.question.reason, "there is no such name");
    assert_false(ask(f, &asking, "v4only.test", AF_INET6));
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    assert_string_equal(asking.question.reason, "the name has no address");
    assert_false(ask(f, &asking, "v4only.test", AF_INET));
    expect(&asking, 0, "192.0.2.1:0");
    before = *queries;
    assert_true(ask(f, &asking, "nosuch.test", AF_INET));
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    assert_int_equal(*queries, before);
    /* trouble is remembered too, but not for long */
    assert_false(ask(f, &asking, "broken.test", AF_INET));
    assert_int_equal(asking.question.status, HAUL_RESOLVER);
    before = *queries;
    assert_true(ask(f, &asking, "broken.test", AF_INET));
    assert_int_equal(asking.question.status, HAUL_RESOLVER);
    assert_int_equal(*queries, before);
    turn_for(f, 1100 * (uint64_t)NS_PER_MS);
    assert_false(ask(f, &asking, "broken.test", AF_INET));
    assert_true(*queries > before);
    /* after trouble the configuration is read anew; all goes on */
    assert_false(ask(f, &asking, "good.test", AF_INET));
    expect(&asking, 0, "192.0.2.1:0");
    end(f);
}

/* A name that has an address of one family stands for nothing else in the other. */
static void test_search(void **state)
{
    struct fixture *f = begin();
    struct asking asking;
    uint32_t before;

    (void)state;
    if (!has_server)
        skip();
    ask(f, &asking, "good.test", AF_INET); /* what others have asked for is answered before */
    before = *queries;
    ask(f, &asking, "v4only.test", AF_INET6);
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    assert_int_equal(*queries, before + 1);
    /* as it is, then in the domain; with a dot at its end, as it is alone */
    ask(f, &asking, "nosuch.test", AF_INET6);
    assert_int_equal(*queries, before + 3);
    ask(f, &asking, "nosuch.test.", AF_INET6);
    assert_int_equal(*queries, before + 4);
    /* without a dot, in the domain, and then as it is */
    ask(f, &asking, "nosuch", AF_INET6);
    assert_string_equal(asking.question.reason, "there is no such name");
    assert_int_equal(*queries, before + 6);
    ask(f, &asking, "single", AF_INET6);
    expect(&asking, 0, "[2001:db8::1]:0");
    assert_int_equal(*queries, before + 7);
    /* what fails in the domain says nothing of the name as it is */
    ask(f, &asking, "halfbroken", AF_INET6);
    expect(&asking, 0, "[2001:db8::1]:0");
    end(f);
}

static void test_options(void **state)
{
    struct resolver_options options = {.ipv6_off = true};
    struct fixture *f;
    struct asking asking;
    struct haul_error error;
    uint32_t before;

    (void)state;
    if (!has_server)
        skip();
    f = begin_with(&options);
    assert_false(ask(f, &asking, "early.test", AF_INET));
    before = *queries;
    assert_true(ask(f, &asking, "good.test", AF_INET6));
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    assert_true(ask(f, &asking, "localhost", AF_INET6));
    assert_int_equal(asking.question.status, HAUL_HOST_UNKNOWN);
    assert_int_equal(*queries, before);
    assert_false(ask(f, &asking, "good.test", AF_INET));
    end(f);
    /* nobody is there, then somebody */
    assert_true(servers_parse(&options.servers, SPAN("127.0.0.9,[::1]:99,127.0.0.1:53"), &error));
    f = begin_with(&options);
    ask(f, &asking, "good.test", AF_INET);
    expect(&asking, 0, "192.0.2.1:0");
    end(f);
    assert_true(servers_parse(&options.servers, SPAN("127.0.0.9"), &error));
    f = begin_with(&options);
    ask(f, &asking, "good.test", AF_INET);
    assert_int_equal(asking.question.status, HAUL_RESOLVER);
    end(f);
}

/* Two at once, the others in their order; who takes his question back was never there. */
static void test_queue(void **state)
{
    enum { COUNT = 8 };
    const struct resolver_options options = {.running_max = 2};
    struct fixture *f = begin_with(&options);
    struct asking askings[COUNT];
    struct asking again;
    uint32_t before;

    (void)state;
    if (!has_server)
        skip();
    ask(f, &askings[0], "good.test", AF_INET);
    before = *queries;
    for (int i = 0; i < COUNT; i++) {
        char host[32];

        snprintf(host, sizeof(host), "slow.queue%d.test", i);
        askings[i] = (struct asking){.f = f};
        resolve_question_init(&askings[i].question, asking_done);
        assert_false(resolve_ask(f->resolver, &askings[i].question, span_of(host), AF_INET));
        assert_int_equal(askings[i].question.waiting, i >= 2);
    }
    again = (struct asking){.f = f};
    resolve_question_init(&again.question, asking_done);
    assert_false(resolve_ask(f->resolver, &again.question, SPAN("slow.queue4.test"), AF_INET));
    resolve_drop(&askings[3].question);
    resolve_drop(&askings[4].question); /* but not the other one for its name */
    resolve_drop(&askings[COUNT - 1].question);
    for (int i = 0; i < COUNT - 1; i++) {
        if (i == 3 || i == 4)
            continue;
        turn_until(f, &askings[i].called, 1);
        assert_int_equal(askings[i].question.status, HAUL_OK);
        for (int later = i + 3; later < COUNT; later++)
            assert_int_equal(askings[later].called, 0);
    }
    assert_int_equal(again.called, 1);
    assert_true(askings[5].question.sent_ns > askings[0].question.sent_ns);
    assert_int_equal(askings[3].called + askings[4].called + askings[COUNT - 1].called, 0);
    assert_int_equal(*queries, before + COUNT - 2);
    /* with some in the queue, and from within */
    for (int i = 0; i < COUNT; i++) {
        char host[32];

        snprintf(host, sizeof(host), "slow.end%d.test", i);
        askings[i] = (struct asking){.f = f, .then = i == 0 ? destroy : NULL};
        resolve_question_init(&askings[i].question, asking_done);
        assert_false(resolve_ask(f->resolver, &askings[i].question, span_of(host), AF_INET));
    }
    turn_until(f, &askings[0].called, 1);
    resolve_drop(&askings[5].question);
    end(f);
}

static void test_silence(void **state)
{
    struct fixture *f = begin();
    struct asking asking;
    uint64_t from = ring_now_ns(f->ring);

    (void)state;
    if (!has_server)
        skip();
    assert_false(ask(f, &asking, "silent.test", AF_INET));
    assert_int_equal(asking.question.status, HAUL_RESOLVER);
    assert_string_equal(asking.question.reason, "no name server answered in time");
    assert_true(ring_now_ns(f->ring) - from < 15 * (uint64_t)NS_PER_S);
    end(f);
}

/* The network is another one: trouble makes us look, and go on with it as soon as may be. */
static void test_new_configuration(void **state)
{
    struct fixture *f = begin();
    struct asking silent = {.f = f};
    struct asking late = {.f = f};
    struct asking asking;

    (void)state;
    if (!has_server)
        skip();
    resolve_question_init(&silent.question, asking_done);
    assert_false(resolve_ask(f->resolver, &silent.question, SPAN("silent.test"), AF_INET));
    write_text("/etc/resolv.conf", "nameserver 127.0.0.1\nsearch other.test search.test\n");
    assert_false(ask(f, &asking, "broken.test", AF_INET));
    assert_int_equal(silent.called, 0);
    resolve_question_init(&late.question, asking_done);
    assert_false(resolve_ask(f->resolver, &late.question, SPAN("good.test"), AF_INET));
    assert_true(late.question.waiting);
    turn_until(f, &late.called, 1);
    assert_int_equal(silent.called, 1);
    expect(&late, 0, "192.0.2.1:0");
    end(f);
}

static void test_expiry(void **state)
{
    struct fixture *f = begin();
    struct asking asking;
    uint32_t before;

    (void)state;
    if (!has_server)
        skip();
    ask(f, &asking, "short.test", AF_INET);
    before = *queries;
    assert_true(ask(f, &asking, "short.test", AF_INET));
    turn_for(f, 1100 * (uint64_t)NS_PER_MS);
    assert_false(ask(f, &asking, "short.test", AF_INET));
    assert_int_equal(*queries, before + 1);
    end(f);
}

static void test_coalescing(void **state)
{
    struct fixture *f = begin();
    static struct asking askings[MANY];
    uint32_t before = 0;

    (void)state;
    if (!has_server)
        skip();
    before = *queries;
    for (int i = 0; i < MANY; i++) {
        askings[i] = (struct asking){.f = f};
        resolve_question_init(&askings[i].question, asking_done);
        assert_false(resolve_ask(f->resolver, &askings[i].question, SPAN("slow.test"), AF_INET));
    }
    for (int i = 0; i < MANY; i += 3)
        resolve_drop(&askings[i].question);
    turn_until(f, &askings[MANY - 1].called, 1);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(askings[i].called, i % 3 != 0);
        if (i % 3 != 0)
            expect(&askings[i], 0, "192.0.2.1:0");
        resolve_drop(&askings[i].question);
    }
    assert_int_equal(*queries, before + 1);
    end(f);
}

static void test_many_names(void **state)
{
    struct fixture *f = begin();
    static struct asking askings[MANY];

    (void)state;
    if (!has_server)
        skip();
    f->log.level = HAUL_LOG_NONE;
    for (int i = 0; i < MANY; i++) {
        char host[32];

        snprintf(host, sizeof(host), "name%d.test", i);
        askings[i] = (struct asking){.f = f};
        resolve_question_init(&askings[i].question, asking_done);
        assert_false(resolve_ask(f->resolver, &askings[i].question, span_of(host),
                                 i % 2 ? AF_INET : AF_INET6));
    }
    for (int i = 0; i < MANY; i++) {
        turn_until(f, &askings[i].called, 1);
        assert_int_equal(askings[i].question.status, HAUL_OK);
    }
    end(f);
}

static void ask_again(struct asking *asking)
{
    bool more = asking->called < 5;
    char host[32];

    if (!more)
        return;
    snprintf(host, sizeof(host), "again%d.test", asking->called);
    assert_false(resolve_ask(asking->f->resolver, &asking->question, span_of(host), AF_INET));
}

static void test_from_within(void **state)
{
    struct fixture *f = begin();
    struct asking asking = {.f = f, .then = ask_again};
    struct asking others[2] = {{.f = f, .then = destroy}, {.f = f, .then = destroy}};

    (void)state;
    if (!has_server)
        skip();
    resolve_question_init(&asking.question, asking_done);
    assert_false(resolve_ask(f->resolver, &asking.question, SPAN("again.test"), AF_INET));
    turn_until(f, &asking.called, 5);
    /* the first one that is answered destroys the resolver; the other one hears nothing */
    for (int i = 0; i < 2; i++) {
        resolve_question_init(&others[i].question, asking_done);
        assert_false(resolve_ask(f->resolver, &others[i].question, SPAN("end.test"), AF_INET));
    }
    turn_until(f, &others[0].called, 1);
    turn_for(f, 100 * (uint64_t)NS_PER_MS);
    assert_int_equal(others[1].called, 0);
    assert_int_equal(ring_busy(f->ring), 0);
    end(f);
}

static void test_destroy_while_asking(void **state)
{
    struct fixture *f = begin();
    struct asking askings[3] = {{.f = f}, {.f = f}, {.f = f}};
    static const char *const hosts[] = {"silent.test", "slow.test", "slow.test"};

    (void)state;
    for (int turned = 0; turned < 2; turned++) {
        for (int i = 0; i < 3; i++) {
            resolve_question_init(&askings[i].question, asking_done);
            assert_false(resolve_ask(f->resolver, &askings[i].question, span_of(hosts[i]),
                                     i == 2 ? AF_INET6 : AF_INET));
        }
        if (turned)
            turn_for(f, 20 * (uint64_t)NS_PER_MS);
        resolver_destroy(f->resolver);
        f->resolver = resolver_create(f->ring, NULL, &f->log);
        assert_non_null(f->resolver);
        for (int i = 0; i < 3; i++)
            assert_int_equal(askings[i].called, 0);
    }
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unused),
        cmocka_unit_test(test_localhost),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_hosts_file),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_coalescing),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_from_within),
        cmocka_unit_test(test_destroy_while_asking),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_new_configuration),
    };
    pid_t server = 0;
    int result;

    has_server = enter_namespace();
    if (has_server)
        server = start_server();
    else
        printf("# no namespaces here: tests with a name server are skipped\n");
    result = cmocka_run_group_tests(tests, NULL, NULL);
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    return result;
}
