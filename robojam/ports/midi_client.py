"""Client of the process that holds the MIDI ports (robojam.ports.midi_process)."""

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Final

from robojam.ports import midi_binding
from robojam.ports.process_client import ProcessClient
from robojam.system.child_process import python_command
from robojam.system.process_messages import KNOBS, MESSAGE, OUTPUTS
from robojam.wire.midi.styles import PortRequest

_PROGRAM: Final = "robojam.ports.midi_process"


class MidiError(ValueError):
    """MIDI is not available; the text says why, and what to do."""


class MidiClient(ProcessClient):
    """Client of a process that holds the wanted ports: inputs from 0, outputs from OUTPUTS."""

    def __init__(
        self,
        inputs: Sequence[PortRequest],
        outputs: Sequence[PortRequest],
        clock: Callable[[], float],
        *,
        program: str = _PROGRAM,
    ) -> None:
        """Start a program that holds ports. Raises MidiError where there is no RtMidi."""
        if not midi_binding.is_installed():
            raise MidiError(midi_binding.advice())
        super().__init__(
            program,
            {
                "in": [(port.name, port.virtual) for port in inputs],
                "out": [(port.name, port.virtual) for port in outputs],
            },
            clock,
            ports=[*range(len(inputs)), *range(OUTPUTS, OUTPUTS + len(outputs))],
            what="MIDI",
        )

    def send(self, number: int, data: bytes) -> bool:
        """Send MIDI messages to a port; return whether they were sent."""
        return self.put(MESSAGE, number, data)

    def send_knobs(self, number: int, data: bytes) -> bool:
        """Send MIDI messages of knobs, which stay where they are; return as `send` does."""
        return self.put(KNOBS, number, data)


def list_ports() -> dict[str, list[str]]:
    """Return this machine's MIDI ports, ``in`` and ``out``. Raises MidiError.

    Each is the name that asks for it, also after it was plugged in again.
    """
    if not midi_binding.is_installed():
        raise MidiError(midi_binding.advice())
    try:
        command, null = python_command(_PROGRAM, "list"), subprocess.DEVNULL
        names: dict[str, list[str]] = json.loads(
            subprocess.check_output(command, stdin=null, stderr=null, timeout=10)
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise MidiError(f"the MIDI ports could not be listed: {error}") from error
    return names
