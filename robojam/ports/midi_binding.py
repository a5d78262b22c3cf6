"""Binding of RtMidi, the library of MIDI ports: python-rtmidi, or else supriya-midi.

Both bind the same library and reach the same MIDI systems (ALSA, JACK, CoreMIDI, WinMM).
python-rtmidi has wheels up to Python 3.12, supriya-midi for later versions, too.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from robojam.system.install import install_command

#: Modules of the bindings; the first that is installed is used.
BINDINGS: Final = ("rtmidi", "supriya_midi")
#: Exceptions that ports raise besides those of their binding.
_ERRORS: Final = (OSError, RuntimeError, SystemError, ValueError)

#: Function that is called with each MIDI message that a port receives.
OnMessage = Callable[[bytes], None]
#: The same, with the seconds since the message before it.
OnStamped = Callable[[bytes, float], None]


@dataclass(frozen=True, slots=True)
class Binding:
    """Functions and constants of a binding that robojam uses.

    alsa, jack and dummy are RtMidi's numbers of those MIDI systems; systems returns the numbers
    of those that the binding was built for. make_input and make_output make a port, not yet
    open, of a system under a client's name. listen calls a function with each message of a
    port; listen_to_clock also with those of a clock, and with the seconds since the one before
    by the MIDI system. errors are the exceptions that ports raise.
    """

    alsa: int
    jack: int
    dummy: int
    systems: Callable[[], Sequence[int]]
    make_input: Callable[[int, str], Any]
    make_output: Callable[[int, str], Any]
    listen: Callable[[Any, OnMessage], None]
    listen_to_clock: Callable[[Any, OnStamped], None]
    errors: tuple[type[Exception], ...]


def is_installed() -> bool:
    """Return whether there is a binding, without importing it."""
    return any(find_spec(module) is not None for module in BINDINGS)


def load() -> Binding:
    """Return the binding that is installed. Raises ImportError where none can be used."""
    try:
        import rtmidi
    except ImportError:
        if find_spec("supriya_midi") is None:
            raise
        return _load_supriya()
    return Binding(
        rtmidi.API_LINUX_ALSA,
        rtmidi.API_UNIX_JACK,
        rtmidi.API_RTMIDI_DUMMY,
        rtmidi.get_compiled_api,
        rtmidi.MidiIn,
        rtmidi.MidiOut,
        lambda port, on_message: port.set_callback(
            lambda received, _: on_message(bytes(received[0])), None
        ),
        _listen_to_clock,
        (rtmidi.RtMidiError, *_ERRORS),
    )


def _listen_to_clock(port: Any, on_message: OnStamped) -> None:
    port.ignore_types(True, False, True)  # of exclusive messages, clock, active sensing
    port.set_callback(lambda received, _: on_message(bytes(received[0]), received[1]), None)


def _listen_to_clock_of_supriya(port: Any, on_message: OnStamped) -> None:
    port.ignore_types(True, False, True)
    port.set_callback(lambda message, stamp, *_: on_message(bytes(message), stamp))


def _load_supriya() -> Binding:
    if sys.platform == "linux":
        # The wheel brings a JACK library whose protocol may not be that of the server here. The
        # library of the system, loaded before it for all, takes its place.
        with suppress(OSError):
            ctypes.CDLL("libjack.so.0", mode=ctypes.RTLD_GLOBAL)
    import supriya_midi
    from supriya_midi import RtMidiAPI

    return Binding(
        RtMidiAPI.LINUX_ALSA,
        RtMidiAPI.UNIX_JACK,
        RtMidiAPI.RTMIDI_DUMMY,
        supriya_midi.get_compiled_apis,
        lambda system, client: supriya_midi.MidiIn(RtMidiAPI(system), client),
        lambda system, client: supriya_midi.MidiOut(RtMidiAPI(system), client),
        lambda port, on_message: port.set_callback(
            lambda message, *_: on_message(bytes(message))
        ),
        _listen_to_clock_of_supriya,
        (supriya_midi.RtMidiError, *_ERRORS),
    )


def advice(*, version: tuple[int, int] = sys.version_info[:2]) -> str:
    """Return the error where no binding is installed: what to type."""
    package = "python-rtmidi" if version < (3, 13) else "supriya-midi"
    text = f"MIDI needs {package}, which is not installed"
    command = install_command(package)
    if command is None:
        return f"{text}: install robojam in a virtual environment, with pipx or with uv"
    return f"{text}: {command}"
