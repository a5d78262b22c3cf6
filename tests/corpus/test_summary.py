"""Summary of a corpus, compared with figures computed by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.models import STROKES, corpus

from robojam.corpus import summary as summaries
from robojam.corpus.corpus import Corpus
from robojam.corpus.summary import summarise
from robojam.model.event import TOUCH

FIRST = [(0.0, 0.5, 0, 0), (0.25, 0.5, 0.5, 1), (0.25, 0.5, 5, 0)]
SECOND = [(i / 600, 7 / 600, 0.1 * (i > 0), i > 0) for i in range(1, 9)]


def made(*performances: list[tuple[float, ...]]) -> Corpus:
    lengths = np.array([len(performance) for performance in performances], np.int64)
    events = np.array([row for part in performances for row in part], float).reshape(-1, 4)
    return Corpus(events, lengths, TOUCH, "made", "", {"touches with NaN": 2}, inferred=3)


def test_summary_of_touches_is_right_and_json(monkeypatch):
    found = summarise(made(FIRST, SECOND, SECOND))
    assert json.loads(json.dumps(found)) == found
    assert (found["performances"], found["touches"], found["inferred"]) == (3, 19, 3)
    assert found["dropped"] == {"touches with NaN": 2}
    assert found["seconds"] == pytest.approx(5.5 + 2 * 0.8)
    assert (found["landings"], found["rests"]) == (2, 1)
    assert found["quartiles"]["touches"] == [3, 5.5, 8, 8, 8]
    assert found["quartiles"]["seconds"][-1] == pytest.approx(5.5)
    assert found["screens"] == {"600": 2, "0": 1}
    monkeypatch.setattr(summaries, "_MOST_EXAMINED", 1)
    found = summarise(made(FIRST, SECOND, SECOND))
    assert (found["screens"], found["screens_of"]) == ({"0": 1}, 1)


def test_summary_of_an_empty_corpus_and_of_strokes_has_fewer_figures():
    assert "quartiles" not in summarise(made())
    found = summarise(corpus(STROKES, [9, 4]))
    assert found["quartiles"]["touches"] == [4, 5.25, 6.5, 7.75, 9]
    assert "seconds" not in found
