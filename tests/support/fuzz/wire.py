"""Targets of robojam.wire: OSC in all dialects, MIDI bytes, messages and bindings."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from robojam.mapping.knob import Shape
from robojam.touch import FINGER_IDS, Phase
from robojam.wire import native, osc, tuio
from robojam.wire.dialects import OscReader
from robojam.wire.knob_inputs import (
    PLACES,
    InputKnob,
    MappedReader,
    OscKnobReader,
    parse_source,
)
from robojam.wire.map_learn import MapLearner
from robojam.wire.midi import slash_text as slash_texts
from robojam.wire.midi.learn import Learner
from robojam.wire.midi.reader import MidiReader
from robojam.wire.midi.stream import MidiParser
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.native import Control, Finger, PhaselessTouch, PitchedFinger
from robojam.wire.touchosc import Pad, Pads
from robojam.wire.value_lines import LineReader
from support.fuzz import packets
from support.fuzz.core import Meter, Target

HOSTS = ("127.0.0.1", "::1", "10.0.0.2", "10.0.0.3", "fe80::1%eth0")


def check_osc(packet: bytes, meter: Meter) -> None:
    """Decode a packet; each message gives an input or a reason."""
    messages, dropped = meter.measure(osc.decode, packet)
    assert len(messages) + len(dropped) <= max(1, 2 * len(packet))
    assert len(dropped) <= osc.MAX_FAULTS + 1
    for part in dropped:
        assert part.reason
        assert part.about.isprintable()
        assert len(part.about) < 300
    for message in messages:
        assert len(message.tags) == len(message.args) <= osc.MAX_ARGUMENTS
        assert len(message.address) <= osc.MAX_ADDRESS
        read = meter.measure(native.read, message, native.INPUTS)
        assert isinstance(read, native.Input)


def check_round_trip(packet: bytes, meter: Meter) -> None:
    """Encode the messages of a packet again: they decode to what they were."""
    for message in osc.decode(packet)[0]:
        if set(message.tags) <= set("ihfds") and "\0" not in message.address:
            if any("\0" in arg for arg in message.args if isinstance(arg, str)):
                continue
            again = osc.encode(message.address, message.tags, *message.args)
            if not message.address.startswith("#"):
                (decoded,), dropped = meter.measure(osc.decode, again)
                assert not dropped
                assert repr(decoded) == repr(message)  # NaN is not equal to itself


#: Packet with the seconds before it, and the host (an index) and port that it comes from.
Arrival = tuple[float, int, int, bytes]


def gap(random: Random) -> float:
    """Return the seconds before an input."""
    return random.choice((0.0, 0.0, 0.001, 0.004, 0.006, 0.02, 0.1, 0.2, 0.6, 2.0, 6.0, 11.0))


def arrivals(random: Random) -> list[Arrival]:
    """Return packets from several hosts."""
    return [
        (gap(random), random.randrange(len(HOSTS)), random.choice((4000, 4001)),
         packets.packet(random))
        for _ in range(random.choice((1, 2, 5, 20)))
    ]  # fmt: skip


def check_dialects(sequence: list[Arrival], meter: Meter) -> None:
    """Read packets by one reader: inputs with their sources, and tables within their bounds."""
    reader = OscReader(pads=Pads([Pad("/1/xy"), Pad("/1/multixy")], learning=True))
    now = 1000.0
    for seconds, host, port, packet in sequence:
        now += seconds
        ended, wait = reader.expire(now)
        assert wait >= 0
        inputs = list(ended)
        for message in osc.decode(packet)[0]:
            inputs += meter.measure(reader.read, message, HOSTS[host], now, port)
        for source, read in inputs:
            assert HOSTS[host] in source or (source, read) in ended
            check_input(read)
        assert len(reader.pads.pads) <= 64
        assert len(reader.tuio_reader._frames) <= tuio._MAX_SOURCES
        sources = [s for same in reader.tuio_reader._sources.values() for s in same]
        assert len(sources) <= tuio._MAX_SOURCES
        assert all(len(source.cursors) <= tuio._MAX_CURSORS for source in sources)
        assert len(reader.tuio_reader._reported) <= tuio._MAX_REPORTED
    lifted, wait = reader.expire(now + 6)
    assert all(isinstance(read, Finger) and read.phase is Phase.UP for _, read in lifted)
    assert wait == math.inf


def check_input(read: Any) -> None:
    """Check that an input is one that the engine can use."""
    assert isinstance(read, native.Input)
    match read:
        case Finger() | PhaselessTouch():
            assert 0 <= read.x <= 1
            assert 0 <= read.y <= 1
            assert read.id in FINGER_IDS
            assert not isinstance(read, PhaselessTouch) or read.dt is None or read.dt >= 0
        case Control():
            assert isinstance(read.value, int | float | str)
            assert not isinstance(read.value, float) or math.isfinite(read.value)
        case native.Subscribe():
            assert 0 < read.port < 65536
        case osc.Dropped():
            assert read.reason
            assert read.about.isprintable(), read.about
            assert len(read.about) < 600


# -- MIDI --------------------------------------------------------------------------------------

BINDINGS = {
    "cc 64": "answer", "cc 65 on 2": "pause hold", "note 36": "mode solo", "nrpn 1:2":
    "temperature 0 2", "program 3": "panic", "cc 1": "timescale", "cc 7": "volume 0 1",
    "note 40": "mode", "nrpn 130": "spread",
}  # fmt: skip
STYLES = (
    *PRESETS.values(),
    Style(controls=BINDINGS),
    Style(y="pressure"),
    Style(members=3),
    Style(zone="upper", members=1, fine=True),
    Style(kind="notes", y="pressure", low=0, high=127),
    Style(kind="notes", y="velocity", scale="pentatonic", gate=4),
    Style(kind="cc", x="nrpn 0:1", y=6),
    Style(kind="cc", x=1, y=2, fine=True, gate=64, channel=3),
    Style(kind="cc", x="nrpn 1:2", y="nrpn 1:3", controls={"cc 99": "reset"}),
)
CONTROLLERS = (0, 1, 2, 4, 6, 16, 17, 32, 38, 48, 49, 64, 66, 74, 96, 97, 98, 99, 100, 101,
               106, 120, 121, 123, 126, 127)  # fmt: skip


def midi_message(random: Random) -> bytes:
    """Return a channel message: of notes, of MPE, of parameters, or any."""
    channel, kind = random.choice((0, 0, 1, 1, 2, 3, 9, 14, 15)), random.random()
    small = lambda: random.choice((0, 1, 2, 3, 6, 36, 60, 63, 64, 127))  # noqa: E731
    if kind < 0.3:
        return bytes((random.choice((0x90, 0x90, 0x80)) | channel, small(), small()))
    if kind < 0.6:
        return bytes((0xB0 | channel, random.choice(CONTROLLERS), small()))
    if kind < 0.8:
        status = random.choice((0xA0, 0xC0, 0xD0, 0xE0)) | channel
        return bytes((status, small())) + (
            b"" if status & 0xF0 in (0xC0, 0xD0) else bytes((small(),))
        )
    if kind < 0.9:  # a parameter, registered or not, and its value
        high, low = random.choice(((101, 100), (99, 98)))
        entry = random.choice((6, 38, 96, 97)), random.choice((0, 1, 2, 15, 24, 48, 127))
        pairs = [
            (high, random.choice((0, 0, 1, 127))),
            (low, random.choice((0, 1, 2, 6, 127))),
            entry,
        ]
        return b"".join(bytes((0xB0 | channel, *pair)) for pair in pairs)
    status = random.randrange(0x80, 0xF0)
    data = [random.randrange(128) for _ in range(1 if 0xC0 <= status < 0xE0 else 2)]
    return bytes((status, *data))


def midi_bytes(random: Random) -> bytes:
    """Return a byte stream: messages, running status, system exclusive, real time, noise."""
    parts = []
    for _ in range(random.randrange(1, 12)):
        kind = random.random()
        if kind < 0.6:
            parts.append(midi_message(random))
        elif kind < 0.7:
            parts.append(midi_message(random)[1:])  # running status
        elif kind < 0.8:
            size = random.choice((0, 1, 5, 300))
            parts.append(b"\xf0" + bytes(random.randrange(128) for _ in range(size)))
            parts.append(random.choice((b"\xf7", b"", b"\xf8")))
        elif kind < 0.9:
            parts.append(bytes([random.choice((0xF1, 0xF2, 0xF3, 0xF6, 0xF8, 0xFE, 0xFF))]))
        else:
            parts.append(bytes(random.getrandbits(8) for _ in range(random.randrange(6))))
    return b"".join(parts)


def check_stream(data: bytes, meter: Meter) -> None:
    """Parse bytes: complete messages, the same however the bytes are cut."""
    messages, dropped = meter.measure(MidiParser().feed, data)
    assert len(messages) <= len(data)
    for message in messages:
        assert 0x80 <= message[0] < 0xF0
        assert len(message) == (2 if 0xC0 <= message[0] < 0xE0 else 3)
        assert max(message[1:]) < 128
    assert len(dropped) <= len(data)
    parser = MidiParser()
    assert [m for byte in data for m in parser.feed(bytes([byte]))[0]] == messages


def midi_jam(random: Random) -> tuple[int, list[bytes]]:
    """Return the index of a style, and pieces of a byte stream."""
    count = random.choice((1, 3, 10, 40))
    return random.randrange(len(STYLES)), [midi_bytes(random) for _ in range(count)]


def check_midi(value: tuple[int, list[bytes]], meter: Meter) -> None:
    """Read a byte stream in a style: fingers land, move and lift in order."""
    index, pieces = value
    parser, reader = MidiParser(), MidiReader(STYLES[index])
    down: set[int] = set()
    for piece in [*pieces, None]:
        if piece is None:
            inputs = reader.lift_all()
        else:
            inputs = []
            for message in parser.feed(piece)[0]:
                inputs += meter.measure(reader.read, message)
            inputs += meter.measure(reader.take_moves)
        for read in inputs:
            check_input(read)
            if isinstance(read, PitchedFinger):
                assert -2 * 127 <= read.pitch <= 127 + 2 * 127
                assert 0 <= read.y <= 1
                assert read.pressure is None or 0 <= read.pressure <= 1
            if isinstance(read, Finger | PitchedFinger):
                assert (read.id in down) is (read.phase is not Phase.DOWN)
                (down.discard if read.phase is Phase.UP else down.add)(read.id)
                assert len(down) <= 16 * 128
    assert not down


def check_learn(value: tuple[int, list[bytes]], meter: Meter) -> None:
    """Learn bindings from a byte stream: a table of TOML that is a style."""
    import tomllib

    from robojam.wire.midi.styles import parse_styles

    parser = MidiParser()
    learner = Learner(["x", "y", "temperature 0 2", "answer", "mode solo", "spread"])
    for piece in value[1]:
        for message in parser.feed(piece)[0]:
            meter.measure(learner.read, "a port", message)
    parse_styles(tomllib.loads(learner.toml()).get("midi", {}))


# -- mapped knobs ------------------------------------------------------------------------------


def knob(source: str, target: str) -> InputKnob:
    """Return a knob that goes through the range of its target."""
    high = 1.0 if target in PLACES else 2.0
    parsed = parse_source(source)
    return InputKnob(parsed, target, Shape(*parsed.ends, 0.0, high))


MIDI_KNOBS = [
    knob("cc 1", "x"), knob("cc14 2", "y"), knob("cc 7 on 2", "pressure"),
    knob("cc 64", "answer"),
    knob("note on 3", "knob-1"), knob("velocity", "knob-2"), knob("pitch bend", "knob-3"),
    knob("nrpn 1:2", "temperature"), knob("cc14 16", "spread"), knob("cc 74", "pause"),
]  # fmt: skip
OSC_KNOBS = [
    knob("osc /touch", "x"), knob("osc /touch 2", "y"), knob("osc /1/xy 2", "pressure"),
    knob("osc /robojam/move 3", "temperature"), knob("osc /robojam/up", "answer"),
]  # fmt: skip


def check_mapped_midi(value: tuple[int, list[bytes]], meter: Meter) -> None:
    """Read a byte stream by a port with mapped knobs: every input is one of the engine's."""
    index, pieces = value
    parser, reader = MidiParser(), MappedReader(MidiReader(STYLES[index]), MIDI_KNOBS)
    for piece in pieces:
        for message in parser.feed(piece)[0]:
            for read in meter.measure(reader.read, message):
                check_input(read)
        for read in meter.measure(reader.take_moves):
            check_input(read)
        assert not reader.has_moves


def value_lines(random: Random) -> list[bytes]:
    """Return what a serial device prints, in pieces."""
    parts = []
    for _ in range(random.randrange(1, 12)):
        kind = random.random()
        if kind < 0.6:
            count = random.choice((1, 2, 3, 8, 16, 17))
            parts.append(b",".join(b"%.3f" % random.uniform(-0.1, 1.1) for _ in range(count)))
            parts.append(random.choice((b"\n", b"\r\n", b"", b",", b"\n\n")))
        elif kind < 0.7:
            parts.append(random.choice((b"0.5," * 400, b"\n" * 300, b"1" * 600)))
        elif kind < 0.8:
            parts.append(
                random.choice((b"nan\n", b"1e999,0\n", b"-0\n", b"ready\n", b"on,off\n"))
            )
        else:
            parts.append(bytes(random.getrandbits(8) for _ in range(random.randrange(40))))
    return parts


def check_value_lines(pieces: list[bytes], meter: Meter) -> None:
    """Read lines of values: inputs of the engine, the same however they are cut."""
    reader, apart = LineReader(), LineReader()
    inputs = [read for piece in pieces for read in meter.measure(reader.feed, piece)]
    for read in inputs:
        check_input(read)
    assert [i for byte in b"".join(pieces) for i in apart.feed(bytes([byte]))] == inputs


def slash_text(random: Random) -> str:
    """Return a text of MIDI by WebSocket, or something like it."""
    words = [
        "noteon",
        "noteoff",
        "cc",
        "pitchbend",
        "aftertouch",
        "",
        "1",
        "16384",
        "127",
        "-1",
    ]
    parts = ["", "channel", str(random.randrange(18)), random.choice(words)]
    parts += [str(random.randrange(140)) for _ in range(random.choice((1, 2, 2, 2, 3)))]
    if random.random() < 0.3:
        parts[random.randrange(len(parts))] = random.choice(words)
    return "/".join(parts)


def check_slash_text(text: str, meter: Meter) -> None:
    """Read a text: a whole message, which is written as a text with the same meaning."""
    message = meter.measure(slash_texts.parse, text)
    if message is not None:
        assert MidiParser().feed(message) == ([message], [])
        assert slash_texts.parse(slash_texts.write(message)) == message


def check_mapped_osc(sequence: list[Arrival], meter: Meter) -> None:
    """Read packets by mapped addresses: the inputs of each host, and none that waits."""
    reader, now = OscKnobReader(OSC_KNOBS), 1000.0
    for seconds, host, _, packet in sequence:
        now += seconds
        moves, wait = reader.expire(now)
        assert wait >= 0
        for _, read in moves:
            check_input(read)
        for message in osc.decode(packet)[0]:
            for read in meter.measure(reader.read, message, HOSTS[host], now) or ():
                check_input(read)
    reader.expire(now + 1)
    assert reader.expire(now + 1) == ([], math.inf)


def check_map_learn(value: tuple[int, list[bytes]], meter: Meter) -> None:
    """Learn rows from a byte stream: a table of TOML that is a map."""
    import tomllib

    from robojam.config.map_table import parse_map

    for words, out in ((["x", "temperature 0 2", "answer"], False), (["y", "speed"], True)):
        parser, learner = MidiParser(), MapLearner(words, out=out)
        for piece in value[1]:
            for message in parser.feed(piece)[0]:
                meter.measure(learner.read, "a port", message)
        parse_map(tomllib.loads(learner.toml())["map"])


TARGETS = (
    Target("value-lines", value_lines, check_value_lines, len),
    Target("slash-text", slash_text, check_slash_text),
    Target("mapped-midi", midi_jam, check_mapped_midi, lambda value: len(value[1])),
    Target("mapped-osc", arrivals, check_mapped_osc, len),
    Target("map-learn", midi_jam, check_map_learn, lambda value: len(value[1])),
    Target("osc", packets.packet, check_osc),
    Target("osc-again", packets.packet, check_round_trip),
    Target("dialects", arrivals, check_dialects, len),
    Target("midi-bytes", midi_bytes, check_stream),
    Target("midi", midi_jam, check_midi, lambda value: len(value[1])),
    Target("learn", midi_jam, check_learn, lambda value: len(value[1])),
)
