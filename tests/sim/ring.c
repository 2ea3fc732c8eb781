/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ring/ring.h without a kernel. What is asked for is done by disk.c and net.c, at once or after a
 * while, and its end is told in an order that the dice choose:
 *
 *     start --> carried out at once ------------------> ready ----+
 *        \----> pending: an event, a socket's turn --> answered --+--> done(), from ring_turn()
 *
 * Time stands still while there is anything to tell, and else goes on to the next event, timer, or
 * the end of the wait. A wait that nothing can end is a bug, and so are turns without end in which
 * nothing happens.
 */
#include "ring/ring.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

enum {
    READY_PASSES = 64,
    IDLE_TURNS_MAX = 1000,
    IDLE_S_MAX = 20 * 60,      /* a server may ask for minutes */
    TURNS_AT_ONCE_MAX = 50000, /* without time going on */
    WALL_S = 1700000000,
    CODE_DISK = 1 /* op->code of disk calls: more than their kind */
};

enum pending_kind { PENDING_DISK, PENDING_NET, PENDING_WORK };

struct pending {
    struct list node; /* ring->pending, then ring->answered */
    struct event event;
    struct ring *ring;
    struct op *op;
    enum pending_kind kind;
    bool carried_out;
    bool cancelled;
    bool answered;
    int res;
    struct disk_call disk;
    struct net_call net;
};

struct ring {
    struct world *world;
    struct wheel wheel;
    struct list ready;
    struct list pending;
    struct list answered;
    size_t answered_count;
    size_t busy;
    bool turning;
    bool woken;
    bool lent;
    uint64_t busy_ns;   /* when something has happened last */
    uint64_t turned_ns; /* the time of the last turn, ... */
    uint64_t turns;     /* ... and how many there were at it */
};

/* --- begin and end --------------------------------------------------------------------------- */

struct ring *ring_create(const struct ring_options *options, struct haul_error *error)
{
    struct ring *ring = alloc_zeroed(sizeof(*ring));

    (void)options;
    (void)error;
    CHECK(ring && !world_now->ring);
    ring->world = world_now;
    ring->world->ring = ring;
    wheel_init(&ring->wheel, ring->world->now_ns);
    ring->busy_ns = ring->world->now_ns;
    list_init(&ring->ready);
    list_init(&ring->pending);
    list_init(&ring->answered);
    return ring;
}

void ring_destroy(struct ring *ring)
{
    if (!ring)
        return;
    if (ring->busy > 0 || ring->lent)
        world_fail(ring->world, "the ring ends with %zu requests under way", ring->busy);
    CHECK(!list_is_linked(&ring->pending) && !list_is_linked(&ring->answered));
    ring->world->ring = NULL;
    free(ring);
}

const char *ring_features(const struct ring *ring)
{
    (void)ring;
    return "simulated";
}

size_t ring_busy(const struct ring *ring)
{
    return ring->busy;
}

size_t ring_descriptors_max(const struct ring *ring)
{
    return ring->world->descriptors_max;
}

void ring_read_clock(struct ring *ring)
{
    (void)ring; /* nothing takes time but waiting */
}

uint64_t ring_now_ns(const struct ring *ring)
{
    return ring->world->now_ns;
}

int64_t ring_wall_s(const struct ring *ring)
{
    return WALL_S + (int64_t)(ring->world->now_ns / (uint64_t)NS_PER_S);
}

uint64_t ring_random(struct ring *ring)
{
    return dice_next(&ring->world->library);
}

void ring_timer_start(struct ring *ring, struct timer *timer, uint64_t at_ns)
{
    wheel_start(&ring->wheel, timer, at_ns);
}

void ring_wake(struct ring *ring)
{
    ring->woken = true;
}

void ring_lend_memory(struct ring *ring, const char *data, size_t bytes)
{
    (void)data;
    (void)bytes;
    CHECK(!ring->lent);
    ring->lent = true;
}

void ring_take_memory_back(struct ring *ring)
{
    ring->lent = false;
}

/* --- ops ------------------------------------------------------------------------------------- */

void op_init(struct op *op, void (*done)(struct op *op, int res), struct ref *owner)
{
    *op = (struct op){.done = done, .owner = owner};
    list_init(&op->node);
}

bool op_busy(const struct op *op)
{
    return op->state != OP_IDLE;
}

static void op_begin(struct ring *ring, struct op *op, enum op_state state)
{
    CHECK(op->state == OP_IDLE);
    op->state = state;
    op->stop = false;
    op->code = 0;
    ref_hold(op->owner);
    ring->busy++;
}

static void op_ready(struct ring *ring, struct op *op, int res)
{
    op_begin(ring, op, OP_READY);
    op->res = res;
    list_push_back(&ring->ready, &op->node);
}

static void op_end(struct ring *ring, struct op *op, int res)
{
    struct ref *owner = op->owner;

    op->state = OP_IDLE;
    ring->busy--;
    if (res == -EIO && op->code == CODE_DISK + DISK_SYNC)
        disk_sync_told(ring->world->disk, op->fd);
    world_trace(ring->world, "done", (uint64_t)res, ring->busy, 0);
    op->done(op, res);
    ref_drop(owner);
}

/* --- what takes its time --------------------------------------------------------------------- */

static uint64_t some_ns(struct world *world)
{
    struct dice *dice = &world->order;

    if (dice_permille(dice, world->faults.slow))
        return dice_below(dice, 300 * NS_PER_MS);
    return dice_permille(dice, 600) ? 0 : dice_below(dice, 2 * NS_PER_MS);
}

static void answer(struct pending *pending, int res)
{
    struct ring *ring = pending->ring;

    list_remove(&pending->disk.node);
    list_remove(&pending->node);
    event_stop(&pending->event);
    pending->res = res;
    pending->answered = true;
    list_push_back(&ring->answered, &pending->node);
    ring->answered_count++;
}

static void carry_out(struct pending *pending)
{
    if (pending->carried_out)
        return;
    pending->carried_out = true;
    if (pending->kind == PENDING_DISK)
        pending->res = disk_do(pending->ring->world->disk, &pending->disk);
    else
        pending->res = pending->op->work(pending->op);
}

static void pending_happens(struct event *event)
{
    struct pending *pending = CONTAINER_OF(event, struct pending, event);

    if (!pending->cancelled)
        carry_out(pending);
    answer(pending, pending->res);
}

static void net_done(struct net_call *call, int res)
{
    answer(CONTAINER_OF(call, struct pending, net), res);
}

static struct pending *pending_create(struct ring *ring, struct op *op, enum pending_kind kind,
                                      enum op_state state)
{
    struct pending *pending = alloc_zeroed(sizeof(*pending));

    CHECK(pending);
    pending->ring = ring;
    pending->op = op;
    pending->kind = kind;
    event_init(&pending->event, ring->world, pending_happens);
    list_init(&pending->node);
    list_init(&pending->disk.node);
    list_init(&pending->net.node);
    list_push_back(&ring->pending, &pending->node);
    op_begin(ring, op, state);
    op->data = pending;
    return pending;
}

static void name_call(struct op *op, const struct disk_call *call)
{
    op->code = (uint8_t)(CODE_DISK + call->kind);
    op->fd = call->fd;
}

/* At once, or its effect at once and its answer later, or both later. */
static void start_disk(struct ring *ring, struct op *op, const struct disk_call *call)
{
    struct dice *dice = &ring->world->order;
    struct pending *pending;
    struct disk_call now = *call;

    list_init(&now.node);
    if (dice_permille(dice, 500)) {
        op_ready(ring, op, disk_do(ring->world->disk, &now));
        name_call(op, call);
        return;
    }
    pending = pending_create(ring, op, PENDING_DISK, OP_KERNEL);
    name_call(op, call);
    pending->disk = *call;
    list_init(&pending->disk.node);
    list_push_back(&ring->world->disk_calls, &pending->disk.node);
    if (dice_permille(dice, 300))
        carry_out(pending);
    event_start(&pending->event, some_ns(ring->world));
}

static void start_net(struct ring *ring, struct op *op, const struct net_call *call)
{
    struct pending *pending = pending_create(ring, op, PENDING_NET, OP_KERNEL);

    pending->net = *call;
    list_init(&pending->net.node);
    pending->net.done = net_done;
    net_start(ring->world->net, &pending->net);
}

/* Names and descriptors are worked on at once in the real ring: nobody can break that off. */
static bool can_break_off(const struct disk_call *call)
{
    return call->kind == DISK_WRITE || call->kind == DISK_READ || call->kind == DISK_SYNC ||
           call->kind == DISK_ALLOCATE || call->kind == DISK_SYNC_DIRECTORY;
}

static void break_off(struct pending *pending)
{
    struct disk_call *call = &pending->disk;
    struct dice *dice = &pending->ring->world->order;

    if (pending->carried_out || pending->cancelled || !can_break_off(call) ||
        dice_permille(dice, 500))
        return;
    if (call->kind == DISK_WRITE && !call->flag && dice_permille(dice, 500)) {
        struct disk_call part = *call;

        list_init(&part.node);
        part.len = (size_t)dice_below(dice, call->len);
        (void)disk_do(pending->ring->world->disk, &part);
    }
    list_remove(&call->node);
    pending->cancelled = true;
    pending->res = -ECANCELED;
    event_start(&pending->event, some_ns(pending->ring->world));
}

void ring_cancel(struct ring *ring, struct op *op)
{
    struct pending *pending = op->data;

    op->stop = true;
    if (op->state != OP_KERNEL || pending->answered)
        return;
    if (pending->kind == PENDING_DISK)
        break_off(pending);
    else
        net_cancel(ring->world->net, &pending->net, dice_permille(&ring->world->order, 700));
}

/* --- the turn -------------------------------------------------------------------------------- */

static struct list *node_at(struct list *head, size_t index)
{
    struct list *node = head->next;

    while (index-- > 0)
        node = node->next;
    return node;
}

/* In any order, and as many passes as the real ring allows. */
static void end_ready(struct ring *ring)
{
    struct dice *dice = &ring->world->order;

    for (int pass = 0; pass < READY_PASSES && list_is_linked(&ring->ready); pass++) {
        struct list batch;
        size_t count = 0;

        list_init(&batch);
        list_move_all(&ring->ready, &batch);
        for (struct list *node = batch.next; node != &batch; node = node->next)
            count++;
        for (; count > 0; count--) {
            struct list *node = node_at(&batch, (size_t)dice_below(dice, count));
            struct op *op = LIST_ITEM(node, struct op, node);

            list_remove(node);
            op_end(ring, op, op->res);
        }
    }
}

/* Those that have come, in any order; now and then the rest comes in the next turn. */
static void end_answered(struct ring *ring)
{
    struct dice *dice = &ring->world->order;
    size_t count = ring->answered_count;

    if (count > 1 && dice_permille(dice, 300))
        count = (size_t)dice_between(dice, 1, count);
    for (; count > 0; count--) {
        struct list *node =
            node_at(&ring->answered, (size_t)dice_below(dice, ring->answered_count));
        struct pending *pending = LIST_ITEM(node, struct pending, node);
        struct op *op = pending->op;
        int res = pending->res;

        list_remove(node);
        ring->answered_count--;
        free(pending);
        op_end(ring, op, res);
        if (dice_permille(dice, 700))
            end_ready(ring);
    }
}

static uint64_t wait_until_ns(struct ring *ring, uint64_t until_ns)
{
    uint64_t next_ns = world_next_ns(ring->world);
    uint64_t timer_ns = wheel_next_ns(&ring->wheel);

    if (list_is_linked(&ring->ready) || ring->answered_count > 0 || ring->woken)
        return 0;
    if (timer_ns < until_ns)
        until_ns = timer_ns;
    if (next_ns < until_ns)
        until_ns = next_ns;
    if (until_ns == UINT64_MAX)
        world_fail(ring->world, "the loop waits for something that will never come");
    return until_ns;
}

/* An engine that spins does not let time go on. */
static void check_progress(struct ring *ring, bool idle)
{
    struct world *world = ring->world;

    if (ring->turned_ns != world->now_ns)
        ring->turns = 0;
    ring->turned_ns = world->now_ns;
    if (++ring->turns > TURNS_AT_ONCE_MAX)
        world_fail(world, "%d turns of the loop, and no time goes by", TURNS_AT_ONCE_MAX);
    if (!idle)
        ring->busy_ns = world->now_ns;
    if (world->now_ns - ring->busy_ns > IDLE_S_MAX * (uint64_t)NS_PER_S)
        world_fail(world, "nothing happens any more, and the engine is not done");
    world->idle_turns = idle && ring->turns > 1 ? world->idle_turns + 1 : 0;
    if (world->idle_turns > IDLE_TURNS_MAX)
        world_fail(world, "%d turns of the loop in which nothing happens", IDLE_TURNS_MAX);
}

int ring_turn(struct ring *ring, uint64_t until_ns)
{
    uint64_t happened = ring->world->happened;
    bool idle;

    CHECK(!ring->turning);
    ring->turning = true;
    world_go_on(ring->world, wait_until_ns(ring, until_ns));
    idle = happened == ring->world->happened && !list_is_linked(&ring->ready) &&
           ring->answered_count == 0 && wheel_next_ns(&ring->wheel) > ring->world->now_ns;
    ring->woken = false;
    end_answered(ring);
    end_ready(ring);
    wheel_advance(&ring->wheel, ring->world->now_ns);
    check_progress(ring, idle);
    ring->turning = false;
    return 0;
}

/* --- requests without kernel ----------------------------------------------------------------- */

void ring_later(struct ring *ring, struct op *op)
{
    op_ready(ring, op, 0);
}

void ring_yield(struct ring *ring, struct op *op)
{
    op_ready(ring, op, 0);
}

void ring_offload(struct ring *ring, struct op *op, int (*work)(struct op *op))
{
    struct pending *pending = pending_create(ring, op, PENDING_WORK, OP_HELPER);

    op->work = work;
    if (dice_permille(&ring->world->order, 300))
        carry_out(pending);
    event_start(&pending->event, some_ns(ring->world));
}

/* --- sockets --------------------------------------------------------------------------------- */

int ring_socket(struct ring *ring, int family)
{
    struct world *world = ring->world;

    (void)family;
    if (dice_permille(&world->order, world->faults.descriptors))
        return dice_permille(&world->order, 700) ? -EMFILE : -ENOBUFS;
    return net_socket(world->net);
}

/* Nobody asks where connections start from. */
int ring_bind(struct ring *ring, int fd, const struct address *address)
{
    (void)ring;
    (void)fd;
    (void)address;
    return -EOPNOTSUPP;
}

int ring_bind_device(struct ring *ring, int fd, const char *name)
{
    (void)ring;
    (void)fd;
    (void)name;
    return -EOPNOTSUPP;
}

int ring_interface(struct ring *ring, const char *name, struct address *v4, struct address *v6)
{
    (void)ring;
    (void)name;
    (void)v4;
    (void)v6;
    return -ENODEV;
}

void ring_connect(struct ring *ring, struct op *op, int fd, const struct address *address)
{
    start_net(ring, op, &(struct net_call){.kind = NET_CONNECT, .fd = fd, .address = address});
}

void ring_recv(struct ring *ring, struct op *op, int fd, void *buffer, size_t len)
{
    CHECK(len > 0);
    start_net(ring, op, &(struct net_call){.kind = NET_RECV, .fd = fd, .data = buffer, .len = len});
}

void ring_recv_ready(struct ring *ring, struct op *op, int fd, void *buffer, size_t len)
{
    int res = net_take(ring->world->net, fd, buffer, len);

    if (res == -EAGAIN)
        ring_recv(ring, op, fd, buffer, len);
    else
        op_ready(ring, op, res);
}

void ring_send(struct ring *ring, struct op *op, int fd, const void *data, size_t len)
{
    start_net(ring, op,
              &(struct net_call){
                  .kind = NET_SEND, .fd = fd, .data = (void *)(uintptr_t)data, .len = len});
}

void ring_poll(struct ring *ring, struct op *op, int fd, short events)
{
    (void)events; /* only ever for reading */
    start_net(ring, op, &(struct net_call){.kind = NET_POLL, .fd = fd});
}

enum ring_socket_look ring_look(struct ring *ring, int fd)
{
    return net_look(ring->world->net, fd);
}

/* Requests on it that are not over: of the disk. Sockets look after theirs. */
static void check_unused(struct ring *ring, int fd)
{
    for (struct list *node = ring->pending.next; node != &ring->pending; node = node->next) {
        const struct pending *pending = LIST_ITEM(node, struct pending, node);

        if ((pending->kind == PENDING_DISK && pending->disk.fd == fd) ||
            (pending->kind == PENDING_NET && pending->net.fd == fd))
            world_fail(ring->world, "descriptor %d is closed with a request under way", fd);
    }
}

int ring_flush(struct ring *ring, int fd)
{
    return disk_flush(ring->world->disk, fd);
}

int ring_close(struct ring *ring, int fd)
{
    check_unused(ring, fd);
    if (net_has(ring->world->net, fd))
        net_close(ring->world->net, fd);
    else
        return disk_close(ring->world->disk, fd);
    return 0;
}

/* --- files ----------------------------------------------------------------------------------- */

void ring_open_directory(struct ring *ring, struct op *op, const struct ring_place *place)
{
    start_disk(ring, op,
               &(struct disk_call){.kind = DISK_OPEN_DIRECTORY,
                                   .name = place->root,
                                   .below = place->below,
                                   .flag = place->make});
}

void ring_claim(struct ring *ring, struct op *op, int directory, const char *name,
                enum ring_claim claim)
{
    start_disk(
        ring, op,
        &(struct disk_call){
            .kind = DISK_CLAIM, .fd = directory, .name = name, .flag = claim == RING_CLAIM_NEW});
}

void ring_unlock(struct ring *ring, int fd)
{
    disk_unlock(ring->world->disk, fd);
}

void ring_write(struct ring *ring, struct op *op, int fd, enum ring_write_way way, const void *data,
                size_t len, uint64_t offset)
{
    CHECK(len > 0);
    start_disk(ring, op,
               &(struct disk_call){.kind = DISK_WRITE,
                                   .fd = fd,
                                   .data = (void *)(uintptr_t)data,
                                   .len = len,
                                   .offset = offset,
                                   .flag = way == RING_WRITE_DIRECT});
}

void ring_read(struct ring *ring, struct op *op, int fd, void *buffer, size_t len, uint64_t offset)
{
    CHECK(len > 0);
    start_disk(ring, op,
               &(struct disk_call){
                   .kind = DISK_READ, .fd = fd, .data = buffer, .len = len, .offset = offset});
}

void ring_write_stream(struct ring *ring, struct op *op, int fd, const void *data, size_t len)
{
    (void)fd;
    (void)data;
    op_ready(ring, op, (int)len);
}

void ring_open_direct(struct ring *ring, struct op *op, int fd, bool even_if_unsure)
{
    (void)even_if_unsure;
    start_disk(ring, op, &(struct disk_call){.kind = DISK_OPEN_DIRECT, .fd = fd});
}

void ring_allocate(struct ring *ring, struct op *op, int fd, uint64_t len, bool zeros)
{
    (void)zeros;
    start_disk(ring, op, &(struct disk_call){.kind = DISK_ALLOCATE, .fd = fd, .offset = len});
}

void ring_truncate(struct ring *ring, struct op *op, int fd, uint64_t len)
{
    start_disk(ring, op, &(struct disk_call){.kind = DISK_TRUNCATE, .fd = fd, .offset = len});
}

void ring_sync(struct ring *ring, struct op *op, int fd)
{
    start_disk(ring, op, &(struct disk_call){.kind = DISK_SYNC, .fd = fd});
}

void ring_sync_directory(struct ring *ring, struct op *op, int directory)
{
    start_disk(ring, op, &(struct disk_call){.kind = DISK_SYNC_DIRECTORY, .fd = directory});
}

void ring_rename(struct ring *ring, struct op *op, int directory, const char *from, const char *to,
                 bool replace)
{
    start_disk(ring, op,
               &(struct disk_call){
                   .kind = DISK_RENAME, .fd = directory, .name = from, .to = to, .flag = replace});
}

void ring_unlink(struct ring *ring, struct op *op, int directory, const char *name)
{
    start_disk(ring, op, &(struct disk_call){.kind = DISK_UNLINK, .fd = directory, .name = name});
}

void ring_exists(struct ring *ring, struct op *op, int directory, const char *name)
{
    start_disk(ring, op, &(struct disk_call){.kind = DISK_EXISTS, .fd = directory, .name = name});
}

void ring_facts(struct ring *ring, struct op *op, int fd, struct ring_facts *facts)
{
    start_disk(ring, op, &(struct disk_call){.kind = DISK_FACTS, .fd = fd, .facts = facts});
}

void ring_look_up(struct ring *ring, struct op *op, int directory, const char *name,
                  const char *attribute, struct ring_standing *standing)
{
    (void)attribute; /* this file system has none */
    *standing = (struct ring_standing){.regular = false};
    start_disk(ring, op,
               &(struct disk_call){
                   .kind = DISK_EXISTS, .fd = directory, .name = name, .standing = standing});
}

int64_t ring_file_clock_ns(const struct ring *ring)
{
    return (int64_t)ring->world->now_ns + 1; /* what is there is older */
}

void ring_file_clock_pass(const struct ring *ring)
{
    (void)ring;
}

int ring_set_modified(struct ring *ring, int fd, int64_t modified_s)
{
    (void)ring;
    (void)fd;
    (void)modified_s;
    return 0;
}

int ring_set_attribute(struct ring *ring, int fd, const char *attribute, struct span value)
{
    (void)ring;
    (void)fd;
    (void)attribute;
    (void)value;
    return -EOPNOTSUPP;
}

void ring_list(struct ring *ring, struct op *op, int directory, const struct ring_listing *listing)
{
    (void)directory;
    (void)listing;
    ring_later(ring, op);
}
