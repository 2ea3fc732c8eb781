/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/expansion.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static bool out_of_memory(struct haul_error *error)
{
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    return false;
}

/* What is of one file can't hold for several. */
static bool check_several(const struct expansion *expansion,
                          const struct download_options *download, const char *out,
                          struct haul_error *error)
{
    unsigned long long count = expansion->patterns[0].count;

    if (count == 1)
        return true;
    if (download->checksum) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "checksum: it is of one file, but the pattern stands for %llu", count);
        return false;
    }
    if (out && !download->discard && !strchr(out, '{')) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "out: it names one file, but the pattern stands for %llu; {1} in it stands for "
                  "what the first pattern of the URL has become",
                  count);
        return false;
    }
    return true;
}

static bool parse(struct expansion *expansion, const char *url, const struct string_list *mirrors,
                  struct haul_error *error)
{
    for (size_t i = 0; i <= mirrors->count; i++) {
        struct pattern *pattern = &expansion->patterns[i];
        struct haul_error why = {0};

        if (!pattern_parse(pattern, span_of(i == 0 ? url : mirrors->items[i - 1]), &why)) {
            if (i == 0)
                error_set(error, why.status, 0, "%s", why.text);
            else
                error_set(error, why.status, 0, "mirror %zu: %s", i, why.text);
            return false;
        }
        expansion->pattern_count++;
        if (i == 0 || pattern->glob_count == 0 || pattern->count == expansion->patterns[0].count)
            continue;
        error_set(error, HAUL_BAD_URL, 0,
                  "mirror %zu: its pattern stands for %llu URLs, that of the first URL for %llu", i,
                  (unsigned long long)pattern->count,
                  (unsigned long long)expansion->patterns[0].count);
        return false;
    }
    return true;
}

bool expansion_begin(struct expansion *expansion, const char *url,
                     const struct download_options *download, const char *out,
                     struct haul_error *error)
{
    size_t mirrors = download->mirrors.count;
    bool good;

    expansion_free(expansion);
    expansion->patterns = alloc_grow(NULL, mirrors + 1, sizeof(struct pattern));
    if (mirrors > 0) {
        expansion->mirror_texts = alloc_zeroed(mirrors * sizeof(struct text));
        expansion->mirrors = alloc_zeroed(mirrors * sizeof(char *));
    }
    good = expansion->patterns && (mirrors == 0 || (expansion->mirror_texts && expansion->mirrors));
    if (!good)
        (void)out_of_memory(error);
    good = good && parse(expansion, url, &download->mirrors, error) &&
           check_several(expansion, download, out, error);
    if (!good)
        expansion_free(expansion);
    return good;
}

bool expansion_write(struct expansion *expansion, const char *out, struct haul_error *error)
{
    bool failed;

    text_clear(&expansion->url);
    text_clear(&expansion->name);
    pattern_write(&expansion->patterns[0], &expansion->url);
    if (out && !pattern_name(&expansion->patterns[0], span_of(out), &expansion->name, error))
        return false;
    failed = expansion->url.failed || expansion->name.failed;
    for (size_t i = 1; i < expansion->pattern_count; i++) {
        struct text *text = &expansion->mirror_texts[i - 1];

        text_clear(text);
        pattern_write(&expansion->patterns[i], text);
        expansion->mirrors[i - 1] = text_span(text).data;
        failed = failed || text->failed;
    }
    expansion->out = out ? text_span(&expansion->name).data : NULL;
    return failed ? out_of_memory(error) : true;
}

bool expansion_step(struct expansion *expansion)
{
    for (size_t i = 1; i < expansion->pattern_count; i++)
        (void)pattern_step(&expansion->patterns[i]);
    return pattern_step(&expansion->patterns[0]);
}

void expansion_free(struct expansion *expansion)
{
    for (size_t i = 0; i < expansion->pattern_count; i++)
        pattern_free(&expansion->patterns[i]);
    for (size_t i = 1; i < expansion->pattern_count; i++)
        text_free(&expansion->mirror_texts[i - 1]);
    text_free(&expansion->url);
    text_free(&expansion->name);
    free(expansion->patterns);
    free(expansion->mirror_texts);
    free(expansion->mirrors);
    *expansion = (struct expansion){0};
}
