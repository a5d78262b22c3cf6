"""Table of the checks, in the order in which they are shown."""

from typing import Final, NamedTuple

from robojam.doctor.finding import Status


class Check(NamedTuple):
    """One check: its name, its function, and its limit.

    failure is the status that is reported when the check itself fails or takes too long.
    """

    name: str
    module: str
    function: str
    seconds: float = 10.0
    failure: Status = "warning"


CHECKS: Final = (
    Check("robojam", "robojam.doctor.software", "check_versions", failure="problem"),
    Check("packages", "robojam.doctor.software", "check_packages", failure="problem"),
    Check("model", "robojam.doctor.compute", "check_model", 60.0, "problem"),
    Check("gpu", "robojam.doctor.compute", "check_gpu", 30.0),
    Check("audio", "robojam.doctor.audio", "check_audio"),
    Check("midi", "robojam.doctor.midi", "check_midi", 15.0),
    Check("beat", "robojam.doctor.midi", "check_beat", 15.0),
    Check("display", "robojam.doctor.display", "check_display"),
    Check("osc-in", "robojam.doctor.sockets", "check_osc_in"),
    Check("tuio-in", "robojam.doctor.sockets", "check_tuio_in"),
    Check("osc-out", "robojam.doctor.sockets", "check_osc_out"),
    Check("network", "robojam.doctor.network", "check_network"),
    Check("firewall", "robojam.doctor.firewall", "check_firewall", 20.0),
    Check("clock", "robojam.doctor.clock", "check_clock"),
    Check("real-time", "robojam.doctor.real_time", "check_real_time"),
    Check("disk", "robojam.doctor.disk", "check_disk"),
)
