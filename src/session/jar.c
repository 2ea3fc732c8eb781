/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A cookie stands in the list of its domain, which a map finds by its name: a request looks up its
 * host and what is above it, and nothing else. All cookies stand in the order of their last use,
 * for that is the order in which they make room for others.
 */
#include "session/jar.h"

#include <libpsl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"
#include "http/cookie.h"
#include "http/request.h"

struct domain {
    struct map_node node; /* by name */
    struct list cookies;
    size_t count;
    char name[];
};

struct entry {
    struct list node; /* of the domain */
    struct list use;  /* of the jar, the one unused for longest first */
    struct domain *domain;
    uint64_t number;      /* in the order of creation; what is replaced passes its own on */
    uint64_t used_number; /* in the order of last uses */
    struct span name;
    struct span value;
    struct span path;
    bool host_only;
    bool persistent;
    bool secure;
    bool http_only;
    int64_t expires_s; /* INT64_MAX, if not persistent */
    char bytes[];
};

struct jar {
    const psl_ctx_t *suffixes; /* NULL: this libpsl has none */
    struct map domains;
    struct list used;
    size_t count;
    size_t secure_count;
    uint64_t changes;
    uint64_t next_number;
    uint64_t next_used_number;
    int64_t first_expiry_s; /* no cookie expires before */
    struct entry **matches; /* room for what one request has, and for all */
    size_t match_capacity;
};

/* --- the store ------------------------------------------------------------------------------- */

struct jar *jar_create(uint64_t seed)
{
    struct jar *jar = alloc_zeroed(sizeof(*jar));

    if (!jar)
        return NULL;
    map_init(&jar->domains, seed);
    list_init(&jar->used);
    jar->suffixes = psl_builtin();
    jar->first_expiry_s = INT64_MAX;
    return jar;
}

static void free_entry(struct entry *entry)
{
    explicit_bzero(entry->bytes, entry->name.len + entry->value.len + entry->path.len);
    free(entry);
}

static void remove_entry(struct jar *jar, struct entry *entry)
{
    struct domain *domain = entry->domain;

    list_remove(&entry->node);
    list_remove(&entry->use);
    jar->count--;
    jar->secure_count -= entry->secure;
    jar->changes++;
    free_entry(entry);
    if (--domain->count > 0)
        return;
    map_remove(&jar->domains, &domain->node);
    free(domain);
}

void jar_destroy(struct jar *jar)
{
    if (!jar)
        return;
    while (list_is_linked(&jar->used))
        remove_entry(jar, LIST_ITEM(jar->used.next, struct entry, use));
    map_free(&jar->domains);
    free(jar->matches);
    free(jar);
}

size_t jar_count(const struct jar *jar)
{
    return jar->count;
}

uint64_t jar_changes(const struct jar *jar)
{
    return jar->changes;
}

static struct domain *find_domain(const struct jar *jar, struct span name)
{
    struct map_node *node = map_find(&jar->domains, name);

    return node ? MAP_ITEM(node, struct domain, node) : NULL;
}

static struct domain *want_domain(struct jar *jar, struct span name)
{
    struct domain *domain = find_domain(jar, name);

    if (domain)
        return domain;
    domain = alloc_zeroed(sizeof(*domain) + name.len + 1);
    if (!domain)
        return NULL;
    memcpy(domain->name, name.data, name.len);
    list_init(&domain->cookies);
    if (!map_put(&jar->domains, &domain->node, span_make(domain->name, name.len))) {
        free(domain);
        return NULL;
    }
    return domain;
}

static struct span keep_bytes(char **at, struct span s)
{
    struct span kept = span_make(*at, s.len);

    if (s.len > 0)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return kept;
}

static struct entry *make_entry(const struct cookie *cookie, bool host_only)
{
    struct entry *entry =
        alloc_zeroed(sizeof(*entry) + cookie->name.len + cookie->value.len + cookie->path.len);
    char *at;

    if (!entry)
        return NULL;
    at = entry->bytes;
    list_init(&entry->node);
    list_init(&entry->use);
    entry->name = keep_bytes(&at, cookie->name);
    entry->value = keep_bytes(&at, cookie->value);
    entry->path = keep_bytes(&at, cookie->path);
    entry->host_only = host_only;
    entry->persistent = cookie->persistent;
    entry->secure = cookie->secure;
    entry->http_only = cookie->http_only;
    entry->expires_s = cookie->persistent ? cookie->expires_s : INT64_MAX;
    return entry;
}

static void note_use(struct jar *jar, struct entry *entry)
{
    list_remove(&entry->use);
    list_push_back(&jar->used, &entry->use);
    entry->used_number = jar->next_used_number++;
}

/* --- making room ----------------------------------------------------------------------------- */

/* The bound is looked at before the cookies, or every cookie beyond the limit would cost a walk. */
static void remove_expired(struct jar *jar, int64_t now_s)
{
    struct list *next;

    if (jar->first_expiry_s > now_s)
        return;
    jar->first_expiry_s = INT64_MAX;
    for (struct list *node = jar->used.next; node != &jar->used; node = next) {
        struct entry *entry = LIST_ITEM(node, struct entry, use);

        next = node->next;
        if (entry->expires_s <= now_s)
            remove_entry(jar, entry);
        else if (entry->expires_s < jar->first_expiry_s)
            jar->first_expiry_s = entry->expires_s;
    }
}

/* Of one domain, the one that is unused for longest; what goes by TLS only stays if it can. */
static struct entry *find_victim(const struct domain *domain)
{
    struct entry *victim = NULL;

    for (struct list *node = domain->cookies.next; node != &domain->cookies; node = node->next) {
        struct entry *entry = LIST_ITEM(node, struct entry, node);

        if (!victim || (victim->secure && !entry->secure) ||
            (victim->secure == entry->secure && entry->used_number < victim->used_number))
            victim = entry;
    }
    return victim;
}

static void make_room(struct jar *jar, const struct domain *domain)
{
    if (domain && domain->count >= JAR_DOMAIN_COOKIES_MAX)
        remove_entry(jar, find_victim(domain));
    else if (jar->count >= JAR_COOKIES_MAX)
        remove_entry(jar, LIST_ITEM(jar->used.next, struct entry, use));
}

/* --- setting --------------------------------------------------------------------------------- */

static struct entry *find_same(const struct domain *domain, const struct cookie *cookie,
                               bool host_only)
{
    if (!domain)
        return NULL;
    for (struct list *node = domain->cookies.next; node != &domain->cookies; node = node->next) {
        struct entry *entry = LIST_ITEM(node, struct entry, node);

        if (entry->host_only == host_only && span_equal(entry->name, cookie->name) &&
            span_equal(entry->path, cookie->path))
            return entry;
    }
    return NULL;
}

/* Takes the place of the same cookie, or makes room. cookie->path is never empty here. */
static void store(struct jar *jar, struct span domain_name, const struct cookie *cookie,
                  bool host_only, int64_t now_s)
{
    bool expired = cookie->persistent && cookie->expires_s <= now_s;
    struct entry *entry, *same;
    struct domain *domain;

    remove_expired(jar, now_s);
    same = find_same(find_domain(jar, domain_name), cookie, host_only);
    if (expired) {
        if (same)
            remove_entry(jar, same);
        return;
    }
    entry = make_entry(cookie, host_only);
    if (!entry)
        return;
    entry->number = same ? same->number : jar->next_number++;
    if (same)
        remove_entry(jar, same);
    else
        make_room(jar, find_domain(jar, domain_name));
    domain = want_domain(jar, domain_name);
    if (!domain) {
        free_entry(entry);
        return;
    }
    entry->domain = domain;
    domain->count++;
    list_push_back(&domain->cookies, &entry->node);
    note_use(jar, entry);
    jar->count++;
    jar->secure_count += entry->secure;
    jar->changes++;
    if (entry->expires_s < jar->first_expiry_s)
        jar->first_expiry_s = entry->expires_s;
}

/* NUL-terminated, lower case; false: nothing that could be a host. */
static bool lower_host(struct span s, char *host, size_t room)
{
    if (s.len == 0 || s.len >= room || s.data[0] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];

        if ((unsigned char)c <= ' ' || c == 0x7f || c == '/' || c == '#' || c == '[')
            return false;
        host[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    host[s.len] = '\0';
    return true;
}

/* Below which different people have names of their own, as below "com" and "co.uk". Without a list
 * everything may be one. A name with a dot behind it is asked about without. */
static bool is_public_suffix(const struct jar *jar, const char *domain)
{
    size_t len = strlen(domain);

    return !jar->suffixes || domain[len - 1] == '.' ||
           psl_is_public_suffix(jar->suffixes, domain) != 0;
}

/* Whether an existing safe cookie would be shadowed or replaced by one that came in the clear (5.7,
 * "leave secure cookies alone"). */
static bool touches_secure(const struct jar *jar, struct span domain, const struct cookie *cookie)
{
    if (jar->secure_count == 0)
        return false;
    for (struct list *node = jar->used.next; node != &jar->used; node = node->next) {
        const struct entry *entry = LIST_ITEM(node, struct entry, use);
        struct span other = entry->domain->node.key;

        if (entry->secure && span_equal(entry->name, cookie->name) &&
            (cookie_domain_matches(domain, other) || cookie_domain_matches(other, domain)) &&
            cookie_path_matches(cookie->path, entry->path))
            return true;
    }
    return false;
}

enum { HOST_BYTES_MAX = 1024 };

/* Whose the cookie is, if the host may set it for that. */
static bool find_owner(const struct jar *jar, const struct url *url, const struct cookie *cookie,
                       char *name, bool *host_only)
{
    struct span owner;

    *host_only = true;
    if (cookie->domain.len == 0)
        return lower_host(url->host, name, HOST_BYTES_MAX);
    if (!lower_host(cookie->domain, name, HOST_BYTES_MAX))
        return false;
    owner = span_of(name);
    if (!cookie_domain_matches(url->host, owner))
        return false;
    if (cookie_is_address(owner))
        return true;
    *host_only = is_public_suffix(jar, name);
    return !*host_only || span_equal(url->host, owner);
}

void jar_take(struct jar *jar, const struct url *url, struct span set_cookie, int64_t now_s)
{
    char owner[HOST_BYTES_MAX];
    struct cookie cookie;
    bool host_only;

    if (!cookie_parse(set_cookie, now_s, &cookie) ||
        !find_owner(jar, url, &cookie, owner, &host_only))
        return;
    if (cookie.path.len == 0)
        cookie.path = cookie_default_path(url->path);
    if (!url->secure && (cookie.secure || touches_secure(jar, span_of(owner), &cookie)))
        return;
    store(jar, span_of(owner), &cookie, host_only, now_s);
}

/* --- sending --------------------------------------------------------------------------------- */

static bool reserve_matches(struct jar *jar, size_t count)
{
    struct entry **matches;

    if (count <= jar->match_capacity)
        return true;
    matches = alloc_grow(jar->matches, count, sizeof(struct entry *));
    if (!matches)
        return false;
    jar->matches = matches;
    jar->match_capacity = count;
    return true;
}

static size_t add_matches(struct jar *jar, const struct domain *domain, const struct url *url,
                          int64_t now_s, size_t count)
{
    bool is_host = span_equal(domain->node.key, url->host);

    if (!reserve_matches(jar, count + domain->count))
        return count;
    for (struct list *node = domain->cookies.next; node != &domain->cookies; node = node->next) {
        struct entry *entry = LIST_ITEM(node, struct entry, node);

        if ((!entry->host_only || is_host) && (!entry->secure || url->secure) &&
            entry->expires_s > now_s && cookie_path_matches(url->path, entry->path))
            jar->matches[count++] = entry;
    }
    return count;
}

/* 5.8.3: longer paths first, then the older ones. */
static int compare_for_sending(const void *a, const void *b)
{
    const struct entry *one = *(struct entry *const *)a, *other = *(struct entry *const *)b;

    if (one->path.len != other->path.len)
        return one->path.len > other->path.len ? -1 : 1;
    return one->number < other->number ? -1 : one->number > other->number;
}

static void add_pair(const struct entry *entry, size_t before, struct text *field)
{
    size_t bytes = entry->name.len + 1 + entry->value.len + 2;

    if (field->len - before + bytes > JAR_FIELD_BYTES_MAX)
        return; /* a shorter one may find room */
    if (field->len > before)
        text_add(field, SPAN("; "));
    text_add(field, entry->name);
    if (entry->name.len > 0)
        text_add_char(field, '=');
    text_add(field, entry->value);
}

void jar_give(struct jar *jar, const struct url *url, int64_t now_s, struct text *field)
{
    struct span rest = url->host;
    size_t count = 0, before = field->len;

    if (jar->count == 0)
        return;
    while (rest.len > 0) {
        struct domain *domain = find_domain(jar, rest);

        if (domain)
            count = add_matches(jar, domain, url, now_s, count);
        if (cookie_is_address(url->host))
            break;
        span_cut(&rest, '.');
    }
    if (count > 1)
        qsort(jar->matches, count, sizeof(struct entry *), compare_for_sending);
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = jar->matches[i];

        note_use(jar, entry);
        add_pair(entry, before, field);
    }
}

/* --- Netscape's file ------------------------------------------------------------------------- */

/*
 * domain TAB below TAB path TAB secure TAB expires TAB name TAB value
 *
 * The value is the rest of the line. "below" says whether the cookie is for what stands below the
 * domain as well, expires is 0 for a cookie of the session, and "#HttpOnly_" before the domain is
 * no comment.
 */

static bool read_flag(struct span s, bool *flag)
{
    *flag = span_equal_nocase(s, SPAN("TRUE"));
    return *flag || span_equal_nocase(s, SPAN("FALSE"));
}

/* Some programs write fractions; -1, 0 and nothing are all meant for "none". */
static bool read_expiry(struct span s, struct cookie *cookie)
{
    struct span whole = span_cut(&s, '.');
    uint64_t seconds = 0;

    if (whole.len > 0 && !span_equal(whole, SPAN("-1")) && !span_to_u64(whole, &seconds))
        return false;
    cookie->persistent = seconds > 0;
    cookie->expires_s = seconds < INT64_MAX - 1 ? (int64_t)seconds : INT64_MAX - 1;
    return true;
}

/* The domain without brackets (IPv6) and the dot that older programs put before it. */
static struct span bare_domain(struct span domain)
{
    if (domain.len > 2 && domain.data[0] == '[' && domain.data[domain.len - 1] == ']')
        return span_sub(domain, 1, domain.len - 2);
    return domain.len > 0 && domain.data[0] == '.' ? span_sub(domain, 1, domain.len) : domain;
}

static bool read_line(struct jar *jar, struct span line, int64_t now_s, struct jar_faults *faults)
{
    struct cookie cookie = {.domain = span_make("", 0)};
    char owner[HOST_BYTES_MAX];
    struct span domain;
    bool below;

    if (!request_check_value(line))
        return false;
    if (span_starts_nocase(line, SPAN("#HttpOnly_"))) {
        cookie.http_only = true;
        line = span_sub(line, sizeof("#HttpOnly_") - 1, line.len);
    }
    domain = bare_domain(span_cut(&line, '\t'));
    if (!lower_host(domain, owner, sizeof(owner)) || !read_flag(span_cut(&line, '\t'), &below))
        return false;
    cookie.path = span_cut(&line, '\t');
    if (!read_flag(span_cut(&line, '\t'), &cookie.secure) ||
        !read_expiry(span_cut(&line, '\t'), &cookie))
        return false;
    cookie.name = span_trim(span_cut(&line, '\t'));
    cookie.value = span_trim(line);
    below = below && !cookie_is_address(span_of(owner)) && !is_public_suffix(jar, owner);
    if (below)
        cookie.domain = span_of(owner); /* "__Host-" would be a lie */
    if (cookie.path.len == 0 || cookie.path.data[0] != '/' ||
        cookie.path.len > COOKIE_ATTRIBUTE_BYTES_MAX ||
        cookie.name.len + cookie.value.len > COOKIE_PAIR_BYTES_MAX ||
        cookie.name.len + cookie.value.len == 0 || !cookie_keeps_promise(&cookie))
        return false;
    if (cookie.persistent && cookie.expires_s <= now_s)
        faults->expired++;
    else
        store(jar, span_of(owner), &cookie, !below, now_s);
    return true;
}

void jar_read(struct jar *jar, struct span file, int64_t now_s, struct jar_faults *faults)
{
    size_t number = 0;

    *faults = (struct jar_faults){0};
    while (file.len > 0) {
        struct span line = span_cut(&file, '\n');

        number++;
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        if (span_trim(line).len == 0 ||
            (line.data[0] == '#' && !span_starts_nocase(line, SPAN("#HttpOnly_"))))
            continue;
        if (read_line(jar, line, now_s, faults))
            continue;
        if (faults->malformed++ == 0)
            faults->first = number;
    }
}

static int compare_by_age(const void *a, const void *b)
{
    const struct entry *one = *(const struct entry *const *)a;
    const struct entry *other = *(const struct entry *const *)b;

    return one->number < other->number ? -1 : one->number > other->number;
}

static void write_entry(const struct entry *entry, struct text *file)
{
    /* A tab would end the field; in the value, which is the last one, it does no harm. */
    if (span_find(entry->name, '\t') < entry->name.len ||
        span_find(entry->path, '\t') < entry->path.len)
        return;
    text_printf(file, "%s%s%s\t%s\t", entry->http_only ? "#HttpOnly_" : "",
                entry->host_only ? "" : ".", entry->domain->name,
                entry->host_only ? "FALSE" : "TRUE");
    text_add(file, entry->path);
    text_printf(file, "\t%s\t%llu\t", entry->secure ? "TRUE" : "FALSE",
                entry->persistent ? (unsigned long long)entry->expires_s : 0);
    text_add(file, entry->name);
    text_add_char(file, '\t');
    text_add(file, entry->value);
    text_add_char(file, '\n');
}

void jar_write(const struct jar *jar, int64_t now_s, struct text *file)
{
    const struct entry **all = alloc_zeroed((jar->count + 1) * sizeof(*all));
    size_t count = 0;

    if (!all) {
        file->failed = true;
        return;
    }
    text_add(file, SPAN("# Netscape HTTP Cookie File\n"
                        "# Written by haul. Whoever can read it can act in your name.\n\n"));
    for (struct list *node = jar->used.next; node != &jar->used; node = node->next) {
        const struct entry *entry = LIST_ITEM(node, struct entry, use);

        if (entry->expires_s > now_s)
            all[count++] = entry;
    }
    qsort(all, count, sizeof(*all), compare_by_age);
    for (size_t i = 0; i < count; i++)
        write_entry(all[i], file);
    free(all);
}
