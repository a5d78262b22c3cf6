"""Events of one to sixteen knobs: their description, their density, and rest."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from support.models import KNOBS, TOUCHES, batch, described, small

from robojam.model import file, mdrnn
from robojam.model.event import (
    NEW_FLAGS,
    EventSpec,
    Factor,
    count_knobs,
    knob_columns,
    knob_event,
    stroke_event,
    touch_event,
)
from robojam.model.mdrnn import EventModel

COUNTS = pytest.mark.parametrize("event", KNOBS, ids=lambda event: str(len(event.columns) - 2))


@pytest.mark.parametrize("knobs", [1, 2, 9, 16])
def test_knobs_are_predicted_phase_first_then_dt_then_the_values(knobs):
    event = knob_event(knobs)
    assert event.columns == (*(f"v{n}" for n in range(1, knobs + 1)), "dt", "moving")
    assert [(f.name, f.kind, f.columns) for f in event.factors] == [
        ("phase", "flag", (knobs + 1,)),
        ("dt", "duration", (knobs,)),
        ("values", "position", tuple(range(knobs))),
    ]
    assert event.position == event.factors[2]
    assert event.position.follows
    assert event.duration == knobs
    assert count_knobs(event.columns) == knobs
    assert msgspec.json.decode(msgspec.json.encode(event), type=EventSpec) == event


@pytest.mark.parametrize("knobs", [-1, 0, 17, 1000])
def test_another_number_of_knobs_is_refused(knobs):
    for make in (knob_event, knob_columns):
        with pytest.raises(ValueError, match=f"1 to 16 knobs, not {knobs}"):
            make(knobs)


def test_other_events_have_no_knobs():
    for event in (touch_event(), stroke_event()):
        assert count_knobs(event.columns) == 0
    assert count_knobs(("v2", "v1", "dt", "moving")) == 0
    assert count_knobs(()) == 0


def replaced(event: EventSpec, *, values: dict[str, Any] | None = None, **more: Any) -> Any:
    """Return the description with other fields, made as from a file."""
    told = msgspec.json.decode(msgspec.json.encode(event))
    told["factors"][2] |= values or {}
    return msgspec.convert(told | more, EventSpec)


@pytest.mark.parametrize(
    ("event", "changes", "message"),
    [
        (knob_event(3), {"values": {"slides": None}}, "only a position that slides"),
        (knob_event(3), {"values": {"kind": "offset"}}, "only a position that slides"),
        (knob_event(3), {"values": {"follows": False}}, "only a position that follows"),
        (touch_event(), {"fewer": True}, "only diagonal knobs"),
        (knob_event(3), {"values": {"diagonal": False}, "fewer": True}, "only diagonal knobs"),
    ],
)
def test_description_that_is_no_event_of_knobs_is_refused(event, changes, message):
    with pytest.raises((ValueError, msgspec.ValidationError), match=message):
        replaced(event, **changes)


def test_more_columns_than_knobs_do_not_follow():
    place = Factor(
        name="p",
        kind="position",
        columns=tuple(range(1, 18)),
        components=2,
        slides=0,
        follows=True,
    )
    flag = Factor(name="f", kind="flag", columns=(0,))
    columns = ("f", *(f"v{n}" for n in range(17)))
    with pytest.raises(ValueError, match="1 to 16 columns follow the last place, not 17"):
        EventSpec(name="e", columns=columns, factors=(flag, place))


@COUNTS
def test_file_of_knobs_is_read_as_it_was_written(event, tmp_path):
    model, values = small(event), batch(event, 2, 10)
    mdrnn.save(model, tmp_path / "k.safetensors", described(model))
    again, description = mdrnn.load(tmp_path / "k.safetensors")
    assert description.event == event
    with torch.inference_mode():
        assert torch.equal(model(values)[0], again(values)[0])


def test_file_of_touches_has_no_fields_that_older_versions_do_not_know(tmp_path):
    model = small(TOUCHES)
    path = tmp_path / "t.safetensors"
    mdrnn.save(model, path, described(model))
    assert file.read(path).event == TOUCHES
    header = path.read_bytes()
    size = int.from_bytes(header[:8], "little")
    text = json.loads(header[8 : 8 + size])["__metadata__"]["robojam"]
    assert not any(name in text for name in NEW_FLAGS)
    known = json.loads(msgspec.json.encode(described(model)))
    for told in (known["event"], *known["event"]["factors"]):
        for name in NEW_FLAGS:
            told.pop(name, None)
    assert json.loads(text) == known


@COUNTS
@pytest.mark.parametrize("moving", [0.0, 1.0])
def test_values_follow_the_last_ones_after_a_pause_too(event, moving):
    """The density of the values depends on how far they moved, wherever they are."""
    model = small(event)
    knobs = len(event.columns) - 2
    values = batch(event, 1, 6)
    values[:, 5, knobs + 1] = moving
    trunk, last, now, before, _ = model.listen(values, model.initial(1))
    cell = torch.full((1, 6), event.position.noise)
    shifted, place = values.clone(), last.clone()
    shifted[:, 5, :knobs] += 0.125  # exact in binary
    place[:, 5] += 0.125
    with torch.inference_mode():
        hidden = model.trunk(trunk)
        found = model.predict(hidden, values, last, now, before, cell)[0, 5, 2]
        moved = model.predict(hidden, shifted, place, now, before, cell)[0, 5, 2]
        absolute = model.predict(hidden, shifted, last, now, before, cell)[0, 5, 2]
    assert float(moved) == pytest.approx(float(found), abs=1e-3)
    assert abs(float(absolute) - float(found)) > 1


@pytest.mark.parametrize("event", KNOBS[:2], ids=["1", "2"])
@pytest.mark.parametrize("cell", [None, 1 / 127])
def test_density_of_values_integrates_to_one(event, cell):
    """On a lattice of the noise's width, or of the cell's, that covers all values."""
    model = small(event)
    knobs = len(event.columns) - 2
    values = batch(event, 1, 4)
    with torch.inference_mode():
        trunk, last, now, before, _ = model.listen(values, model.initial(1))
        hidden = model.trunk(trunk)[:, 3]
        width = cell or 1 / 127  # the same lattice: the mean over a cell times its width
        axis = (torch.arange(-200, 328) + 0.5) * width
        total = 0.0
        for part in axis.split(32):
            grid = torch.tensor(list(product(part.tolist(), *([axis.tolist()] * (knobs - 1)))))
            every = values[:, 3].repeat(len(grid), 1)
            every[:, :knobs] = grid
            motion = (m[:, 3].expand(len(grid), -1) for m in (last, now, before))
            density = model.predict(
                hidden.expand(len(grid), -1), every, *motion, torch.full((len(grid),), width)
            )[:, 2]
            total += float(density.double().exp().sum()) * width**knobs
    assert total == pytest.approx(1, abs=1e-3)


def test_component_moves_one_knob_at_first_and_the_others_rest():
    torch.manual_seed(0)
    event = knob_event(4, components=8)
    model = EventModel(event, units=8)
    bias = model.head[2].get_parameter("bias").detach().numpy()
    means, scales = bias[8:40].reshape(8, 4), bias[40:72].reshape(8, 4)
    moves = np.arange(8)[:, None] % 4 == np.arange(4)
    assert (means[moves] != 0).all()
    assert not means[~moves].any()
    resting = np.exp(scales[~moves]) * event.position.step
    np.testing.assert_allclose(resting, event.position.noise, rtol=1e-5)


@COUNTS
def test_every_weight_of_a_model_of_knobs_learns_and_stays_finite(event):
    torch.manual_seed(0)
    model = EventModel(event, units=8)
    parts, _ = model(batch(event, 4, 12))
    (-parts.sum(-1).mean()).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
        assert bool((weight.grad != 0).any()), name
