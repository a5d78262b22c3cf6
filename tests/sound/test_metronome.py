"""Metronome of the synthesiser."""

import numpy as np
import pytest

from robojam.controls import Settings
from robojam.jam.events import BeatCame, ControlChanged
from robojam.sound.messages import decode, encode
from robojam.sound.metronome import BAR_HZ, BEAT_HZ, LENGTH
from robojam.sound.synth import Synth


def render(synth, ticks=60):
    return np.concatenate([synth.render() for _ in range(ticks)])[:, 0]


def onset(samples):
    """Return the last silent sample before the first that sounds."""
    return int(np.flatnonzero(np.abs(samples) > 1e-7)[0]) - 1


def pitch(samples):
    """Return the frequency of the loudest partial, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples, 1 << 16))
    return np.argmax(spectrum) * 48_000 / (1 << 16)


@pytest.mark.parametrize("sample", [0, 1, 191, 192, 193, 1000])
def test_click_begins_at_the_sample_of_its_beat(sample):
    synth = Synth(settings=Settings(metronome=1.0))
    synth.handle(BeatCame(0.0, 1.0, 120.0, 4), sample)
    sound = render(synth)
    assert onset(sound) == sample
    assert not sound[sample + round((LENGTH + 0.004) * 48_000) :].any()


def test_bar_has_a_higher_click_than_a_beat():
    for beat, hz in ((4.0, BAR_HZ), (-4.0, BAR_HZ), (5.0, BEAT_HZ), (0.0, BAR_HZ)):
        synth = Synth(settings=Settings(metronome=1.0))
        synth.handle(BeatCame(0.0, beat, 120.0, 4), 0)
        assert pitch(render(synth)) == pytest.approx(hz, rel=0.03)


def test_metronome_is_off_unless_its_control_says_otherwise_and_follows_it():
    synth = Synth()
    levels = []
    for volume in (None, 0.5, 1.0, 0.0):
        if volume is not None:
            synth.handle(ControlChanged(0.0, "metronome", volume), synth.at)
        synth.handle(BeatCame(0.0, 1.0, 120.0, 4), synth.at)
        levels.append(np.abs(render(synth)).max())
    assert levels[0] == levels[3] == 0
    assert 0 < levels[1] < levels[2] <= 1


def test_beat_is_the_same_after_its_way_to_the_synthesiser():
    beat = BeatCame(2.5, 7.0, 96.5, 3)
    assert decode(encode(beat, 2.5)) == (beat, 2.5)
