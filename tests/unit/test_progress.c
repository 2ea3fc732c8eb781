/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Drawn on a pseudo-terminal, whose other end is a small screen of our own. */
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/wheel.h"
#include "cli/format.h"
#include "cli/progress.h"

static const uint64_t start_ns = 1000 * NS_PER_S;

static void test_meter(void **state)
{
    struct meter meter = {0};
    uint64_t now = start_ns;
    uint64_t count = 5000000; /* there before: not a rate */

    (void)state;
    meter_update(&meter, now, count);
    assert_int_equal(meter_rate(&meter), 0);
    /* Too soon to tell. */
    meter_update(&meter, now + 1000, count + 1000000);
    assert_int_equal(meter_rate(&meter), 0);
    for (int i = 0; i < 100; i++) {
        now += 100 * NS_PER_MS;
        count += 100000;
        meter_update(&meter, now, count);
        assert_in_range(meter_rate(&meter), 999999, 1000001);
    }
    /* A stop is seen within seconds, but not as a jump. */
    now += 100 * NS_PER_MS;
    meter_update(&meter, now, count);
    assert_in_range(meter_rate(&meter), 900000, 999999);
    for (int i = 0; i < 100; i++) {
        now += 100 * NS_PER_MS;
        meter_update(&meter, now, count);
    }
    assert_in_range(meter_rate(&meter), 0, 100000);
    /* Starting over is no rate at all. */
    meter_update(&meter, now + NS_PER_S, 0);
    assert_in_range(meter_rate(&meter), 0, 100000);
    meter_update(&meter, now - NS_PER_S, 10);
    assert_int_equal(meter_rate(&meter), 0);
}

static void expect_row(struct progress_row row, size_t columns, const char *expected)
{
    struct text text = {0};

    progress_format_row(&text, &row, columns);
    assert_span(text_span(&text), expected);
    assert_true(format_cells(text_span(&text)) <= columns);
    text_free(&text);
}

static void test_rows(void **state)
{
    struct progress_row row = {
        .name = SPAN("a.jpg"), .bytes = 512 * 1024, .total = 1024 * 1024, .rate = 100 * 1024};

    (void)state;
    expect_row(row, 79,
               "a.jpg                       50%   512.0 KiB of    1.0 MiB   100.0 KiB/s      5s");
    expect_row(row, 60, "a.jpg                          50%   512.0 KiB   100.0 KiB/s");
    expect_row(row, 30, "a.jpg                      50%");
    expect_row(row, 8, "a.jpg");
    expect_row(row, 3, "a.\u2026");
    expect_row(row, 0, "");
    row.total = UINT64_MAX;
    expect_row(row, 79,
               "a.jpg                             512.0 KiB                 100.0 KiB/s        ");
    row.total = 0;
    row.bytes = 0;
    row.rate = 0;
    expect_row(row, 30, "a.jpg                     100%");
    row.name = SPAN("\x1b[2J\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e");
    expect_row(row, 30, "\\x1b[2J\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e\u65e5\u672c\u2026  100%");
}

static void test_rows_never_exceed_their_width(void **state)
{
    uint64_t seed = 42;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char name[24];
        struct progress_row row;
        struct text text = {0};
        size_t columns = unit_random(&seed) % 130;

        for (size_t j = 0; j < sizeof(name); j++)
            name[j] = (char)unit_random(&seed);
        row = (struct progress_row){.name = span_make(name, unit_random(&seed) % sizeof(name)),
                                    .bytes = unit_random(&seed) >> (unit_random(&seed) % 64),
                                    .total = unit_random(&seed) >> (unit_random(&seed) % 64),
                                    .rate = unit_random(&seed) >> (unit_random(&seed) % 64)};
        progress_format_row(&text, &row, columns);
        assert_true(format_cells(text_span(&text)) <= columns);
        text_free(&text);
    }
}

static void expect_sum(const struct progress_sum *sum, size_t columns, const char *expected)
{
    struct text text = {0};

    progress_format_sum(&text, sum, columns);
    assert_span(text_span(&text), expected);
    text_free(&text);
}

static void test_sums(void **state)
{
    struct progress_sum sum = {
        .stats = {.done = 12, .active = 3, .waiting = 4, .bytes = UINT64_C(3) << 30},
        .rate = 10 << 20,
        .seconds_left = UINT64_MAX};

    (void)state;
    expect_sum(&sum, 80, "12 done, 7+ left  3.0 GiB  10.0 MiB/s");
    sum.stats.source_ended = true;
    sum.stats.failed = 2;
    sum.stats.paused_hosts = 1;
    sum.seconds_left = 65;
    expect_sum(&sum, 80,
               "12 done, 2 failed, 7 left  3.0 GiB  10.0 MiB/s  1m05s left  (1 server "
               "paused)");
    expect_sum(&sum, 20, "12 done, 2 failed, \u2026");
}

enum { SCREEN_ROWS = 40, SCREEN_COLUMNS = 100 };

/* What a terminal does with the few sequences that are used. */
struct screen {
    int master;
    int slave;
    size_t rows;
    size_t columns;
    size_t row;
    size_t column;
    size_t reads;
    bool wraps;
    char cells[SCREEN_ROWS][SCREEN_COLUMNS][5]; /* a character each; "" blank */
};

static void screen_open(struct screen *s, unsigned short rows, unsigned short columns)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    char name[64];

    *s = (struct screen){.rows = rows, .columns = columns, .wraps = true};
    s->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(s->master >= 0);
    assert_int_equal(grantpt(s->master), 0);
    assert_int_equal(unlockpt(s->master), 0);
    assert_int_equal(ptsname_r(s->master, name, sizeof(name)), 0);
    s->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(s->slave >= 0);
    assert_int_equal(ioctl(s->slave, TIOCSWINSZ, &size), 0);
}

static void screen_close(struct screen *s)
{
    close(s->master);
    close(s->slave);
}

static void screen_down(struct screen *s)
{
    if (++s->row < s->rows)
        return;
    s->row--;
    memmove(s->cells[0], s->cells[1], sizeof(s->cells[0]) * (s->rows - 1));
    memset(s->cells[s->rows - 1], 0, sizeof(s->cells[0]));
}

static void screen_put(struct screen *s, struct span character)
{
    size_t cells = format_cells(character);

    if (s->column + cells > s->columns) {
        /* The block must never come to the last column. */
        assert_true(s->wraps);
        s->column = 0;
        screen_down(s);
    }
    assert_true(character.len < sizeof(s->cells[0][0]));
    memcpy(s->cells[s->row][s->column], character.data, character.len);
    s->cells[s->row][s->column][character.len] = '\0';
    s->column += cells;
}

static void screen_erase(struct screen *s, bool below)
{
    for (size_t i = s->column; i < s->columns; i++)
        s->cells[s->row][i][0] = '\0';
    for (size_t i = s->row + 1; below && i < s->rows; i++)
        memset(s->cells[i], 0, sizeof(s->cells[i]));
}

/* Behind "ESC [": a number, then a letter. */
static void screen_control(struct screen *s, struct span *rest)
{
    size_t number = 0;
    bool private = rest->data[0] == '?';
    char letter;

    if (private)
        *rest = span_sub(*rest, 1, rest->len);
    while (rest->data[0] >= '0' && rest->data[0] <= '9') {
        number = number * 10 + (size_t)(rest->data[0] - '0');
        *rest = span_sub(*rest, 1, rest->len);
    }
    letter = rest->data[0];
    *rest = span_sub(*rest, 1, rest->len);
    if (private) {
        assert_int_equal(number, 7);
        s->wraps = letter == 'h';
    } else if (letter == 'A') {
        s->row = number < s->row ? s->row - number : 0;
    } else if (letter == 'J' || letter == 'K') {
        screen_erase(s, letter == 'J');
    } else {
        assert_int_equal(letter, 'm');
    }
}

static void screen_feed(struct screen *s, struct span rest)
{
    while (rest.len > 0) {
        struct span character = span_sub(rest, 0, text_utf8_length(rest));

        rest = span_sub(rest, character.len, rest.len);
        if (character.data[0] == '\r')
            s->column = 0;
        else if (character.data[0] == '\n')
            screen_down(s);
        else if (character.data[0] != '\x1b')
            screen_put(s, character);
        else {
            assert_int_equal(rest.data[0], '[');
            rest = span_sub(rest, 1, rest.len);
            screen_control(s, &rest);
        }
    }
}

static void screen_read(struct screen *s)
{
    static char bytes[256 * 1024];
    struct pollfd ready = {.fd = s->master, .events = POLLIN};
    size_t len = 0;

    while (poll(&ready, 1, 0) == 1) {
        ssize_t got = read(s->master, bytes + len, sizeof(bytes) - len);

        assert_true(got > 0);
        len += (size_t)got;
    }
    s->reads += len > 0;
    screen_feed(s, span_make(bytes, len));
    assert_true(s->wraps);
}

static void expect_screen_row(struct screen *s, size_t row, const char *expected)
{
    struct text text = {0};
    struct span line;

    for (size_t i = 0; i < s->columns; i++) {
        const char *cell = s->cells[row][i];

        text_add(&text, cell[0] == '\0' ? SPAN(" ") : span_of(cell));
        if (format_cells(span_of(cell)) == 2)
            i++;
    }
    line = text_span(&text);
    while (line.len > 0 && line.data[line.len - 1] == ' ')
        line.len--;
    assert_span(line, expected);
    text_free(&text);
}

static void draw(struct progress *p, uint64_t now, size_t active)
{
    struct haul_stats stats = {.active = active, .source_ended = true};

    progress_begin(p, now, &stats);
    for (size_t i = 0; i < active; i++) {
        char name[32];
        struct haul_progress download = {.shown_url = "http://h/", .total = 200, .bytes = 100};

        snprintf(name, sizeof(name), "file%zu", i);
        download.name = i == 1 ? "" : name;
        progress_add(p, &download, NULL);
    }
    progress_draw(p, &stats);
}

static void test_the_block_is_drawn_over_again(void **state)
{
    struct progress p;
    struct screen s;

    (void)state;
    screen_open(&s, 10, 41);
    progress_init(&p, s.slave, false);
    assert_true(progress_due(&p, start_ns));
    for (uint64_t i = 0; i < 3; i++) {
        draw(&p, start_ns + i * 100 * NS_PER_MS, 2);
        screen_read(&s);
        expect_screen_row(&s, 0, "file0                                50%");
        expect_screen_row(&s, 1, "http://h/                            50%");
        expect_screen_row(&s, 2, "0 done, 2 left  0 B  0 B/s");
        expect_screen_row(&s, 3, "");
    }
    assert_false(progress_due(&p, start_ns + 299 * NS_PER_MS));
    assert_true(progress_due(&p, start_ns + 300 * NS_PER_MS));
    /* Each turn is one write, which a terminal takes whole. */
    assert_int_equal(s.reads, 3);
    progress_say(&p, SPAN("done: a"));
    progress_say(&p, SPAN("done: b, whose name is so long that it takes two rows"));
    draw(&p, start_ns + NS_PER_S, 1);
    screen_read(&s);
    assert_int_equal(s.reads, 4);
    expect_screen_row(&s, 0, "done: a");
    expect_screen_row(&s, 1, "done: b, whose name is so long that it ta");
    expect_screen_row(&s, 2, "kes two rows");
    expect_screen_row(&s, 3, "file0                                50%");
    expect_screen_row(&s, 4, "0 done, 1 left  0 B  0 B/s");
    expect_screen_row(&s, 5, "");
    progress_say(&p, SPAN("the end"));
    progress_end(&p);
    screen_read(&s);
    expect_screen_row(&s, 2, "kes two rows");
    expect_screen_row(&s, 3, "the end");
    expect_screen_row(&s, 4, "");
    screen_close(&s);
}

static void test_more_downloads_than_rows(void **state)
{
    struct progress p;
    struct screen s;

    (void)state;
    screen_open(&s, 6, 41);
    progress_init(&p, s.slave, false);
    for (uint64_t i = 0; i < 3; i++) {
        draw(&p, start_ns + i, 100);
        screen_read(&s);
        expect_screen_row(&s, 0, "file0                                50%");
        expect_screen_row(&s, 2, "file2                                50%");
        expect_screen_row(&s, 3, "... and 97 more");
        expect_screen_row(&s, 4, "0 done, 100 left  0 B  0 B/s");
        expect_screen_row(&s, 5, "");
    }
    /* All fit exactly. */
    draw(&p, start_ns + 10, 4);
    screen_read(&s);
    expect_screen_row(&s, 3, "file3                                50%");
    expect_screen_row(&s, 4, "0 done, 4 left  0 B  0 B/s");
    progress_end(&p);
    screen_close(&s);
}

static void test_windows_of_all_sizes(void **state)
{
    (void)state;
    for (unsigned short rows = 1; rows < 9; rows++) {
        for (unsigned short columns = 1; columns < 90; columns++) {
            struct progress p;
            struct screen s;

            screen_open(&s, rows, columns);
            progress_init(&p, s.slave, true);
            for (size_t active = 0; active < 12; active++) {
                draw(&p, start_ns + active, active);
                screen_read(&s);
                assert_true(s.row + 1 < rows || rows == 1);
            }
            progress_end(&p);
            screen_read(&s);
            for (size_t i = 0; i < rows; i++)
                expect_screen_row(&s, i, "");
            screen_close(&s);
        }
    }
}

static void test_a_narrower_window(void **state)
{
    struct winsize narrow = {.ws_row = 10, .ws_col = 20};
    struct progress p;
    struct screen s;

    (void)state;
    screen_open(&s, 10, 40);
    progress_init(&p, s.slave, false);
    progress_say(&p, SPAN("stays"));
    draw(&p, start_ns, 2);
    screen_read(&s);
    /* The terminal wraps what stood there: 39, 39 and 26 columns make 2 rows each. */
    s.columns = 20;
    memset(s.cells[1], 0, sizeof(s.cells) - sizeof(s.cells[0]));
    s.row = 6;
    s.column = 6;
    assert_int_equal(ioctl(s.slave, TIOCSWINSZ, &narrow), 0);
    draw(&p, start_ns + 1, 2);
    screen_read(&s);
    expect_screen_row(&s, 0, "stays");
    expect_screen_row(&s, 1, "file0           50%");
    screen_close(&s);
    progress_end(&p);
}

static void test_lines_that_stay_are_written_when_there_are_many(void **state)
{
    struct progress p;
    int fds[2];
    char buffer[128 * 1024];
    ssize_t got;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, 1024 * 1024) > 0);
    progress_init(&p, fds[1], false);
    for (int i = 0; i < 10000; i++)
        progress_say(&p, SPAN("0123456789"));
    assert_true(p.output.lines.len <= 64 * 1024);
    progress_end(&p);
    got = 0;
    for (ssize_t more; (more = read(fds[0], buffer, sizeof(buffer))) > 0;)
        got += more;
    assert_int_equal(got, 110000);
    close(fds[0]);
    close(fds[1]);
}

/* The lines that stay don't wait for room that never comes. */
static void test_a_window_of_one_row(void **state)
{
    struct progress p;
    struct screen s;

    (void)state;
    screen_open(&s, 1, 40);
    progress_init(&p, s.slave, false);
    progress_say(&p, SPAN("failed: a"));
    draw(&p, start_ns, 2);
    assert_int_equal(p.output.lines.len, 0);
    screen_read(&s);
    assert_int_equal(s.reads, 1);
    progress_end(&p);
    screen_close(&s);
}

/* All that the terminal has to give. */
static void read_all(int master, struct text *text)
{
    char buffer[4096];
    struct pollfd ready = {.fd = master, .events = POLLIN};

    while (poll(&ready, 1, 100) == 1) {
        ssize_t got = read(master, buffer, sizeof(buffer));

        if (got <= 0)
            break;
        text_add(text, span_make(buffer, (size_t)got));
    }
}

/* Nobody reads it, as if it were stopped with ^S: what is said must not wait, nor fill memory. */
static void test_a_terminal_that_takes_nothing(void **state)
{
    struct text text = {0};
    struct progress p;
    struct screen s;

    (void)state;
    screen_open(&s, 10, 40);
    progress_init(&p, s.slave, false);
    for (uint64_t i = 0; i < 50000; i++) {
        char line[32];

        snprintf(line, sizeof(line), "line %llu", (unsigned long long)i);
        progress_say(&p, span_of(line));
        if (i % 10 == 0)
            draw(&p, start_ns + i, 2);
        assert_true(p.output.lines.len <= 64 * 1024);
        assert_true(p.output.rest.len <= 80 * 1024);
    }
    progress_say(&p, SPAN("the last"));
    assert_int_equal(fcntl(s.slave, F_GETFL) & O_NONBLOCK, 0);
    read_all(s.master, &text);
    for (uint64_t i = 0; i < 50; i++) {
        draw(&p, start_ns + NS_PER_S + i, 2);
        read_all(s.master, &text);
        if (p.output.lines.len == 0 && p.output.rest.len == 0)
            break;
    }
    assert_non_null(strstr(text_span(&text).data, "line 0\r\n"));
    assert_non_null(strstr(text_span(&text).data, " lines left out\r\n"));
    assert_non_null(strstr(text_span(&text).data, "line 49999\r\nthe last\r\n"));
    text_free(&text);
    progress_end(&p);
    screen_close(&s);
}

static void test_a_terminal_that_is_gone(void **state)
{
    struct progress p;
    struct screen s;

    (void)state;
    screen_open(&s, 10, 40);
    progress_init(&p, s.slave, false);
    draw(&p, start_ns, 2);
    close(s.master);
    draw(&p, start_ns + NS_PER_S, 2);
    draw(&p, start_ns + 2 * NS_PER_S, 2);
    assert_false(progress_due(&p, start_ns + 3 * NS_PER_S));
    progress_say(&p, SPAN("unheard"));
    progress_end(&p);
    close(s.slave);
}

static void test_time_left(void **state)
{
    struct haul_stats stats = {.active = 1, .source_ended = true};
    struct haul_progress download = {.shown_url = "", .name = "a", .total = 20000000};
    struct progress p;
    struct screen s;

    (void)state;
    screen_open(&s, 10, 90);
    progress_init(&p, s.slave, false);
    for (uint64_t i = 0; i <= 100; i++) {
        stats.bytes = download.bytes = i * 100000;
        progress_begin(&p, start_ns + i * 100 * NS_PER_MS, &stats);
        progress_add(&p, &download, NULL);
        progress_draw(&p, &stats);
        screen_read(&s);
    }
    expect_screen_row(&s, 1, "0 done, 1 left  9.5 MiB  976.6 KiB/s  10s left");
    /* One more of unknown length, but none is done: no way to tell. */
    stats.waiting = 1;
    progress_begin(&p, p.now_ns + 1, &stats);
    progress_add(&p, &download, NULL);
    progress_draw(&p, &stats);
    screen_read(&s);
    expect_screen_row(&s, 1, "0 done, 2 left  9.5 MiB  976.6 KiB/s");
    /* It is taken to be like the ones before. */
    stats.done = 2;
    progress_begin(&p, p.now_ns + 1, &stats);
    progress_add(&p, &download, NULL);
    progress_draw(&p, &stats);
    screen_read(&s);
    expect_screen_row(&s, 1, "2 done, 2 left  9.5 MiB  976.6 KiB/s  15s left");
    stats.source_ended = false;
    progress_begin(&p, p.now_ns + 1, &stats);
    progress_draw(&p, &stats);
    screen_read(&s);
    expect_screen_row(&s, 0, "2 done, 2+ left  9.5 MiB  976.6 KiB/s");
    progress_end(&p);
    screen_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meter),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_never_exceed_their_width),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_the_block_is_drawn_over_again),
        cmocka_unit_test(test_more_downloads_than_rows),
        cmocka_unit_test(test_windows_of_all_sizes),
        cmocka_unit_test(test_a_narrower_window),
        cmocka_unit_test(test_lines_that_stay_are_written_when_there_are_many),
        cmocka_unit_test(test_a_window_of_one_row),
        cmocka_unit_test(test_a_terminal_that_takes_nothing),
        cmocka_unit_test(test_a_terminal_that_is_gone),
        cmocka_unit_test(test_time_left),
    };

    return UNIT_RUN(tests);
}
