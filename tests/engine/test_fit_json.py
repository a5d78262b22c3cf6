"""Reports as JSON of a bounded size."""

import json

from hypothesis import given
from hypothesis import strategies as st

from robojam.engine.fit_json import fit_json

PLAYERS = [{"name": f"human{i}", "source": "ö" * 20} for i in range(64)]


def test_report_that_fits_is_whole():
    report = {"mode": "solo", "players": PLAYERS}
    assert json.loads(fit_json(report, 60_000)) == report


def test_longest_list_is_cut_and_what_is_missing_is_counted():
    report = {"mode": "solo", "players": PLAYERS, "midi": {"in": PLAYERS[:8], "restarts": 1}}
    text = fit_json(report, 4000)
    assert len(text.encode()) <= 4000
    status = json.loads(text)
    assert status["players"] == PLAYERS[: len(status["players"])]
    assert status["left_out"] == {"players": 64 - len(status["players"])}
    assert status["midi"] == report["midi"]
    assert len(report["players"]) == 64


def test_text_that_is_too_long_is_left_out_and_not_cut():
    report = {"range": "human=C2..C6," * 200, "mode": "solo"}
    assert json.loads(fit_json(report, 900)) == {"mode": "solo", "left_out": {"range": 1}}


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.lists(st.text(max_size=90), max_size=30)
        | st.text(max_size=300)
        | st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=90)), max_size=3),
        max_size=8,
    )
)
def test_any_report_of_lists_and_texts_fits(report):
    assert len(fit_json(report, 6000).encode()) <= 6000
