"""Targets of files: recordings, corpora as text and arrays, models; and what is discovered."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import msgspec
import numpy as np

from robojam.config.addresses import format_address, parse_output
from robojam.corpus.corpus import CorpusError, clean
from robojam.corpus.formats import read as read_corpus
from robojam.corpus.units import Units
from robojam.model import file as model_file
from robojam.model.event import touch_event
from robojam.model.file import ModelDescription, ModelFileError
from robojam.ports import discovery
from robojam.sessions import session
from robojam.sessions.playback import settings_of
from robojam.sessions.session import SessionError
from robojam.sessions.strokes import walk
from support.fuzz.core import Meter, Target, integer, mutate, mutate_text, number, text
from support.fuzz.texts import written
from support.recordings import HEAD, JAM

_JSON = '{}[],:"0123456789eE+-.\\untrlfas \n\0é'

# -- recordings --------------------------------------------------------------------------------


def _json(random: Random, value: Any) -> str:
    """Return a value as JSON; numbers that it has no form for are written all the same."""
    if random.random() < 0.03:
        return random.choice(("9" * 5000, "1e999", "-1e-999", "[" * 3000, '{"a":' * 2000, "nul",
                              '"\\ud800"', "1" + "0" * 400, "NaN", ""))  # fmt: skip
    return json.dumps(value)


def _line(random: Random, t: float) -> str:
    kind = random.random()
    if kind < 0.6:
        fields: dict[str, Any] = {
            "t": t, "who": random.choice(("human", "human2", "ai", "ai2", text(random))),
            "phase": random.choice(("down", "move", "up", "slide")), "id": integer(random),
            "x": random.random(), "y": random.random(), "dt": random.random(),
        }  # fmt: skip
    elif kind < 0.8:
        name = random.choice(("mode", "temperature", "pause", "seed", "model", "range", "x"))
        fields = {"t": t, "set": {name: random.choice((number, integer, text))(random)}}
    elif kind < 0.9:
        fields = {"t": t, "end": text(random), "late_ms": {"p50": number(random)}}
    else:
        fields = {text(random): number(random) for _ in range(random.randrange(4))}
    for name in [*fields]:
        if random.random() < 0.04:
            fields[name] = random.choice((number, integer, text, lambda _: None))(random)
        if random.random() < 0.02:
            del fields[name]
    pairs = [f"{json.dumps(name)}:{_json(random, value)}" for name, value in fields.items()]
    return "{" + ",".join(pairs) + "}"


def recording(random: Random) -> bytes:
    """Return a recording with faults in its header, in lines, or in bytes."""
    if random.random() < 0.2:
        return mutate(random, JAM, b'\0{}[]",:0-1e\n\xff')
    head = HEAD.decode()
    if random.random() < 0.3:
        head = mutate_text(random, head, _JSON)
    t, lines = 0.0, [head.rstrip("\n")]
    for _ in range(random.choice((0, 1, 3, 10))):
        t += random.choice(
            (0.0, 0.01, 0.5, 100.0, -0.1) if random.random() < 0.2 else (0.0, 0.1)
        )
        lines.append(_line(random, t))
    whole = "\n".join(lines) + random.choice(("\n", "\n", "", "\n\n", "\n{"))
    return whole.encode("utf-8", "surrogatepass")


def check_session(data: bytes, meter: Meter) -> None:
    """Read a recording: events that are written and read alike, or a reason with its line."""
    try:
        read = meter.measure(session.parse, data)
    except SessionError as error:
        assert error.why
        assert len(str(error)) < 1000
        return
    meter.measure(read.summary)
    list(meter.measure(lambda: [*walk(read)]))
    lines = [session.encode_header(read.header), *map(session.encode, read.events)]
    again = session.parse(b"".join(lines))
    assert (again.header, again.events) == (read.header, read.events)
    try:
        meter.measure(settings_of, read)
    except ValueError as error:
        assert str(error)


# -- corpora -----------------------------------------------------------------------------------

_HEADS = (
    "time,x,y,z,moving", "t;x;y;moving", "dt\tx\ty", "x y dt moving", "# time, x, y",
    "time,device_id,x_pos,y_pos,velocity", "Time,X,Y", '"time","x","y"', "x,y", "a,b,c",
)  # fmt: skip
_FIELDS = (
    "0.5", "1", "0", "-1", "0,5", "1e5", "nan", "inf", "1e999", "", " ", "true", "false",
    "TRUE", "2026-11-28T20:47:05.5", "2026-11-28 20:47:05", "9999-12-31T23:59:59",
    "0001-01-01T00:00:00Z", '"0.5"', '"', '""', "'", "0x10", "1_0", "9" * 400, "9" * 20_000,
    "é", "\ufeff", "abc", "#",
)  # fmt: skip
_LINE_ENDS = ("\n", "\n", "\r\n", "\r", "\n\n")


def table(random: Random) -> bytes:
    """Return a table, or a log, of touches, with faults."""
    separator, end = random.choice((",", ",", ";", "\t", " ", ", ")), random.choice(_LINE_ENDS)
    lines, time, width = [], 0.0, random.choice((3, 4, 5, 5))
    is_log = random.random() < 0.2
    if not is_log and random.random() < 0.8:
        head = random.choice(_HEADS)
        width = len(head.replace(";", ",").replace("\t", ",").split(","))
        lines.append(head.replace(",", separator))
    for row in range(random.choice((0, 1, 3, 20, 30, 100))):
        time += random.choice((0.0, 0.02, 0.02, 0.5, 40.0))
        if is_log:
            stamp = f"2026-11-28T20:{int(time) // 60 % 60:02}:{time % 60:09.6f}"
            source = random.choice(("interface", "rnn"))
            fields = [stamp, source, *(f"{random.random():.4f}" for _ in range(2))]
        else:
            fields = [f"{time:.3f}", *(f"{random.random():.4f}" for _ in range(width - 2)),
                      str(int(row > 0))]  # fmt: skip
        if random.random() < 0.05:
            fields[random.randrange(len(fields))] = random.choice(_FIELDS)
        if random.random() < 0.02:
            fields = fields[: random.randrange(len(fields))]
        lines.append(separator.join(fields))
    whole = end.join(lines) + end
    if random.random() < 0.2:
        whole = mutate_text(random, whole, "0123456789,;\t\n\r\"' .e-+#\0é")
    encoding = random.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32"))
    return whole.encode(encoding, "surrogatepass")


def _array(random: Random) -> np.ndarray[Any, Any]:
    kind = random.choice((np.float32, np.float64, np.int16, np.int32, np.uint8, np.float16))
    rows, columns = random.choice((0, 1, 2, 5, 30)), random.choice((1, 2, 3, 4, 5))
    rng = np.random.default_rng(random.getrandbits(32))
    values = rng.random((rows, columns)) * random.choice((1, 1, 100, 1e30))
    if columns > 3:
        values[:, 3] = values[:, 3] > values[:, 3].mean() if rows else 0
    with np.errstate(all="ignore"):
        array = values.astype(kind)
    if random.random() < 0.1 and array.size:
        with np.errstate(all="ignore"):
            flat = array.reshape(-1)
            flat[random.randrange(flat.size)] = random.choice((0, 1, 100))
            if array.dtype.kind == "f":
                flat[random.randrange(flat.size)] = random.choice((np.nan, np.inf, -1e4))
    return array.reshape(random.choice((array.shape, array.shape, (-1,), (1, *array.shape))))


def npy(random: Random, array: np.ndarray[Any, Any] | None = None) -> bytes:
    """Return an array file, whose header sometimes lies."""
    array = _array(random) if array is None else array
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=random.choice(((1, 0), (2, 0))))
    data = stream.getvalue()
    kind = random.random()
    if kind < 0.15:
        old = str(array.shape).encode()
        shapes = (b"(-1, 4)", b"(99999999999, 4)", b"()", b"(4,)", b"(0, 4)", b"(2, -4)",
                  b"(True, 4)", b"(1e3, 4)")  # fmt: skip
        data = data.replace(old, random.choice(shapes))
    elif kind < 0.25:
        descr = (
            b"'|O'",
            b"'<U4'",
            b"'>f8'",
            b"'<c8'",
            b"'<M8[s]'",
            b"[('a', '<f4')]",
            b"'|V9'",
        )
        start = data.find(b"'descr': ") + 9
        end = data.find(b",", start)
        data = data[:start] + random.choice(descr) + data[end:]
    return data if random.random() < 0.8 else mutate(random, data)


def npz(random: Random) -> bytes:
    """Return an archive of arrays, some of which are not what their names say."""
    stream = io.BytesIO()
    names = random.choice((
        ("touches", "lengths"), ("train_strokes", "train_lengths"), ("perfs",), ("a", "b"),
        ("touches",), ("lengths",), ("train", "valid"), ("touches", "lengths", "../x"), (),
    ))  # fmt: skip
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "w", method) as archive:
        rows = 0
        for name in names:
            array = _array(random)
            if "lengths" in name and random.random() < 0.8:
                array = np.array([rows] if random.random() < 0.8 else [1, rows - 1], np.int32)
                array = (
                    array.reshape(()) if random.random() < 0.05 and array.size == 1 else array
                )
            rows = len(array) if array.ndim else 0
            archive.writestr(f"{name}.npy", npy(random, array))
    data = stream.getvalue()
    return data if random.random() < 0.7 else mutate(random, data)


def corpus(random: Random) -> bytes:
    """Return a file of performances of any kind."""
    kind = random.random()
    if kind < 0.5:
        return table(random)
    if kind < 0.65:
        return npz(random)
    if kind < 0.8:
        return npy(random)
    if kind < 0.95:
        return recording(random)
    magic = random.choice((b"\x1f\x8b", b"BZh", b"\x80\x04", b"PK\3\4", b"[[1]]", b"\x93NUMPY"))
    return magic + bytes(random.getrandbits(8) for _ in range(random.randrange(40)))


def check_corpus(data: bytes, meter: Meter) -> None:
    """Read a corpus and clean it: finite touches, or a reason."""
    path = written(data, "a.dat")
    for units in (None, Units((0.0, 1024.0), (0.0, 768.0), 0.001)):
        try:
            read = meter.measure(lambda given=units: read_corpus(path, units=given))
        except CorpusError as error:
            assert error.args
            assert len(str(error)) < 3000
            continue
        assert read.lengths.sum() == len(read.events)
        cleaned = meter.measure(clean, read)
        assert cleaned.lengths.sum() == len(cleaned.events)
        assert np.isfinite(np.asarray(cleaned.events)).all()


# -- models ------------------------------------------------------------------------------------


@cache
def _model() -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Return the description of a small model, and its weights."""
    description = ModelDescription(event=touch_event(components=2, hidden=4), units=4, layers=1)
    shapes = model_file.shapes(description.event, 4, 1)
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return msgspec.to_builtins(description), weights


def _changed(random: Random, value: Any) -> Any:
    """Return a description in which some parts are anything."""
    if random.random() < 0.02:
        return random.choice((integer, number, text, lambda _: None, lambda _: []))(random)
    if isinstance(value, dict):
        return {k: _changed(random, v) for k, v in value.items() if random.random() < 0.995}
    if isinstance(value, list):
        return [_changed(random, v) for v in value]
    return value


def model(random: Random) -> bytes:
    """Return a model's file, whose header or description has faults."""
    described, weights = _model()
    description = json.dumps(_changed(random, described))
    if random.random() < 0.1:
        description = mutate_text(random, description, _JSON)
    header: dict[str, Any] = {"__metadata__": {model_file._KEY: description}}
    at = 0
    for name, array in weights.items():
        kind = random.choice(("F16", "I32", "BOOL", "F32")) if random.random() < 0.01 else "F32"
        shape = [*array.shape]
        if random.random() < 0.01:
            shape = random.choice(([0], [-1], [2**62, 4], [], [1, *shape]))
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    if random.random() < 0.05:
        header["__metadata__"] = random.choice((None, {}, {model_file._KEY: 3}, [], {"a": "b"}))
    data = bytearray(at)
    if random.random() < 0.1 and at:
        place = random.randrange(at // 4) * 4
        data[place : place + 4] = random.choice(
            (b"\0\0\x80\x7f", b"\0\0\xc0\x7f", b"\0\0\x80\xff")
        )
    encoded = json.dumps(header).encode()
    if random.random() < 0.1:
        encoded = mutate(random, encoded, b'{}[]",:0\0')
    size = len(encoded) if random.random() < 0.95 else integer(random) % 2**64
    whole = struct.pack("<Q", size) + encoded + bytes(data)
    return whole if random.random() < 0.95 else mutate(random, whole)


def check_model(data: bytes, meter: Meter) -> None:
    """Read a model's file: finite weights of the shapes described, or a reason."""
    path = written(data, "a.safetensors")
    try:
        read = meter.measure(model_file.read, path)
    except ModelFileError as error:
        assert len(str(error)) < 3000
        return
    assert all(np.isfinite(array).all() for array in read.weights.values())


# -- discovery ---------------------------------------------------------------------------------


@dataclass
class _Service:
    """Service as zeroconf describes it."""

    hosts: list[str]

    def parsed_scoped_addresses(self) -> list[str]:
        return self.hosts


_HOSTS = (
    "127.0.0.1", "0.0.0.0", "::", "::1", "fe80::1", "fe80::1%eth0", "ff02::1", "224.0.0.1",
    "::ffff:10.0.0.2", "10.0.0.2", "255.255.255.255", "2001:db8::1", "fe80::1%3",
)  # fmt: skip


def services(random: Random) -> tuple[list[str], int]:
    """Return the addresses and the port that a program announces."""
    hosts = [random.choice(_HOSTS) for _ in range(random.randrange(4))]
    return hosts, integer(random) % 65535 + 1


def check_discovery(value: tuple[list[str], int], meter: Meter) -> None:
    """Choose the addresses of a program: each can be played to as it is printed."""
    hosts, port = value
    for host in meter.measure(discovery._by_preference, _Service(hosts)):
        output = parse_output(format_address(host, max(1, port % 65536)))
        assert output.host == host


TARGETS = (
    Target("session", recording, check_session, work=30_000),
    Target("corpus", corpus, check_corpus, work=60_000),
    Target("model", model, check_model, work=30_000),
    Target("discovery", services, check_discovery),
)
