"""Panel of the mapped knobs: where each is now, its amount, and the scenes. Pure."""

from __future__ import annotations

from robojam.controls import amounts_of
from robojam.window.client.mapped_knobs import MappedKnob
from robojam.window.client.state import WindowState
from robojam.window.view.panels import Panel, PanelCell, Row, dial_cell, disabled
from robojam.window.view.text_fit import ColourRole

#: Name of the panel.
NAME = "map"
#: Scenes in a row.
_SCENES = 6
#: Part of morph within which it is at a scene.
_NEAR = 1e-4


def panel_of(state: WindowState) -> Panel | None:
    """Return the panel of the mapped knobs if it is open."""
    if state.view.panel != NAME:
        return None
    mapped, close = state.mapped_knobs, PanelCell("close", NAME)
    if mapped is None or not mapped.knobs:
        text = "no knobs are mapped: rows of [map.out] in robojam.toml make them"
        text = "asking the engine …" if mapped is None else text
        return Panel(((PanelCell(text, role=ColourRole.MUTED),), (close,)))
    amounts = amounts_of(state.text("amount"))
    rows = [_knob_row(knob, amounts.get(knob.name, 1.0)) for knob in mapped.knobs]
    if mapped.left_out:
        rows.append((PanelCell(f"and {mapped.left_out} more", role=ColourRole.MUTED),))
    if mapped.scenes:
        place, steps = state.controls.get("morph", 0.0), max(1, len(mapped.scenes) - 1)
        cells = [
            PanelCell(name, f"scene:{name}", selected=abs(place - i / steps) < _NEAR)
            for i, name in enumerate(mapped.scenes)
        ]
        rows += [tuple(cells[i : i + _SCENES]) for i in range(0, len(cells), _SCENES)]
        rows.append((dial_cell(state, "morph"), close))
    else:
        rows.append((close,))
    return Panel(tuple(tuple(disabled(c) if state.refuses(c.action) else c for c in row)
                       for row in rows))  # fmt: skip


def _knob_row(knob: MappedKnob, amount: float) -> Row:
    """Return name and target of a knob, a meter of its value, and the dial of its amount."""
    role = {"machine": ColourRole.MACHINE, "humans": ColourRole.HUMAN}.get(knob.who)
    if role is None:
        role = ColourRole.MACHINE if knob.who.startswith("ai") else ColourRole.HUMAN
        role = ColourRole.TEXT if knob.who == "all" else role
    whose = "" if knob.who == "machine" else f" of {knob.who}"
    return (
        PanelCell(knob.name, value_text=knob.target, width_share=1.6),
        PanelCell(
            f"{knob.source}{whose}", value_text=knob.text, meter=knob.share or 0.0,
            role=role, width_share=1.6,
        ),
        PanelCell("amount", f"amount:{knob.name}", f"{100 * amount:.0f} %", fill=amount),
    )  # fmt: skip
