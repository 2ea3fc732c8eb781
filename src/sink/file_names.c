/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of a file sink: those that it claims in its directory, before anything stands there. */
#include <stdio.h>

#include "sink/internal.h"

/* The lock is held wherever a name is claimed or given up, and wherever sink.name changes. */
static void lock_names(const struct sink_file *file)
{
    names_lock(file->directory->place->names);
}

static void unlock_names(const struct sink_file *file)
{
    names_unlock(file->directory->place->names);
}

static void give_name(struct sink_file *file)
{
    if (file->name_claimed)
        names_give(file->directory->place, &file->name_claim);
    file->name_claimed = false;
}

void file_give_names(struct sink_file *file)
{
    if (!file->name_claimed && !file->partial_claimed)
        return;
    lock_names(file);
    give_name(file);
    if (file->partial_claimed)
        names_give(file->directory->place, &file->partial_claim);
    file->partial_claimed = false;
    unlock_names(file);
}

/* True: *claimed tells whether the name is ours now. False: out of memory. */
static bool try_name(struct sink_file *file, struct map_node *node, const struct text *name,
                     bool *claimed)
{
    return !name->failed && names_take(file->directory->place, node, text_span(name), claimed);
}

/* A name, from `number` on, that no other download of this engine is to get. */
static bool take_name(struct sink_file *file, unsigned number, struct haul_error *error)
{
    give_name(file);
    for (; number <= FILE_NAME_NUMBER_MAX; number++) {
        file->number = number;
        file_name_numbered(&file->sink.name, text_span(&file->wanted), number);
        if (!try_name(file, &file->name_claim, &file->sink.name, &file->name_claimed))
            break;
        if (file->name_claimed) {
            names_note_number(file->directory->place, text_span(&file->wanted), number);
            return true;
        }
        if (!file->auto_renaming) {
            error_set(error, HAUL_IN_USE, 0, "another download of this run is to be %s",
                      file_name_of(file));
            return false;
        }
    }
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "no memory, or no number left, for a name like %s",
              file->wanted.data);
    return false;
}

static void name_parts(struct sink_file *file)
{
    static const char *const suffixes[JOURNAL_COPIES] = {FILE_NAME_DATA, FILE_NAME_BESIDE};

    for (size_t i = 0; i < JOURNAL_COPIES; i++)
        snprintf(file->data_names[i], sizeof(file->data_names[i]), "%s%s", file->partial.data,
                 suffixes[i]);
    snprintf(file->journal_name, sizeof(file->journal_name), "%s" FILE_NAME_JOURNAL,
             file->partial.data);
}

static bool take_partial(struct sink_file *file, struct haul_error *error)
{
    for (unsigned copy = 0; copy <= FILE_NAME_NUMBER_MAX; copy++) {
        file_name_partial(&file->partial, text_span(&file->stem), span_of(file->url), copy);
        if (!try_name(file, &file->partial_claim, &file->partial, &file->partial_claimed))
            break;
        if (file->partial_claimed) {
            name_parts(file);
            return true;
        }
    }
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for names");
    return false;
}

bool file_take_names(struct sink_file *file, struct haul_error *error)
{
    unsigned number;
    bool claimed;

    lock_names(file);
    number = names_free_number(file->directory->place, text_span(&file->wanted));
    claimed = take_partial(file, error) && take_name(file, number, error);
    unlock_names(file);
    return claimed;
}

bool file_take_next_name(struct sink_file *file, struct haul_error *error)
{
    unsigned number;
    bool claimed;

    lock_names(file);
    number = names_free_number(file->directory->place, text_span(&file->wanted));
    claimed = take_name(file, number > file->number ? number : file->number + 1, error);
    unlock_names(file);
    return claimed;
}

static bool set_wanted(struct sink_file *file, struct span name, struct haul_error *error)
{
    struct text wanted = {0}; /* what it was may be what the new one is made of */

    text_add(&wanted, name);
    text_free(&file->wanted);
    file->wanted = wanted;
    if (wanted.failed)
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    return !wanted.failed;
}

bool file_take_other_name(struct sink_file *file, struct span name, struct haul_error *error)
{
    bool claimed;

    if (!set_wanted(file, name, error))
        return false;
    lock_names(file);
    claimed =
        take_name(file, names_free_number(file->directory->place, text_span(&file->wanted)), error);
    unlock_names(file);
    return claimed;
}

void file_show_wanted(struct sink_file *file)
{
    lock_names(file);
    give_name(file); /* its bytes are sink.name's */
    file->number = 0;
    text_clear(&file->sink.name);
    text_add(&file->sink.name, text_span(&file->wanted));
    unlock_names(file);
}

bool file_take_aside_name(struct sink_file *file, struct haul_error *error)
{
    struct text aside = {0};
    bool claimed;

    text_clear(&file->adopted_name);
    text_add(&file->adopted_name, text_span(&file->sink.name));
    file_name_aside(&aside, text_span(&file->wanted));
    if (aside.failed || file->adopted_name.failed) {
        text_free(&aside);
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return false;
    }
    text_free(&file->wanted);
    file->wanted = aside;
    file->auto_renaming = true;
    lock_names(file);
    claimed = take_name(file, names_free_number(file->directory->place, text_span(&aside)), error);
    unlock_names(file);
    return claimed;
}
