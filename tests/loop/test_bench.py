# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench itself: its verdicts, its chart, and a run of it that is too small to mean anything."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import measure  # noqa: E402
import works  # noqa: E402
from works import Bar, Row, Work  # noqa: E402


def measured(tool, strategy="x", cpu=None, wall=None, **more):
    """A row with three runs whose medians are these."""
    runs = {name: [{**more, name: value * factor} for factor in (0.5, 1, 3)]
            for name, value in (("cpu", cpu), ("wall", wall)) if value is not None}
    row = Row(tool, strategy, **({"floor": "floor, least"} if tool == "haul" else {}))
    return {"name": row.name, "tool": tool, "strategy": strategy, "floor": row.floor, "against": "", "runs": runs}


ROWS = [measured("haul", cpu=0.6, wall=1.2), measured("curl", cpu=1.0, wall=3.0), measured("wget2", cpu=2.0, wall=2.0),
        measured("floor", "least", cpu=0.5)]


@pytest.mark.parametrize("bar, ratio, base, met", [
    (Bar("haul, x", "cpu", 0.6), 0.6, "curl, x", True),
    (Bar("haul, x", "cpu", 0.59), 0.6, "curl, x", False),
    (Bar("haul, x", "wall", 0.61), 0.6, "wget2, x", True),
    (Bar("haul, x", "cpu", 1.1, "floor, least"), 1.2, "floor, least", False),
    (Bar("haul, x", "wall", 1.05, "floor, least", most=1.3), None, None, True),
    (Bar("haul, x", "wall", 1.05, "floor, least", most=1.1), None, None, None),
    (Bar("haul, x", "wall", most=1.1), None, None, False),
    (Bar("haul, y", "cpu", 0.6), None, "curl, x", None),
])
def test_bars(bar, ratio, base, met):
    verdict = works.judge(bar, ROWS)
    assert verdict["ratio"] == (ratio and pytest.approx(ratio))
    assert (verdict["base"], verdict["met"]) == (base, met)


def test_every_bar_names_rows_that_there_are():
    for work in works.all_works().values():
        names = {row.name for row in work.rows}
        assert len(names) == len(work.rows)
        for bar in work.bars:
            assert {bar.row, bar.against or bar.row} <= names and bar.metric in works.METRICS
        assert {name for row in work.rows for name in (row.floor, row.against)} <= names | {""}


def test_files_of_one_content():
    work = Work("", "http", 1000, 1, 1, (), (), same=True, prefix="k")
    assert work.names()[7] == "k007.bin"
    assert (work.source("k007.bin"), work.path("k007.bin")) == ("k.bin", "/same/k/k007.bin")


def test_strace_summary():
    report = "    calls syscall\n--------- ----------------\n       12 recvfrom\n        3 io_uring_enter\n--- ---\n       15 total\n"
    assert measure.parse_calls(report) == {"recvfrom": 12, "io_uring_enter": 3}


@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="the CPU pass wants two cores")
def test_a_small_run(tmp_path):
    """Rows of haul, curl and the floor; every figure is there, the chart is drawn from them."""
    haul = os.environ.get("HAUL_RELEASE")
    if not haul:
        pytest.skip("the bench is for released builds: HAUL_RELEASE")
    results, chart = tmp_path / "results.json", tmp_path / "chart.svg"
    ended = subprocess.run([BENCH / "peers", "--scale", "64", "--rounds", "1", "--works", "small", "--haul", haul,
                            "--tools", "haul,curl,floor", "--dir", tmp_path, "--json", results, "--chart", chart],
                           capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads(results.read_text())
    assert [work["name"] for work in result["works"]] == ["small"]
    small = {row["name"]: row for row in result["works"][0]["rows"]}
    own = "haul, default (--direct=auto)"
    assert set(small) == {own, "curl, page cache", "floor, openat and write, page cache",
                          "floor, openat, write and rename, page cache"}
    for row in small.values():
        assert all(row["medians"][metric] > 0 for metric in ("wall", "synced", "cpu", "memory")), row
        assert row["medians"]["synced"] >= row["medians"]["wall"]
        assert row["calls"]["per"] == "file" and row["calls"]["count"] > 1
    assert all(bar["met"] is not None for bar in result["works"][0]["bars"])
    texts = [text.text for text in tree.parse(chart).iter("{http://www.w3.org/2000/svg}text")]
    ratio = small[own]["compare"]["cpu"]["ratio"]
    assert f"{ratio:.2f} x curl" in texts and not list(tmp_path.glob("haul-peers-*"))
