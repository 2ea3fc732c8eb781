/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libhaul: bulk downloads over HTTP and HTTPS on one io_uring loop.
 *
 * An engine belongs to the thread that first calls haul_run(), haul_next() or haul_wait_all() on
 * it, and does all its work inside these calls; every function here is to be called from that
 * thread, but for haul_wake(). With options.threads, threads of its own do most of the work, also
 * between these calls; but callbacks of all kinds come from within them as ever, and what is to
 * start next is decided there. Strings are NUL-terminated; those that come in are copied, those
 * that go out belong to the object they were asked of. Functions that can fail fill *error, where
 * error is not NULL. The library never prints, exits, or touches signals or the locale.
 */
#ifndef HAUL_HAUL_H
#define HAUL_HAUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HAUL_VERSION "0.1.0"

#if defined(HAUL_BUILDING)
#define HAUL_API __attribute__((visibility("default")))
#else
#define HAUL_API
#endif

/*
 * Everything that can become of a download: X(name, exit status, retry class, text).
 * The exit statuses are those of aria2c(1). A status of class RETRY is tried again as often as
 * the options allow; BUSY pauses the whole host as well. The numbers are part of the ABI: append.
 */
#define HAUL_STATUSES(X)                                                                           \
    X(OK, 0, NEVER, "done")                                                                        \
    X(FAILED, 1, NEVER, "failed")                                                                  \
    X(OUT_OF_MEMORY, 1, NEVER, "out of memory")                                                    \
    X(NO_IO_URING, 1, NEVER, "io_uring is not available")                                          \
    X(CERTIFICATE, 1, NEVER, "certificate not accepted")                                           \
    X(TLS, 1, NEVER, "TLS handshake failed")                                                       \
    X(TIMEOUT, 2, RETRY, "timed out")                                                              \
    X(CONNECT_TIMEOUT, 2, RETRY, "no connection in time")                                          \
    X(NOT_FOUND, 3, NEVER, "not found on the server")                                              \
    X(NETWORK, 6, RETRY, "network trouble")                                                        \
    X(SHORT_BODY, 6, RETRY, "the body ended early")                                                \
    X(UNFINISHED, 7, NEVER, "stopped before it was finished")                                      \
    X(CANNOT_RESUME, 8, NEVER, "the server can't continue this file")                              \
    X(DISK_FULL, 9, NEVER, "no space left")                                                        \
    X(IN_USE, 11, NEVER, "another download writes this file")                                      \
    X(EXISTS, 13, NEVER, "the file exists already")                                                \
    X(RENAME, 14, NEVER, "can't give the file its name")                                           \
    X(CREATE, 16, NEVER, "can't create the file")                                                  \
    X(FILE_IO, 17, NEVER, "can't write the file")                                                  \
    X(DIRECTORY, 18, NEVER, "can't create the directory")                                          \
    X(HOST_UNKNOWN, 19, NEVER, "unknown host")                                                     \
    X(RESOLVER, 19, RETRY, "the name server did not answer")                                       \
    X(BAD_RESPONSE, 22, NEVER, "not a valid HTTP response")                                        \
    X(HTTP_ERROR, 22, NEVER, "refused by the server")                                              \
    X(SERVER_ERROR, 22, RETRY, "error on the server")                                              \
    X(REDIRECTS, 23, NEVER, "redirected in vain")                                                  \
    X(UNAUTHORIZED, 24, NEVER, "the server asks for a login")                                      \
    X(BAD_URL, 28, NEVER, "not a URL that haul can fetch")                                         \
    X(BAD_OPTION, 28, NEVER, "bad option")                                                         \
    X(BUSY, 29, BUSY, "the server is busy")                                                        \
    X(TOO_SLOW, 5, RETRY, "too slow")                                                              \
    X(CHECKSUM, 32, NEVER, "the checksum is another one")

enum haul_status {
#define HAUL_STATUS_NUMBER(name, exit_status, retry, text) HAUL_##name,
    HAUL_STATUSES(HAUL_STATUS_NUMBER)
#undef HAUL_STATUS_NUMBER
        HAUL_STATUS_COUNT
};

HAUL_API const char *haul_status_text(enum haul_status status);
HAUL_API int haul_status_exit(enum haul_status status);

/* What went wrong: the system's errno (0 where none is to blame) and one sentence. */
struct haul_error {
    enum haul_status status;
    int system_errno;
    char text[256];
};

enum haul_log_level {
    HAUL_LOG_NONE,
    HAUL_LOG_ERROR,
    HAUL_LOG_WARN,
    HAUL_LOG_NOTICE,
    HAUL_LOG_INFO,
    HAUL_LOG_DEBUG
};

/* Kernel features that a test can switch off, so that every fallback runs (options.features_off).
 */
enum haul_feature {
    HAUL_FEATURE_SINGLE_ISSUER = 1 << 0, /* 6.0 */
    HAUL_FEATURE_DEFER_TASKRUN = 1 << 1, /* 6.1 */
    HAUL_FEATURE_COOP_TASKRUN = 1 << 2,  /* 5.19 */
    HAUL_FEATURE_RENAME_NOREPLACE = 1 << 3,
    HAUL_FEATURE_DIRECT = 1 << 4, /* O_DIRECT */
    HAUL_FEATURE_FALLOCATE = 1 << 5,
    HAUL_FEATURE_DONTCACHE = 1 << 6, /* RWF_DONTCACHE, 6.14 */
    HAUL_FEATURE_FIXED = 1 << 7,     /* registered buffers, 5.19 */
    HAUL_FEATURE_OPENAT2 = 1 << 8,   /* 5.6; and not everywhere in containers */
    HAUL_FEATURE_XATTR = 1 << 9      /* attributes of files, which not every file system has */
};

/* Past the page cache: data goes from haul's buffers to the disk (O_DIRECT). */
enum haul_direct {
    HAUL_DIRECT_AUTO,   /* where it is the better way: large files on file systems that bear it */
    HAUL_DIRECT_ALWAYS, /* wherever the file system can, of any size that is known ahead */
    HAUL_DIRECT_NEVER
};

/* What is done ahead about the room for a file whose size is known. */
enum haul_allocation {
    HAUL_ALLOCATION_AUTO,    /* FALLOC for large files and what is written past the page cache,
                                else NONE */
    HAUL_ALLOCATION_NONE,    /* nothing: a file grows as it is written */
    HAUL_ALLOCATION_TRUNC,   /* the size is set; the room is not sure, the file is sparse */
    HAUL_ALLOCATION_FALLOC,  /* fallocate(2); where the file system has none: as NONE */
    HAUL_ALLOCATION_PREALLOC /* the same; where the file system has none: zeros are written */
};

/* What is done with digests that a server sends of its content (RFC 9530, RFC 3230). */
enum haul_check_digest {
    HAUL_CHECK_DIGEST_AUTO,    /* compared where there is one */
    HAUL_CHECK_DIGEST_REQUIRE, /* a download without one, and without a checksum, fails */
    HAUL_CHECK_DIGEST_NO
};

enum haul_tls_version { HAUL_TLS_1_2, HAUL_TLS_1_3 };

/* Options of an engine. haul_options_init() sets the defaults, given in brackets. */
struct haul_options {
    size_t size;            /* of this struct, as the program was compiled */
    unsigned downloads_max; /* in flight at once; fewer where too few descriptors may be open
                               (RLIMIT_NOFILE): haul_stats.downloads_max [64] */
    unsigned
        connections_per_host; /* over all downloads; 0 [default]: up to 6, as the host bears it */
    uint64_t wait_ms;         /* between two starts on one host [0] */
    bool random_wait;         /* vary that from 0.5 to 1.5 times [false] */
    unsigned tries_max;       /* for one download; 0: no limit [5] */
    uint64_t retry_wait_ms;   /* before the second try; doubles, with jitter, to 60 s [1000] */
    uint64_t timeout_ms;      /* without a byte [60000] */
    uint64_t connect_timeout_ms;     /* names, connecting and TLS handshake, each [15000] */
    const char *directory;           /* where files go [the working directory] */
    const char *user_agent;          /* ["haul/" HAUL_VERSION] */
    const char *const *headers;      /* "Name: value", sent with every request, except after a
                                        redirect to another origin [none] */
    size_t header_count;             /* of them [0] */
    const char *ca_certificate;      /* PEM file, or directory of such, to trust instead of the
                                        system's [NULL] */
    bool check_certificate;          /* [true] */
    bool auto_file_renaming;         /* where a.mp4 is taken: a.1.mp4, a.2.mp4 ... [true] */
    bool proceed;                    /* continue partial files of other programs [false] */
    unsigned threads;                /* of the engine's own, which do the work, from its creation to
                                        its end; 0: the thread that runs it does; 256 at most [0] */
    uint64_t buffer_memory;          /* bytes, for bodies on their way to the disk [64 MiB] */
    enum haul_direct direct;         /* [HAUL_DIRECT_AUTO] */
    enum haul_allocation allocation; /* [HAUL_ALLOCATION_AUTO] */
    unsigned split;                  /* connections at once for one file [1] */
    uint64_t split_bytes_min;        /* what a further connection must be worth [20 MiB] */
    uint64_t lowest_speed;           /* bytes per second: a slower connection is replaced; 0: none
                                        is [0] */
    uint64_t save_interval_ms;       /* between two entries in the journal of an unfinished file;
                                        0: one, when it is stopped in good order [1000] */
    bool durable;                    /* a finished file has been synced, and its name too [false] */
    bool disk_full_waits;            /* a full disk is waited for, instead of failing [false] */
    enum haul_check_digest check_digest; /* [HAUL_CHECK_DIGEST_AUTO] */
    bool check_integrity;                /* a file that is there already and matches its checksum is
                                            the download [false] */
    /* Redirects. */
    unsigned redirects_max; /* in a row [20] */
    bool allow_downgrade;   /* also from https to http [false] */
    /* Cookies: kept for all downloads of the engine, and in Netscape's file format besides. */
    const char *load_cookies; /* file to begin with [NULL] */
    const char *save_cookies; /* file that is written when the engine is destroyed [NULL] */
    /* Logins, besides those in URLs and requests. */
    const char
        *netrc_path;     /* file with the logins of hosts; one that is not there has none [NULL] */
    bool auth_challenge; /* no login is sent before the server has asked for one [false] */
    /* Proxies: "http://" (which may be left out), "socks4://", "socks4a://", "socks5://" or
     * "socks5h://", then "[user:password@]host[:port]"; the port is 1080 if none is named. With
     * socks4 and socks5 names are resolved here. */
    const char *http_proxy;  /* for http://; "": none [NULL: all_proxy] */
    const char *https_proxy; /* for https://; "": none [NULL: all_proxy] */
    const char *all_proxy;   /* for both [NULL: none] */
    const char *no_proxy;    /* hosts to go to without one, with commas between: names with all
                                below them, addresses, networks (10.0.0.0/8), "*" [NULL] */
    /*
     * Ask for gzip, deflate, br and zstd, and store what was in it; but not for parts of files, for
     * heads, where a digest is required, nor for names that end in .gz, .tgz, .zst and the like. A
     * body that is more than 500 times what was sent, and more than 32 MiB, or more than 1 TiB,
     * fails. [false]
     */
    bool accept_codings;
    /* Names and times. */
    bool content_disposition; /* the server may say what the file is called [true] */
    bool allow_overwrite;     /* a finished file takes the place of one of the same name [false] */
    bool no_clobber;          /* a file of that name is the download, whatever is in it [false] */
    bool conditional_get;     /* a file of that name is replaced only if the server has another
                                 version (RFC 9110 13.1) [false] */
    bool remote_time;         /* a file's time is that of its last change on the server [false] */
    bool force_directories;   /* files go to HOST/PATH below the directory [false] */
    /* Names to addresses. */
    const char *dns_servers;    /* "ADDRESS[:PORT],..." instead of the system's [NULL] */
    const char *const *resolve; /* "HOST:PORT:ADDRESS[,ADDRESS]": what need not be asked [none] */
    size_t resolve_count;
    const char *interface; /* of the network, or an address of this machine, to go out by [NULL] */
    bool disable_ipv6;     /* [false] */
    /* TLS. */
    enum haul_tls_version min_tls_version; /* [HAUL_TLS_1_2] */
    const char *certificate;       /* PEM file, with those above it behind it: shown to every server
                                      that asks, wherever redirects lead; TLS 1.2 sends it so that
                                      others on the way can read it [NULL] */
    const char *private_key;       /* PEM file with its key, not encrypted [NULL: the same file] */
    const char *pinned_public_key; /* "sha256//BASE64[;sha256//BASE64]...", or a file with a public
                                      key, PEM or DER: one of these is the server's, or it is not
                                      talked to, whether its certificate is checked or not [NULL] */
    bool certificate_status;       /* a server must send an OCSP response with its certificate that
                                      says that it is good; else none is asked for [false] */
    uint32_t features_off;         /* enum haul_feature bits, for tests [0] */
    enum haul_log_level log_level; /* [HAUL_LOG_NONE] */
    /* line: valid during the call, control characters escaped, no line end [NULL] */
    void (*log)(void *context, enum haul_log_level level, const char *line);
    void *log_context;
};

HAUL_API void haul_options_init(struct haul_options *options, size_t size);
#define HAUL_OPTIONS_INIT(options) haul_options_init((options), sizeof(*(options)))

typedef struct haul_engine haul_engine;
typedef struct haul_download haul_download;

/* Where the bytes of a download go. */
enum haul_sink {
    HAUL_SINK_FILE,    /* a file in a directory */
    HAUL_SINK_FD,      /* an open descriptor, in order; it stays open */
    HAUL_SINK_MEMORY,  /* result.data */
    HAUL_SINK_DISCARD, /* counted and thrown away */
    HAUL_SINK_NONE /* ask for the head only, by HEAD: result.total and the name that it would get */
};

/* One download. haul_request_init() sets all to zero; only url must be set. */
struct haul_request {
    size_t size;
    const char *url;
    /* File name, may hold directories; NULL: as the server or the URL says. {host}, {path}, {name},
     * {ext} (its end, with the dot), {n} (number of the download in its engine) and {sha256} stand
     * for these, {{ for a brace; the last component alone may hold {name}, {ext} and {sha256}. */
    const char *out;
    const char *directory;  /* NULL: the engine's */
    const char *user_agent; /* NULL: the engine's */
    /* More URLs of the same file. They are used together where a checksum decides in the end, else
     * one when another fails. */
    const char *const *mirrors;
    size_t mirror_count;
    const char *checksum; /* "TYPE=HEX": md5, sha-1, sha-224, sha-256, sha-384 or sha-512; NULL */
    /* Sent besides the engine's; after a redirect to another origin only what describes the data,
     * and with it. */
    const char *const *headers;
    size_t header_count;
    const char *method; /* NULL: GET, or POST if there is data */
    const void *data;   /* body of the request; copied; NULL: none */
    size_t data_bytes;
    const char *content_type; /* of data; NULL: application/x-www-form-urlencoded */
    const char *referer;      /* NULL: none */
    /* Login, for the URL's origin and its mirrors' only; no colon in the name. NULL: none. */
    const char *username;
    const char *password;
    const char *bearer; /* token (RFC 6750), for the same; NULL: none */
    const char *range;  /* "0-499", "500-" or "-500": this part only is the download; NULL: all */
    const char *proxy;  /* for all its URLs, whatever no_proxy says; "": none; NULL: the engine's */
    enum haul_sink sink;
    int fd;             /* HAUL_SINK_FD */
    uint64_t bytes_max; /* HAUL_SINK_MEMORY: a longer body fails; 0: 64 MiB */
    /*
     * Called once, from within the engine's loop, when the download has ended in whatever way; it
     * may submit and cancel, but must not run the engine. NULL: the download comes from
     * haul_next() instead, if it was submitted with a handle.
     */
    void (*done)(haul_download *download, void *user);
    void *user;
};

HAUL_API void haul_request_init(struct haul_request *request, size_t size);
#define HAUL_REQUEST_INIT(request) haul_request_init((request), sizeof(*(request)))

/* What became of a download; valid until the handle is released, or the done callback returns. */
struct haul_result {
    enum haul_status status;
    const char *error;     /* one sentence, "" if all went well */
    const char *url;       /* as asked for */
    const char *shown_url; /* the same for people: without a login */
    const char *final_url; /* after redirects */
    const char *path; /* of the finished file, as asked for with directory and out; "" if none; of
                         one whose checksum is wrong: where it was put aside */
    const char *name; /* that the file has or would have had, "" if it was never known */
    bool kept;        /* not finished, but there is something on disk to go on from */
    int http_status;  /* of the last response; 0: there was none */
    unsigned tries;
    uint64_t bytes;         /* of the body, as far as it went to the sink */
    uint64_t resumed_bytes; /* of these, there before this download began */
    uint64_t again_bytes;   /* received, though they had been received before */
    bool unchanged;         /* the file was there already and was left as it is: the server has no
                               other version, or was not asked (no_clobber) */
    bool verified;          /* a checksum or digest has been compared, and was right */
    uint64_t total;         /* of the body; UINT64_MAX: the server did not say, or it came in a
                               content coding */
    uint64_t duration_ns;   /* from the first grant to the end */
    const void *data;       /* HAUL_SINK_MEMORY: `bytes` of them; NULL if it failed, or if none */
    void *user;
};

enum haul_source_answer { HAUL_SOURCE_READY, HAUL_SOURCE_WAIT, HAUL_SOURCE_END };

/*
 * Where an engine gets more downloads from as its capacity frees, so that a long list is never in
 * memory whole. next() is called from within the loop: READY: it has filled *request, whose
 * strings stay valid until the next call; WAIT: nothing yet, call again when fd is readable;
 * END: nothing will come any more.
 */
struct haul_source {
    size_t size;
    enum haul_source_answer (*next)(void *context, struct haul_request *request, int *fd);
    void *context;
};

/* Counts since the engine was made. */
struct haul_stats {
    size_t size;
    uint64_t done;
    uint64_t failed;
    uint64_t unfinished; /* cancelled */
    uint64_t active;     /* in flight now */
    uint64_t waiting;    /* taken in, but not in flight: queued, spaced, or backing off */
    uint64_t paused_hosts;
    bool source_ended;    /* true also if there is none */
    uint64_t bytes;       /* of bodies received */
    uint64_t again_bytes; /* of them, received though they had been received before */
    uint64_t requests;
    uint64_t connections;
    uint64_t retries;
    uint64_t room_waits; /* of them, for room on a full disk */
    uint64_t live; /* objects of all kinds that the engine holds: a steady state keeps it bounded */
    uint64_t downloads_max; /* as asked for, or less if too few files may be open for as many */
};

/* What an active download is at. */
struct haul_progress {
    const char *shown_url; /* without a login */
    const char *name;      /* of the file; "" until it is known */
    uint64_t bytes;
    uint64_t total; /* UINT64_MAX: unknown */
    uint64_t started_ns;
    uint64_t now_ns; /* on the same clock */
    unsigned tries;
    void *user;
};

/* Returns NULL and fills *error if there is no memory, no io_uring, or an option is bad. */
HAUL_API haul_engine *haul_engine_create(const struct haul_options *options,
                                         struct haul_error *error);
/* Cancels what is left, waits for the kernel to let go, frees everything; handles must have been
 * released. NULL is allowed. */
HAUL_API void haul_engine_destroy(haul_engine *engine);

/* Writes the cookies to options.save_cookies now, unless that is up to date. False: *error, and
 * what was there before is still there. */
HAUL_API bool haul_save_cookies(haul_engine *engine, struct haul_error *error);

/*
 * Takes a download in. *handle, where handle is not NULL, is the caller's until
 * haul_download_release(). False: the request can't be (bad URL, bad option, no memory); the
 * download then never was.
 */
HAUL_API bool haul_submit(haul_engine *engine, const struct haul_request *request,
                          haul_download **handle, struct haul_error *error);
/* Once for an engine. A request of the source that can't be, ends as a failed download. */
HAUL_API void haul_set_source(haul_engine *engine, const struct haul_source *source);

/*
 * Turns the loop until something has happened or timeout_ms has passed (0: only what is ready,
 * negative: no limit). Returns 1 while work is left, 0 when there is none, -errno if the ring
 * itself failed.
 */
HAUL_API int haul_run(haul_engine *engine, int64_t timeout_ms);
/* The next ended download that was submitted with a handle and without a callback: the same
 * handle, still to be released. NULL: none within timeout_ms, or none left to wait for. */
HAUL_API haul_download *haul_next(haul_engine *engine, int64_t timeout_ms);
/* Runs until no work is left. 0, or -errno. */
HAUL_API int haul_wait_all(haul_engine *engine);
/* Makes a running haul_run() return, or the next one return at once. Any thread, any signal
 * handler. */
HAUL_API void haul_wake(haul_engine *engine);

/* The download ends as HAUL_UNFINISHED; what can be resumed is kept. Ended ones are left alone. */
HAUL_API void haul_cancel(haul_download *download);
/* The same for all, and takes nothing more from the source. */
HAUL_API void haul_cancel_all(haul_engine *engine);
/* The handle must not be used any more. The download itself goes on. */
HAUL_API void haul_download_release(haul_download *download);
HAUL_API bool haul_download_ended(const haul_download *download);
/* Of one that has not ended: HAUL_UNFINISHED, and what was asked for. */
HAUL_API void haul_download_result(const haul_download *download, struct haul_result *result);
HAUL_API void *haul_download_user(const haul_download *download);

HAUL_API void haul_engine_stats(const haul_engine *engine, struct haul_stats *stats);
/* Calls fn for every download in flight, oldest first. fn must not call the engine. */
HAUL_API void haul_each_active(const haul_engine *engine,
                               void (*fn)(void *context, const struct haul_progress *progress),
                               void *context);

/* "haul 0.1.0, liburing 2.9, ..., AES accelerated": one line for people. Static. */
HAUL_API const char *haul_versions(void);
/* Whether TLS uses the CPU's AES instructions. */
HAUL_API bool haul_aes_accelerated(void);

#ifdef __cplusplus
}
#endif

#endif
