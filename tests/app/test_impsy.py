"""A running engine that is set up by a file of IMPSY."""

import subprocess

from support.engine import serving
from support.models import described, small

from robojam.model import file
from robojam.model.event import knob_event

CONFIG = """\
title = "a"
verbose = false
log_predictions = false

[interaction]
mode = "callresponse"
threshold = 0.1
input_thru = false

[model]
dimension = 4
file = "models/dim4.tflite"
sigmatemp = 0.01
pitemp = 1
timescale = 1

[osc]
server_ip = "localhost"
server_port = 6000
client_ip = "localhost"
client_port = 6001
"""


def test_engine_plays_as_many_values_as_it_is_sent_and_says_what_it_leaves_out(tmp_path):
    config, path = tmp_path / "impsy.toml", tmp_path / "own.safetensors"
    config.write_text(CONFIG, "utf-8")
    model = small(knob_event(3, components=3, hidden=16))
    weights = {name: t.detach().float().numpy() for name, t in model.state_dict().items()}
    file.write(path, described(model), weights)
    options = ("--config", str(config), "--model", str(path))
    with serving(tmp_path / "jams", *options, stderr=subprocess.PIPE) as engine:
        for value in (0.25, 0.5):
            engine.out.send("/interface", "fff", value, value, value)

        def answers() -> list[int]:
            return [len(m.args) for m in engine.out.received if m.name == "ai/knobs"]

        engine.out.until(lambda: len(answers()) > 5)
        assert set(answers()) == {4}  # and the time
        engine.end()
        assert engine.process.stderr is not None
        said = engine.process.stderr.read()
    assert f"robojam: {config}, line 12: model.file: robojam cannot play 'dim4.tflite'" in said
