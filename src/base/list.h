/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A doubly linked list whose nodes stand in the objects that it links. A node that is in no list
 * links to itself, so that list_remove() may be called twice and list_is_linked() can tell.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_ITEM(node, type, member) CONTAINER_OF(node, type, member)

static inline void list_init(struct list *node)
{
    node->next = node;
    node->prev = node;
}

/* Also: whether a head has any items. */
static inline bool list_is_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    CHECK(!list_is_linked(node));
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_push_back(head->next, node);
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;

    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

/* Moves all items behind those of `to`. */
static inline void list_move_all(struct list *from, struct list *to)
{
    if (!list_is_linked(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
