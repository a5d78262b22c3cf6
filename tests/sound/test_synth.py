"""The synthesiser, whose rendered sound is measured."""

import math
from itertools import pairwise

import numpy as np
import pytest

from robojam.controls import Settings
from robojam.jam.events import ControlChanged, TouchPlayed
from robojam.music import DEFAULT_RANGE, INSTRUMENTS, parse_range, range_of
from robojam.sound.reverb import Limiter, Reverb
from robojam.sound.synth import CEILING, RATE, Synth
from robojam.sound.voices import SOUNDING
from robojam.touch import Phase, Touch
from robojam.wire.midi.stream import MidiParser
from robojam.wire.midi.styles import PRESETS
from robojam.wire.midi.writer import make_writer

#: Interval between each instrument's pitch and the pitch of the surface, in semitones.
TRANSPOSED = {"chirp": 12, "drums": -12}


def touch(t, phase, x=0.5, y=0.5, *, who="human", finger=0, dt=0.0, pressure=None):
    return TouchPlayed(t, Touch(x, y, dt, Phase(phase), finger, who, pressure), dt)


def tap(t, length, x=0.5, y=0.5, **more):
    return [touch(t, "down", x, y, **more), touch(t + length, "up", x, y, dt=length, **more)]


def slide(t, seconds, *, who="human", speed=1.5, finger=0):
    """A finger going to and fro, a touch every 17 ms."""
    made = [touch(t, "down", 0.3, 0.4, who=who, finger=finger)]
    for i in range(1, int(seconds / 0.017)):
        x = 0.3 + 0.2 * math.sin(speed * i * 0.017 * 5)
        made.append(touch(t + 0.017 * i, "move", x, 0.4, who=who, finger=finger, dt=0.017))
    return [*made, touch(t + seconds, "up", 0.3, 0.4, who=who, finger=finger)]


def rendered(events, seconds, *, rate=RATE, dry=False, **settings):
    """The sound of some events, float64 of shape [frames, 2]."""
    synth = Synth(rate, Settings(**settings))
    if dry:
        synth._reverb.render = np.zeros_like  # the voices alone
    for event in events:
        synth.handle(event, round(event.t * rate))
    return np.concatenate(
        [synth.render() for _ in range(int(seconds * rate / synth.tick))]
    ).astype(float)


def decibels(sound):
    return 10 * np.log10(np.mean(sound**2) + 1e-30)


def between(sound, start, end, rate=RATE):
    return sound[round(start * rate) : round(end * rate)]


def strongest(sound, near, rate=RATE):
    """Return the frequency of the strongest partial within a semitone of a frequency."""
    window = sound * np.hanning(len(sound))
    size = 1 << 20
    power, hz = np.abs(np.fft.rfft(window, size)), np.fft.rfftfreq(size, 1 / rate)
    close = (hz > near / 1.06) & (hz < near * 1.06)
    return hz[close][power[close].argmax()]


def fundamental(instrument, x):
    return hertz(parse_range(DEFAULT_RANGE).pitch(x) + TRANSPOSED.get(instrument, 0))


def hertz(note):
    return 440 * 2 ** ((note - 69) / 12)


def cents(measured, wanted):
    return 1200 * math.log2(measured / wanted)


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_pitch_is_that_of_x_within_five_cents(instrument, rate):
    for x in (0.03, 0.371, 0.98):
        wanted = fundamental(instrument, x)
        sound = rendered(tap(0, 1.5, x), 1.5, rate=rate, instrument=instrument, dry=True)
        # A skin is silent soon; the others are heard long enough to beat and come back.
        start, end = (0.1, 0.5) if instrument == "drums" else (0.3, 1.5)
        got = strongest(between(sound.sum(1), start, end, rate), wanted, rate)
        assert abs(cents(got, wanted)) < 5, (x, got, wanted)


# A skin that is not struck again has no pitch any more.
@pytest.mark.parametrize("instrument", [one for one in INSTRUMENTS if one != "drums"])
def test_pitch_follows_a_slide_within_five_cents(instrument):
    way = [touch(0.1 + 0.02 * i, "move", 0.2 + 0.01 * i, 0.5, dt=0.02) for i in range(41)]
    sound = rendered([touch(0, "down", 0.2), *way], 2.4, instrument=instrument, dry=True)
    wanted = fundamental(instrument, 0.6)
    got = strongest(between(sound.sum(1), 1.4, 2.4), wanted)  # the finger rests
    assert abs(cents(got, wanted)) < 5


def test_scale_holds_the_pitch_to_its_nearest_note_on_a():
    for scale, x, note in (("chromatic", 0.49, 60), ("pentatonic", 0.51, 60), ("blues", 0, 36)):
        sound = rendered(tap(0, 1, x), 1, instrument="keys", scale=scale, dry=True)
        got = strongest(between(sound.sum(1), 0.2, 1), hertz(note))
        assert abs(cents(got, hertz(note))) < 1


def test_synth_and_mpe_output_have_the_same_pitch_at_1000_places():
    for ranges in ("36-84", "30.5-99,ai=48-72"):
        synth = Synth(settings=Settings(range=ranges))
        writer = make_writer(PRESETS["mpe"], ranges=ranges)
        for n in range(1000):
            at = Touch(n / 999, 0.5, 0.1, Phase.DOWN, 0, "ai")
            messages = MidiParser().feed(writer.touch(0.0, at))[0]
            (bend,) = (m[1] | m[2] << 7 for m in messages if m[0] & 0xF0 == 0xE0)
            (note,) = (m[1] for m in messages if m[0] & 0xF0 == 0x90)
            writer.panic()  # so that the next note sends its bend
            assert abs(note + (bend - 8192) / 8192 * 48 - synth._note(at)) < 0.01


@pytest.mark.parametrize("instrument", ["keys", "strings"])
def test_notes_of_a_keyboard_sound_at_their_own_pitch_in_the_range_of_their_player(instrument):
    ranges = "36-84,human2=55.5-75"
    for who in ("human", "human2"):
        for note in (60, 64, 67, 72):  # C4 E4 G4 C5
            played = tap(0, 1.5, range_of(who, ranges).x(note), who=who)
            sound = rendered(played, 1.5, instrument=instrument, range=ranges, dry=True)
            got = strongest(between(sound.sum(1), 0.3, 1.5), hertz(note))
            assert abs(cents(got, hertz(note))) < 1, (who, note)


def test_range_that_changes_while_playing_moves_the_next_touch():
    change = ControlChanged(0.5, "range", "48-96")
    sound = rendered([*tap(0, 0.5), change, *tap(0.6, 0.6)], 1.2, instrument="keys", dry=True)
    for start, note in ((0.1, 60), (0.7, 72)):
        got = strongest(between(sound.sum(1), start, start + 0.4), hertz(note))
        assert abs(cents(got, hertz(note))) < 5


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_landing_sounds_at_its_sample_and_lift_within_20_ms(instrument):
    down, up = 0.10031, 0.3007
    sound = rendered(
        [touch(down, "down"), touch(up, "up")], 1.0, instrument=instrument, dry=True
    )
    first = np.flatnonzero(np.abs(sound).max(1) > 1e-7)[0]
    assert 0 <= first - down * RATE < 0.0005 * RATE  # not before, and not later than that
    attack = decibels(between(sound, down, down + 0.02))
    assert attack > decibels(between(sound, down, down + 0.3)) - 12  # it is there at once
    held = rendered([touch(down, "down")], 1.0, instrument=instrument, dry=True)
    after = decibels(between(sound, up + 0.02, up + 0.03))
    assert after < decibels(between(held, up + 0.02, up + 0.03)) - 4
    assert decibels(between(sound, up + 0.25, up + 0.5)) < -90


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_landing_with_more_pressure_is_louder(instrument):
    loud = [
        decibels(rendered([touch(0, "down", pressure=p)], 0.5, instrument=instrument))
        for p in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert all(low + 1 < high for low, high in pairwise(loud)), loud
    soft, hard = (
        np.abs(rendered([touch(0, "down", pressure=p)], 0.004, instrument=instrument)).max()
        for p in (0.0, 1.0)
    )
    assert soft < hard / 4  # from its first moment
    # Without a pressure it is as loud as by its speed: between the softest and the loudest.
    usual = decibels(rendered([touch(0, "down")], 0.5, instrument=instrument))
    assert loud[0] < usual <= loud[-1] + 0.1


def test_pressure_on_a_held_finger_is_heard_as_movement_is():
    held = [touch(0, "down"), *(touch(0.02 * n, "move", dt=0.02) for n in range(1, 50))]
    pressed = [held[0], *(touch(0.02 * n, "move", dt=0.02, pressure=1.0) for n in range(1, 50))]
    still, swelling = (
        rendered(events, 1.0, instrument="strings") for events in (held, pressed)
    )
    assert decibels(between(swelling, 0.5, 1)) > decibels(between(still, 0.5, 1)) + 2


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_faster_finger_is_louder_and_brighter(instrument):
    def rubbed(far):  # to and fro about one place, so that the pitch stays
        return [touch(0, "down", 0.3)] + [
            touch(0.017 * i, "move", 0.3 + far * (-1) ** i / 2, dt=0.017) for i in range(1, 70)
        ]

    slow, fast = (
        between(rendered(rubbed(far), 1.2, instrument=instrument, dry=True), 0.5, 1.2)
        for far in (0.002, 0.03)
    )
    assert decibels(fast) > decibels(slow) + 2
    assert centroid(fast) > centroid(slow)


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_touch_higher_on_the_surface_is_brighter(instrument):
    low = rendered(tap(0, 0.5, y=0.95), 0.5, instrument=instrument, dry=True)
    high = rendered(tap(0, 0.5, y=0.05), 0.5, instrument=instrument, dry=True)
    assert centroid(high) > 1.1 * centroid(low)


def centroid(sound):
    power = np.abs(np.fft.rfft(sound.sum(1))) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / RATE)
    return (power * hz).sum() / power.sum()


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_human_and_machine_differ_in_stereo_place_and_in_spectrum(instrument):
    both = f"human={instrument},ai={instrument}"
    human = rendered(tap(0.1, 0.8), 1.0, instrument=both)
    machine = rendered(tap(0.1, 0.8, who="ai"), 1.0, instrument=both)
    assert decibels(human[:, 0]) > decibels(human[:, 1]) + 5
    assert decibels(machine[:, 1]) > decibels(machine[:, 0]) + 5
    # Even one instrument is two sounds: the machine's second partial is much fainter.
    first = fundamental(instrument, 0.5)
    ratio = 1.594 if instrument == "drums" else 2.0
    powers = []
    for sound in (human, machine):
        part = between(sound.sum(1), 0.15, 0.6)
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 18))
        hz = np.fft.rfftfreq(1 << 18, 1 / RATE)
        one, two = (
            spectrum[(hz > at / 1.05) & (hz < at * 1.05)].max() for at in (first, ratio * first)
        )
        powers.append(20 * np.log10(two / one))
    assert powers[0] > powers[1] + 6


def test_human_stays_left_and_machine_right_at_every_x():
    for x in (0.0, 1.0):
        human, machine = (
            rendered(tap(0, 0.3, x, who=who), 0.3, dry=True) for who in ("human", "ai")
        )
        assert decibels(human[:, 0]) > decibels(human[:, 1]) + 1
        assert decibels(machine[:, 1]) > decibels(machine[:, 0]) + 1


def test_instruments_are_about_equally_loud():
    loud = {}
    for instrument in INSTRUMENTS:
        phrase = slide(0.0, 1.5) + [
            one for i in range(6) for one in tap(1.7 + 0.25 * i, 0.12, 0.15 * i + 0.1)
        ]
        loud[instrument] = decibels(rendered(phrase, 3.4, instrument=instrument))
    assert max(loud.values()) - min(loud.values()) < 6, loud  # unweighted; see benchmarks/


def test_fifty_fingers_stay_within_full_scale():
    crowd = [
        one
        for i in range(50)
        for one in slide(0.0005 * i, 0.8, who=("human", "ai")[i % 2], finger=i)
    ]
    sound = rendered(crowd, 1.5, volume=1.0, instrument="human=drums,ai=strings")
    assert np.abs(sound).max() <= CEILING
    assert np.isfinite(sound).all()
    assert np.abs(sound.mean(0)).max() < 0.01  # no DC but what limiting low drums leaves


def steps(sound):
    """Return the largest second difference of the samples, which is small in smooth waves."""
    return np.abs(np.diff(sound, 2, axis=0)).max()


@pytest.mark.parametrize("instrument", ["keys", "strings"])
def test_stolen_voice_ends_without_a_step(instrument):
    """Low and dark voices are smooth; a step would stand out from them."""
    low = [touch(0.0, "down", 0.0, 1.0, finger=i) for i in range(SOUNDING)]
    later = [touch(0.5 + 0.0007 * i, "down", 0.0, 1.0, finger=100 + i) for i in range(20)]
    quiet = {"instrument": instrument, "volume": 0.05, "dry": True, "range": "45-81"}
    calm = steps(between(rendered(low, 1.0, **quiet), 0.3, 0.9))
    stolen = steps(between(rendered(low + later, 1.0, **quiet), 0.3, 0.9))
    landing = steps(rendered(later[:20], 1.0, **quiet))
    assert stolen < 1.5 * (calm + landing)
    synth = Synth()
    for event in low + later:
        synth.handle(event, round(event.t * RATE))
    for _ in range(160):
        synth.render()
    assert synth.voices.stolen == 20
    assert synth.voices.sounding <= SOUNDING


def test_voice_that_is_cut_off_is_detected_as_a_step():
    """A voice that is cut off shows that the measure of the test above detects a step."""
    low = [touch(0.0, "down", 0.0, 1.0)]
    sound = rendered(low, 1.0, instrument="keys", volume=0.05, dry=True)
    cut = sound.copy()
    peak = 24_000 + int(np.argmax(np.abs(sound[24_000:24_960, 0])))
    cut[peak:] = 0.0
    assert steps(cut[20_000:40_000]) > 5 * steps(sound[20_000:40_000])


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_panic_fades_smoothly_to_silence(instrument):
    played = [
        *slide(0.0, 2.0),
        *slide(0.0, 2.0, who="ai"),
        ControlChanged(1.0, "panic", 1),
    ]
    played = [one for one in played if one.t <= 1.0]
    sound = rendered(played, 2.0, instrument=f"human={instrument},ai={instrument}")
    assert np.abs(between(sound, 1.06, 2.0)).max() == 0.0
    if instrument in ("keys", "strings"):
        assert steps(between(sound, 0.99, 1.06)) < 2 * steps(between(sound, 0.5, 0.99))


def test_touch_after_a_panic_sounds():
    played = [*tap(0, 0.5), ControlChanged(0.6, "panic", 1), *tap(1.0, 0.5)]
    sound = rendered(played, 1.5)
    assert decibels(between(sound, 1.1, 1.4)) > -40


def test_instrument_that_changes_while_playing_is_used_from_the_next_landing():
    change = ControlChanged(0.5, "instrument", "human=chirp,ai=keys")
    sound = rendered([*tap(0, 0.4), change, *tap(0.6, 0.6)], 1.2, dry=True)
    for start, instrument in ((0.1, "strings"), (0.7, "chirp")):
        wanted = fundamental(instrument, 0.5)
        part = between(sound.sum(1), start, start + 0.3)
        got = strongest(part, wanted)
        assert abs(cents(got, wanted)) < 10
    below = fundamental("strings", 0.5)
    part = between(sound.sum(1), 0.8, 1.1) * np.hanning(round(0.3 * RATE))
    spectrum, hz = np.abs(np.fft.rfft(part)), np.fft.rfftfreq(len(part), 1 / RATE)
    assert spectrum[(hz > below / 1.06) & (hz < below * 1.06)].max() < 0.01 * spectrum.max()


def test_volume_changes_without_a_step_and_zero_is_silence():
    fade = ControlChanged(0.5, "volume", 0.0)
    sound = rendered([touch(0, "down", 0.0, 1.0), fade], 1.5, instrument="keys", range="45-81")
    assert steps(between(sound, 0.4, 1.4)) < 1.5 * steps(between(sound, 0.2, 0.5))
    assert decibels(between(sound, 1.2, 1.5)) < -100


def test_same_events_make_the_same_sound_also_some_ticks_later():
    phrase = slide(0.1, 0.5) + tap(0.3, 0.2, who="ai")
    assert (rendered(phrase, 1.0) == rendered(phrase, 1.0)).all()
    late = [type(one)(one.t + 0.048, one.touch, one.dt) for one in slide(0.1, 0.5)]
    first, second = rendered(slide(0.1, 0.5), 0.6, dry=True), rendered(late, 0.7, dry=True)
    tones = decibels(first - second[round(0.048 * RATE) :][: len(first)])
    assert tones < decibels(first) - 20  # but for the bow's noise, which goes on


def test_synth_without_touches_is_silent():
    synth = Synth()
    assert not any(synth.render().any() for _ in range(20))
    synth.handle(touch(0, "up"), synth.at)  # of an absent finger
    synth.handle(touch(0, "move", finger=3), synth.at)  # a slide of one is a landing
    assert any(synth.render().any() for _ in range(20))


def test_late_event_takes_effect_in_the_next_tick():
    synth = Synth()
    for _ in range(10):
        synth.render()
    synth.handle(touch(0, "down"), 0)
    assert np.abs(np.concatenate([synth.render() for _ in range(4)])).max() > 0.01


def test_reverb_decays_in_its_time_and_its_sides_differ():
    reverb, tick = Reverb(RATE, 240), 240
    click = np.zeros((2, tick), np.float32)
    click[:, 0] = 1.0
    made = [reverb.render(click)] + [reverb.render(np.zeros_like(click)) for _ in range(500)]
    sound = np.concatenate(made, 1)
    left = 10 * np.log10(np.cumsum((sound[0] ** 2)[::-1])[::-1] / (sound[0] ** 2).sum() + 1e-30)
    sixty = 2 * (np.argmax(left < -35) - np.argmax(left < -5)) / RATE
    assert 0.6 < sixty < 1.4
    assert abs(np.corrcoef(sound)[0, 1]) < 0.3
    assert reverb.empty


def test_limiter_holds_the_ceiling_without_a_step_and_recovers():
    limiter = Limiter(RATE, 240, ceiling=0.9, release=0.2)
    t = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 100 * t) * np.where((t > 0.3) & (t < 0.6), 4.0, 0.5)
    tone = np.asarray([tone, tone], np.float32)
    out = np.concatenate([limiter.render(tone[:, i : i + 240]) for i in range(0, RATE, 240)], 1)
    assert np.abs(out).max() <= np.float32(0.9)
    assert np.abs(out[:, : int(0.29 * RATE)]).max() == pytest.approx(0.5, rel=1e-3)
    assert np.abs(out[:, -2400:]).max() > 0.35
    held = out[0, int(0.32 * RATE) : int(0.58 * RATE)]
    assert np.abs(np.diff(held, 2)).max() < 0.01
