"""Check of the addresses at which other machines reach this one."""

from __future__ import annotations

from robojam.config.addresses import is_loopback, parse_address
from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, warning
from robojam.ports.discovery import addresses


def check_network(options: Options) -> Finding:
    """List this machine's addresses, and say whether the engine listens there."""
    host, port = parse_address(options.osc_in)
    found = addresses()
    only_here = host == "localhost" or is_loopback(host)
    if not found:
        text = "no network: other machines cannot reach this one"
        if only_here:
            return ok(f"{text}, and osc-in does not listen to any")
        return warning(text, "connect it to the network of the others")
    text = f"reached at {', '.join(found)}"
    if not only_here:
        return ok(f"{text}, port {port}")
    return ok(
        f"{text}, but osc-in listens to this machine alone",
        "for a phone or tablet:",
        f"robojam jam --osc-in 0.0.0.0:{port}",
    )
