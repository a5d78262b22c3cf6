"""Panel with the QR code that leads phones to the web pad. Pure, but for the code itself."""

from __future__ import annotations

from robojam.window.client.state import WindowState
from robojam.window.client.web_pad import WebPad
from robojam.window.view.panels import Panel, PanelCell, Row
from robojam.window.view.qr_code import qr_modules
from robojam.window.view.text_fit import ColourRole

#: Name of the panel.
NAME = "web"


def panel_of(state: WindowState) -> Panel | None:
    """Return the panel of the web pad if it is open."""
    if state.view.panel != NAME:
        return None
    pad, close = state.web, PanelCell("close", NAME)
    if state.remote:
        text = "the code is shown in a window on the engine's own machine"
        return Panel(((PanelCell(text, role=ColourRole.MUTED),), (close,)))
    if pad.url:
        return Panel((*_open_rows(pad), (PanelCell("no more phones", "web-stop"), close)))
    text = "every phone in the room can be a pad, with nothing to install"
    rows: list[Row] = [(PanelCell(text),), (PanelCell("let phones play", "web-start"), close)]
    if problem := pad.problem or (state.setup.error if state.setup else ""):
        rows.insert(0, (PanelCell(problem, role=ColourRole.ALERT),))
    return Panel(tuple(rows))


def _open_rows(pad: WebPad) -> tuple[Row, ...]:
    here = "1 phone is here" if pad.connections == 1 else f"{pad.connections} phones are here"
    has_code = bool(qr_modules(pad.url))
    how = "scan it, and play" if has_code else "open this address on a phone, and play"
    rows: tuple[Row, ...] = (
        (PanelCell(pad.url, role=ColourRole.MUTED),),
        (PanelCell(how, value_text=here),),
    )
    return ((PanelCell("", code=pad.url),), *rows) if has_code else rows
