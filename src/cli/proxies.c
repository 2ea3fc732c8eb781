/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/proxies.h"

#include <string.h>

#include "base/span.h"

/* The first of the names that has a value; NULL: none. */
static const char *look_up(const char *(*environment)(const char *name), const char *name,
                           const char *other_name)
{
    const char *value = environment(name);

    if ((!value || *value == '\0') && other_name)
        value = environment(other_name);
    return value && *value != '\0' ? value : NULL;
}

/* RFC 3986 2.3 */
static void add_escaped(struct text *out, struct span part)
{
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c != '\0' && strchr("-._~", c)))
            text_add_char(out, (char)c);
        else
            text_printf(out, "%%%02X", c);
    }
}

/* What a scheme and "//" take of s. */
static size_t scheme_length(const char *s)
{
    const char *mark = strstr(s, "://");

    return mark ? (size_t)(mark - s) + strlen("://") : 0;
}

/* How long "user:password" is, of what comes behind the scheme. */
static size_t login_length(struct span rest)
{
    size_t end = 0, at;

    while (end < rest.len && !strchr("/?#", rest.data[end]))
        end++;
    for (at = end; at > 0 && rest.data[at - 1] != '@';)
        at--;
    return at > 0 ? at - 1 : 0;
}

/* Puts the login into the URL; each part that is given takes the place of what is there. Returns
 * the URL as it is to be. */
static const char *add_login(const char *url, const char *user, const char *password,
                             struct text *out)
{
    struct span rest, host, old_user, old_password;
    size_t scheme, login;

    if (!url || *url == '\0' || (!user && !password))
        return url;
    scheme = scheme_length(url);
    rest = span_sub(span_of(url), scheme, SIZE_MAX);
    login = login_length(rest);
    host = span_sub(rest, login > 0 ? login + 1 : 0, rest.len);
    old_password = span_sub(rest, 0, login);
    old_user = span_cut(&old_password, ':');
    text_add(out, span_make(url, scheme));
    if (user)
        add_escaped(out, span_of(user));
    else
        text_add(out, old_user);
    text_add_char(out, ':');
    if (password)
        add_escaped(out, span_of(password));
    else
        text_add(out, old_password);
    text_add_char(out, '@');
    text_add(out, host);
    return out->data;
}

bool proxies_find(struct proxies *proxies, const struct options *options,
                  const char *(*environment)(const char *name))
{
    const char *http = options->http_proxy, *https = options->https_proxy;
    const char *all = options->all_proxy;

    proxies->none = options->no_proxy;
    if (!proxies->none)
        proxies->none = look_up(environment, "no_proxy", "NO_PROXY");
    if (!all) {
        all = look_up(environment, "all_proxy", "ALL_PROXY");
        if (!http)
            http = look_up(environment, "http_proxy", NULL);
        if (!https)
            https = look_up(environment, "https_proxy", "HTTPS_PROXY");
    }
    proxies->all =
        add_login(all, options->all_proxy_user, options->all_proxy_password, &proxies->all_text);
    /* A login for one of them alone may go with the proxy for all. */
    if (!http && (options->http_proxy_user || options->http_proxy_password))
        http = proxies->all;
    if (!https && (options->https_proxy_user || options->https_proxy_password))
        https = proxies->all;
    proxies->http = add_login(http, options->http_proxy_user, options->http_proxy_password,
                              &proxies->http_text);
    proxies->https = add_login(https, options->https_proxy_user, options->https_proxy_password,
                               &proxies->https_text);
    return !proxies->all_text.failed && !proxies->http_text.failed && !proxies->https_text.failed;
}

void proxies_free(struct proxies *proxies)
{
    text_wipe(&proxies->http_text);
    text_wipe(&proxies->https_text);
    text_wipe(&proxies->all_text);
}
