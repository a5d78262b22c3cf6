"""MicroJam's format: what its client sends is read, and what it gets is what it can read."""

from __future__ import annotations

import random

import numpy as np
import pytest

from robojam.web.api_types import InvalidError
from robojam.web.microjam import read_performance, write_answer

HEADER = "time,x,y,z,moving\n"


def sent(touches: list[tuple[float, float, float, float, bool]]) -> str:
    """Return what MicroJam's client sends (csv() of TouchRecord and ChirpPerformance)."""
    lines = [f"{t:f}, {x:f}, {y:f}, {z:f}, {moving:d}\n" for t, x, y, z, moving in touches]
    return HEADER + "".join(lines)


def parsed(csv: str) -> list[tuple[float, float, float, float, bool]]:
    """Return what the client reads: TouchRecord(fromCSVLine:) of each line.

    It takes a line whose first part is no number for none, and ends the app at a line that
    begins with a number and has fewer than five parts.
    """
    records = []
    for line in csv.split("\n"):
        parts = line.replace(" ", "").split(",")
        try:
            time = float(parts[0])
        except ValueError:
            continue
        x, y, z, moving = (float(part) for part in parts[1:5])
        records.append((time, x, y, z, moving == 1))
    return records


def test_performance_is_read_as_the_client_has_recorded_it():
    random.seed(3)
    played = [
        (0.004 + 0.0167 * i, random.random(), random.random(), 20.0, i % 9 > 0)
        for i in range(300)
    ]
    call = read_performance(sent(played))
    assert call.shape == (300, 4)
    np.testing.assert_allclose(call[:, :2], [touch[1:3] for touch in played], atol=1e-6)
    np.testing.assert_allclose(call[:, 2], [0, *[0.0167] * 299], atol=2e-6)
    assert call[:, 3].tolist() == [float(touch[4]) for touch in played]


def test_single_touch_is_a_performance():
    assert read_performance(HEADER + "0.5, 0.25, 0.75, 20.0, 0\n").tolist() == [
        [0.25, 0.75, 0, 0]
    ]


def test_places_a_little_outside_are_at_the_edge():
    inside = [(0.1 * i, 0.5, 0.5, 20.0, True) for i in range(20)]
    call = read_performance(sent([*inside, (2.1, 1.02, -0.01, 20.0, True)]))
    assert call[-1, :2].tolist() == [1.0, 0.0]


def test_last_of_several_performances_is_what_is_continued():
    two = sent([(0.1, 0.1, 0.1, 20, False), (4.0, 0.2, 0.1, 20, True)])
    two += sent([(0.2, 0.7, 0.7, 20, False), (0.3, 0.8, 0.7, 20, True)]).removeprefix(HEADER)
    call = read_performance(two)
    assert call[:, 0].tolist() == [0.7, 0.8]


def test_answer_is_what_the_client_reads():
    rows = [[0.123456789, 1.0, 0.0301, 1.0], [0.2, 0.5, 1e-3, 1.0], [0.9, 0.0, 4.25, 0.0]]
    csv = write_answer(rows)
    assert csv.startswith(HEADER)
    assert parsed(csv) == [
        (0.0301, 0.123457, 1.0, 38.0, False),  # the first lands
        (0.0311, 0.2, 0.5, 38.0, True),
        (4.2811, 0.9, 0.0, 38.0, False),
    ]
    assert parsed(write_answer([])) == []


def test_answer_can_be_sent_again():
    rows = [[0.25, 0.5, 0.5, 0.0], [0.3, 0.5, 0.017, 1.0]]
    np.testing.assert_allclose(
        read_performance(write_answer(rows)), [[0.25, 0.5, 0, 0], [0.3, 0.5, 0.017, 1]]
    )


def test_text_of_other_programs_names_what_is_wrong():
    for text in ("touch 1 2 3", '{"perf": 1}', "\0\0\0", "\ud800", "a;b;c\n1;2;3\n"):
        with pytest.raises(InvalidError, match=r"^perf: "):
            read_performance(text)
