/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is made of the table of options: parsing, help, and the options of lines in a list. */
#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "cli/option_table.h"

/* Where an option was given, and so how people are told its name. */
enum option_place { PLACE_ARGUMENT, PLACE_LINE };

static const struct option_row *row_named(struct span name)
{
    for (size_t i = 0; i < option_row_count; i++)
        if (span_equal(name, span_of(option_rows[i].name)))
            return &option_rows[i];
    return NULL;
}

static const struct option_row *row_lettered(char letter)
{
    for (size_t i = 0; i < option_row_count; i++)
        if (option_rows[i].letter == letter && letter != '\0')
            return &option_rows[i];
    return NULL;
}

/* "name" or "-L"; NULL: nobody calls anything so. */
static const char *hint_about(struct span name)
{
    for (size_t i = 0; i < option_hint_count; i++)
        if (span_equal(name, span_of(option_hints[i].name)))
            return option_hints[i].hint;
    return NULL;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

enum { NAME_BYTES_MAX = 32 };

/* How many characters must be changed, added, left out or swapped to make b of a. */
static size_t distance(struct span a, struct span b)
{
    size_t d[NAME_BYTES_MAX + 1][NAME_BYTES_MAX + 1];

    if (a.len > NAME_BYTES_MAX || b.len > NAME_BYTES_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= a.len; i++) {
        for (size_t j = 0; j <= b.len; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = smaller(smaller(d[i - 1][j], d[i][j - 1]) + 1,
                              d[i - 1][j - 1] + (a.data[i - 1] != b.data[j - 1]));
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                d[i][j] = smaller(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a.len][b.len];
}

/* The option that was probably meant, or NULL. */
static const struct option_row *row_nearest(struct span name, enum option_place place)
{
    const struct option_row *nearest = NULL;
    size_t least = name.len / 3 + 1;

    for (size_t i = 0; i < option_row_count; i++) {
        size_t d = distance(name, span_of(option_rows[i].name));

        if (option_rows[i].group == GROUP_HIDDEN || d > least || (nearest && d == least))
            continue;
        if (place == PLACE_LINE && option_rows[i].scope != SCOPE_DOWNLOAD)
            continue;
        nearest = &option_rows[i];
        least = d;
    }
    return nearest;
}

static const char *dashes(enum option_place place)
{
    return place == PLACE_ARGUMENT ? "--" : "";
}

/* "no-X", as other programs have it, of a flag X; NULL: it is none. */
static const struct option_row *row_negated(struct span name)
{
    const struct option_row *row = NULL;

    if (span_starts_nocase(name, SPAN("no-")))
        row = row_named(span_sub(name, 3, name.len));
    return row && row->type == OPTION_FLAG ? row : NULL;
}

static bool no_such_option(struct span name, enum option_place place, struct haul_error *error)
{
    const struct option_row *nearest = row_nearest(name, place);
    const struct option_row *flag = row_negated(name);
    const char *hint = place == PLACE_ARGUMENT ? hint_about(name) : NULL;
    struct text shown = {0};

    text_add_escaped(&shown, name);
    if (hint)
        error_set(error, HAUL_BAD_OPTION, 0, "--%s: no such option; %s", text_span(&shown).data,
                  hint);
    else if (flag)
        error_set(error, HAUL_BAD_OPTION, 0, "%s%s: no such option; did you mean %s%s=false?",
                  dashes(place), text_span(&shown).data, dashes(place), flag->name);
    else if (nearest)
        error_set(error, HAUL_BAD_OPTION, 0, "%s%s: no such option; did you mean %s%s?",
                  dashes(place), text_span(&shown).data, dashes(place), nearest->name);
    else
        error_set(error, HAUL_BAD_OPTION, 0, "%s%s: no such option%s", dashes(place),
                  text_span(&shown).data,
                  place == PLACE_ARGUMENT ? "; haul --help lists them" : " of a download");
    text_free(&shown);
    return false;
}

/* "60" or "0.1". */
static void add_seconds(struct text *text, uint64_t ms)
{
    text_printf(text, "%llu", (unsigned long long)(ms / 1000));
    if (ms % 1000 != 0)
        text_printf(text, ms % 100 == 0 ? ".%llu" : ".%03llu",
                    (unsigned long long)(ms % 100 == 0 ? ms % 1000 / 100 : ms % 1000));
}

static const struct {
    char letter;
    unsigned bits;
} size_units[] = {{'G', 30}, {'M', 20}, {'K', 10}};

/* "16G": in the largest unit that it is a multiple of. */
static void add_size(struct text *text, uint64_t bytes)
{
    for (size_t i = 0; i < COUNT_OF(size_units); i++) {
        uint64_t whole = bytes >> size_units[i].bits;

        if (whole == 0 || whole << size_units[i].bits != bytes)
            continue;
        text_printf(text, "%llu%c", (unsigned long long)whole, size_units[i].letter);
        return;
    }
    text_printf(text, "%llu", (unsigned long long)bytes);
}

/* "a, b or c" */
static void add_choices(struct text *text, const struct option_choice *choices)
{
    for (const struct option_choice *choice = choices; choice->name; choice++)
        text_printf(text, "%s%s",
                    choice == choices ? ""
                    : choice[1].name  ? ", "
                                      : " or ",
                    choice->name);
}

static void add_expected(struct text *text, const struct option_row *row)
{
    switch (row->type) {
    case OPTION_FLAG:
        text_printf(text, "true or false");
        break;
    case OPTION_NUMBER:
        text_printf(text, "a number from %llu to %llu", (unsigned long long)row->min,
                    (unsigned long long)row->max);
        if (row->choices)
            text_printf(text, ", or ");
        if (row->choices)
            add_choices(text, row->choices);
        break;
    case OPTION_SECONDS:
        text_printf(text, "a number of seconds from ");
        add_seconds(text, row->min);
        text_printf(text, " to ");
        add_seconds(text, row->max);
        break;
    case OPTION_SIZE:
        text_printf(text, "a size from ");
        add_size(text, row->min);
        text_printf(text, " to ");
        add_size(text, row->max);
        break;
    case OPTION_TEXT:
    case OPTION_LIST:
        text_printf(text, "%s", row->placeholder);
        break;
    case OPTION_CHOICE:
    case OPTION_SET:
        add_choices(text, row->choices);
        break;
    }
}

enum { VALUE_BYTES_MAX = 80 }; /* as it is shown */

/* As much of it as an error has room for, cut between characters. */
static void add_value(struct text *text, struct span value)
{
    struct text character = {0};

    while (value.len > 0) {
        size_t len = text_utf8_length(value);

        len = len == 0 ? 1 : len;
        text_clear(&character);
        text_add_escaped(&character, span_sub(value, 0, len));
        if (text->len + character.len > VALUE_BYTES_MAX)
            break;
        text_add(text, text_span(&character));
        value = span_sub(value, len, value.len);
    }
    if (value.len > 0)
        text_printf(text, "...");
    text_free(&character);
}

/* value NULL: there is none. */
static bool bad_value(const struct option_row *row, enum option_place place,
                      const struct span *value, struct haul_error *error)
{
    struct text shown = {0};
    struct text expected = {0};

    add_expected(&expected, row);
    if (value)
        add_value(&shown, *value);
    if (!value || value->len == 0)
        error_set(error, HAUL_BAD_OPTION, 0, "%s%s: a value is missing; expected %s", dashes(place),
                  row->name, text_span(&expected).data);
    else
        error_set(error, HAUL_BAD_OPTION, 0, "%s%s: \"%s\" won't do; expected %s", dashes(place),
                  row->name, text_span(&shown).data, text_span(&expected).data);
    text_free(&shown);
    text_free(&expected);
    return false;
}

static bool parse_seconds(struct span value, uint64_t *ms)
{
    struct span rest = value;
    struct span whole = span_cut(&rest, '.');
    bool has_point = whole.len < value.len;
    uint64_t scale = 100;
    uint64_t seconds = 0;

    if (whole.len == 0 ? rest.len == 0 : !span_to_u64(whole, &seconds))
        return false;
    if ((has_point && rest.len == 0) || __builtin_mul_overflow(seconds, 1000U, ms))
        return false;
    for (size_t i = 0; i < rest.len; i++, scale /= 10) {
        if (rest.data[i] < '0' || rest.data[i] > '9' ||
            __builtin_add_overflow(*ms, (uint64_t)(rest.data[i] - '0') * scale, ms))
            return false;
    }
    return true;
}

static bool parse_size(struct span value, uint64_t *bytes)
{
    char last = value.len > 0 ? value.data[value.len - 1] : '\0';
    unsigned bits = 0;

    for (size_t i = 0; i < COUNT_OF(size_units); i++)
        if (last == size_units[i].letter || last == size_units[i].letter - 'A' + 'a')
            bits = size_units[i].bits;
    if (!span_to_u64(span_sub(value, 0, value.len - (bits > 0)), bytes))
        return false;
    return !__builtin_mul_overflow(*bytes, UINT64_C(1) << bits, bytes);
}

static bool parse_flag(struct span value, bool *flag)
{
    *flag = span_equal(value, SPAN("true"));
    return *flag || span_equal(value, SPAN("false"));
}

static bool parse_choice(const struct option_row *row, struct span value, uint64_t *chosen)
{
    for (const struct option_choice *choice = row->choices; choice->name; choice++) {
        if (!span_equal(value, span_of(choice->name)))
            continue;
        *chosen |= choice->value;
        return true;
    }
    return false;
}

static bool out_of_memory(struct haul_error *error)
{
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    return false;
}

static bool set_text(char **field, struct span value, struct haul_error *error)
{
    char *copy = alloc_copy(value.data, value.len);

    if (!copy)
        return out_of_memory(error);
    free(*field);
    *field = copy;
    return true;
}

static bool list_add(struct string_list *list, struct span value, struct haul_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4;
        char **items = alloc_grow(list->items, capacity, sizeof(char *));

        if (!items)
            return out_of_memory(error);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count] = NULL;
    if (!set_text(&list->items[list->count], value, error))
        return false;
    list->count++;
    return true;
}

/* What a number's bounds and a choice's names allow goes to *number. */
static bool parse_number(const struct option_row *row, struct span value, uint64_t *number)
{
    struct span rest = value;

    switch (row->type) {
    case OPTION_NUMBER:
        *number = 0;
        if (row->choices && parse_choice(row, value, number))
            return true;
        return span_to_u64(value, number) && *number >= row->min && *number <= row->max;
    case OPTION_SECONDS:
        return parse_seconds(value, number) && *number >= row->min && *number <= row->max;
    case OPTION_SIZE:
        return parse_size(value, number) && *number >= row->min && *number <= row->max;
    case OPTION_CHOICE:
        *number = 0;
        return parse_choice(row, value, number);
    case OPTION_SET:
        *number = 0;
        do {
            if (!parse_choice(row, span_cut(&rest, ','), number))
                return false;
        } while (rest.len > 0);
        return true;
    case OPTION_FLAG:
    case OPTION_TEXT:
    case OPTION_LIST:
        break;
    }
    UNREACHABLE();
}

/* value NULL: there is none, which only a flag can bear. */
static bool option_set(const struct option_row *row, void *base, const struct span *value,
                       enum option_place place, struct haul_error *error)
{
    void *field = (char *)base + row->offset;
    uint64_t number;
    bool flag = true;

    switch (row->type) {
    case OPTION_FLAG:
        if (value && !parse_flag(*value, &flag))
            return bad_value(row, place, value, error);
        *(bool *)field = flag;
        return true;
    case OPTION_TEXT:
    case OPTION_LIST:
        if (!value || value->len < row->min)
            return bad_value(row, place, value, error);
        return row->type == OPTION_TEXT ? set_text(field, *value, error)
                                        : list_add(field, *value, error);
    case OPTION_NUMBER:
    case OPTION_SECONDS:
    case OPTION_SIZE:
    case OPTION_CHOICE:
    case OPTION_SET:
        if (!value || !parse_number(row, *value, &number))
            return bad_value(row, place, value, error);
        *(uint64_t *)field = number;
        return true;
    }
    UNREACHABLE();
}

static void *base_of(const struct option_row *row, struct options *options)
{
    return row->scope == SCOPE_DOWNLOAD ? (void *)&options->download : (void *)options;
}

bool options_init(struct options *options)
{
    *options = (struct options){0};
    for (size_t i = 0; i < option_row_count; i++) {
        struct span value = span_of(option_rows[i].standard);
        struct haul_error error = {0};

        if (!option_rows[i].standard)
            continue;
        if (option_set(&option_rows[i], base_of(&option_rows[i], options), &value, PLACE_ARGUMENT,
                       &error))
            continue;
        CHECK(error.status == HAUL_OUT_OF_MEMORY);
        return false;
    }
    return true;
}

static void list_free(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct string_list){0};
}

static void fields_free(void *base, bool of_download)
{
    for (size_t i = 0; i < option_row_count; i++) {
        void *field = (char *)base + option_rows[i].offset;

        if ((option_rows[i].scope == SCOPE_DOWNLOAD) != of_download)
            continue;
        if (option_rows[i].type == OPTION_TEXT)
            free(*(char **)field);
        else if (option_rows[i].type == OPTION_LIST)
            list_free(field);
    }
}

void options_free(struct options *options)
{
    fields_free(options, false);
    fields_free(&options->download, true);
    free(options->urls);
    *options = (struct options){0};
}

void download_options_free(struct download_options *download)
{
    fields_free(download, true);
    *download = (struct download_options){0};
}

bool download_options_add_mirror(struct download_options *download, struct span url,
                                 struct haul_error *error)
{
    return list_add(&download->mirrors, url, error);
}

bool download_options_set(struct download_options *download, struct span line,
                          struct haul_error *error)
{
    struct span rest = line;
    struct span name = span_cut(&rest, '=');
    bool has_value = name.len < line.len;
    struct span value = span_trim(rest);
    const struct option_row *row;

    name = span_trim(name);
    row = row_named(name);
    if (!row)
        return no_such_option(name, PLACE_LINE, error);
    if (row->scope != SCOPE_DOWNLOAD) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "%s: can't be set for a single download; use --%s for all of them", row->name,
                  row->name);
        return false;
    }
    return option_set(row, download, has_value ? &value : NULL, PLACE_LINE, error);
}

/* The option whose name begins so, if there is but one. */
static const struct option_row *row_prefixed(struct span prefix, struct haul_error *error)
{
    const struct option_row *found = NULL;
    /* curl's --user is no short form of --user-agent, which would send the login to anybody. */
    bool taken = prefix.len == 0 || hint_about(prefix);
    struct text names = {0};
    size_t count = 0;

    for (size_t i = 0; !taken && i < option_row_count; i++) {
        struct span name = span_of(option_rows[i].name);

        if (option_rows[i].group == GROUP_HIDDEN ||
            !span_equal(span_sub(name, 0, prefix.len), prefix))
            continue;
        found = &option_rows[i];
        text_printf(&names, "%s--%s", count++ > 0 ? ", " : "", option_rows[i].name);
    }
    if (count == 0)
        no_such_option(prefix, PLACE_ARGUMENT, error);
    if (count > 1) {
        error_set(error, HAUL_BAD_OPTION, 0, "--%.*s could be any of %s", SPAN_ARG(prefix),
                  text_span(&names).data);
        found = NULL;
    }
    text_free(&names);
    return found;
}

/* What is left of argv. */
struct arguments {
    char **next;
    char **end;
};

/* "--name", "--name=value", or "--name value". */
static bool parse_long(struct options *options, struct span text, struct arguments *left,
                       struct haul_error *error)
{
    struct span value = text;
    struct span name = span_cut(&value, '=');
    bool has_value = name.len < text.len;
    const struct option_row *row = row_named(name);

    if (!row)
        row = row_prefixed(name, error);
    if (!row)
        return false;
    if (!has_value && row->type != OPTION_FLAG && left->next < left->end) {
        value = span_of(*left->next++);
        has_value = true;
    }
    return option_set(row, base_of(row, options), has_value ? &value : NULL, PLACE_ARGUMENT, error);
}

static bool no_such_letters(struct span letters, struct haul_error *error)
{
    const char first[] = {'-', letters.data[0]};
    const char *hint = hint_about(span_make(first, sizeof(first)));
    struct text shown = {0};

    text_add_escaped(&shown, hint ? span_sub(letters, 0, 1) : letters);
    error_set(error, HAUL_BAD_OPTION, 0, "-%s: no such option; %s", text_span(&shown).data,
              hint ? hint : "haul --help lists them");
    text_free(&shown);
    return false;
}

/* Letters behind one dash: flags, the last of which may be an option with a value: "-qj4". */
static bool parse_letters(struct options *options, struct span letters, struct arguments *left,
                          struct haul_error *error)
{
    const struct option_row *row;
    struct span value;
    bool flag;

    for (;;) {
        row = row_lettered(letters.data[0]);
        value = span_sub(letters, 1, letters.len);
        if (!row)
            return no_such_letters(letters, error);
        if (row->type != OPTION_FLAG || parse_flag(value, &flag))
            break;
        if (!option_set(row, base_of(row, options), NULL, PLACE_ARGUMENT, error))
            return false;
        if (value.len == 0)
            return true;
        letters = value;
    }
    if (value.len == 0 && left->next == left->end)
        return option_set(row, base_of(row, options), NULL, PLACE_ARGUMENT, error);
    if (value.len == 0)
        value = span_of(*left->next++);
    return option_set(row, base_of(row, options), &value, PLACE_ARGUMENT, error);
}

bool options_parse(struct options *options, int argc, char **argv, struct haul_error *error)
{
    struct arguments left = {.next = argv + (argc > 0), .end = argv + argc};
    bool only_urls = false;

    options->urls = alloc_zeroed(((size_t)argc + 1) * sizeof(*options->urls));
    if (!options->urls)
        return out_of_memory(error);
    while (left.next < left.end) {
        struct span argument = span_of(*left.next++);
        bool parsed = true;

        if (only_urls || argument.len < 2 || argument.data[0] != '-')
            options->urls[options->url_count++] = argument.data;
        else if (argument.data[1] != '-')
            parsed = parse_letters(options, span_sub(argument, 1, argument.len), &left, error);
        else if (argument.len == 2)
            only_urls = true;
        else
            parsed = parse_long(options, span_sub(argument, 2, argument.len), &left, error);
        if (!parsed)
            return false;
    }
    return true;
}

enum { HELP_COLUMNS = 80, HELP_INDENT = 26 };

/* Words of `words`, wrapped, from the column where the line stands now. */
static void add_wrapped(struct text *text, size_t column, struct span words)
{
    size_t indent = column;

    while (words.len > 0) {
        struct span word = span_cut(&words, ' ');

        if (column + 1 + word.len > HELP_COLUMNS) {
            text_printf(text, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            text_add_char(text, ' ');
            column++;
        }
        text_add(text, word);
        column += word.len;
    }
    text_add_char(text, '\n');
}

static void add_row_help(struct text *text, const struct option_row *row)
{
    size_t start = text->len;
    struct text words = {0};
    size_t column;

    if (row->letter)
        text_printf(text, "  -%c, --%s", row->letter, row->name);
    else
        text_printf(text, "      --%s", row->name);
    if (row->placeholder)
        text_printf(text, "=%s", row->placeholder);
    else if (row->standard)
        text_printf(text, "[=true|false]");
    text_printf(&words, "%s", row->help);
    if (row->standard)
        text_printf(&words, " [%s]", row->standard);
    column = text->len - start;
    if (column + 2 > HELP_INDENT)
        text_printf(text, "\n%*s", HELP_INDENT, "");
    else
        text_printf(text, "%*s", (int)(HELP_INDENT - column), "");
    add_wrapped(text, HELP_INDENT, text_span(&words));
    text_free(&words);
}

void options_help(struct text *text)
{
    const char *title = NULL;
    struct text words = {0};

    text_printf(text, "Usage: haul [OPTION]... URL...\n"
                      "       haul [OPTION]... -i FILE\n"
                      "Downloads many files at once over HTTP and HTTPS.\n");
    for (size_t i = 0; i < option_row_count; i++) {
        if (option_rows[i].group == GROUP_HIDDEN)
            continue;
        if (option_group_titles[option_rows[i].group] != title) {
            title = option_group_titles[option_rows[i].group];
            text_printf(text, "\n%s:\n", title);
        }
        add_row_help(text, &option_rows[i]);
    }
    text_printf(&words, "In a list (-i), indented lines below a URL are options of that download:");
    for (size_t i = 0, shown = 0; i < option_row_count; i++)
        if (option_rows[i].scope == SCOPE_DOWNLOAD)
            text_printf(&words, "%s %s=", shown++ == 0 ? "" : ",", option_rows[i].name);
    text_add_char(&words, '.');
    text_add_char(text, '\n');
    add_wrapped(text, 0, text_span(&words));
    text->failed = text->failed || words.failed;
    text_free(&words);
    text_printf(text, "Exit status: 0 if all went well, else that of aria2c.\n");
}
