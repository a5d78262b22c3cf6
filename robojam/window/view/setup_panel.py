"""Panel in which ports, sound device, model and voices are chosen. Pure."""

from __future__ import annotations

from dataclasses import replace

from robojam.system.shell import printable
from robojam.window.client.setup import MAX_VOICES, PORT_LISTS, Choice, EngineSetup
from robojam.window.client.state import WindowState
from robojam.window.view.panels import Panel, PanelCell, Row, disabled, typed_row
from robojam.window.view.text_fit import ColourRole

#: Name of the panel, and of the lists that open from it: "setup:midi-in".
NAME = "setup"
#: Choices on a page.
PAGE = 7
#: Options that have a list, with the words of the panel for each.
TITLES = {
    "midi-in": "MIDI keyboards and controllers",
    "midi-out": "MIDI instruments that the machine plays",
    "osc-out": "OSC programs that the machine plays",
    "sound-out": "sound",
    "model": "model",
}


def panel_of(state: WindowState, page: int) -> Panel | None:
    """Return the setup panel or one of its lists; None where neither is open.

    page is the page of a list.
    """
    setup, (panel, _, name) = state.setup, state.view.panel.partition(":")
    close = PanelCell("close", NAME)
    if panel != NAME:
        return None
    if setup is None:
        own = "devices are chosen in a window on the engine's own machine"
        text = own if state.remote else "asking the engine …"
        return Panel(((PanelCell(text, role=ColourRole.MUTED),), (close,)))
    if name in TITLES:
        rows = _list_rows(setup, name, page, state.view.typed_name)
        close_row: Row = (PanelCell("back", f"{NAME}-open:"), close)
    else:
        rows, close_row = _overview(setup), (close,)
    if setup.error:
        rows = (*rows, (PanelCell(setup.error, role=ColourRole.ALERT),))
    return Panel((*rows, close_row))


def _overview(setup: EngineSetup) -> tuple[Row, ...]:
    rows = [
        (PanelCell(title, f"{NAME}-open:{name}", _summary(setup, name)),)
        for name, title in TITLES.items()
    ]
    fewer = PanelCell("fewer", f"voices:{setup.voices - 1}")
    more = PanelCell("more", f"voices:{setup.voices + 1}")
    voices = PanelCell("voices of the machine", value_text=f"{setup.voices}", width_share=3)
    return (
        *rows,
        (
            voices,
            fewer if setup.voices > 1 else disabled(fewer),
            more if setup.voices < MAX_VOICES else disabled(more),
        ),
    )


def _summary(setup: EngineSetup, name: str) -> str:
    if name in PORT_LISTS:
        chosen = [choice.text for choice in setup.choices(name) if choice.chosen]
        return ", ".join(chosen) or "none"
    if name == "model":
        return _model_name(setup.model)
    return (printable(setup.sound_out) or "the system's choice") if setup.sound else "off"


def _model_name(file: str) -> str:
    return printable(file.removesuffix(".safetensors"))


def list_choices(setup: EngineSetup, name: str) -> tuple[Choice, ...]:
    """Return all choices of an option's list, in the order of the panel."""
    if name in PORT_LISTS:
        return setup.choices(name)
    available = setup.available.get(name, ())
    if name == "model":
        return tuple(Choice(_model_name(m), m, m == setup.model) for m in available)
    named = [Choice(printable(device), device) for device in available]
    if setup.sound and setup.sound_out:
        matches = [d for d in available if setup.sound_out.lower() in d.lower()]
        opened = min(matches, key=lambda d: d != setup.sound_out, default=setup.sound_out)
        named = [replace(choice, chosen=choice.value == opened) for choice in named]
        if not matches:
            named.append(Choice(printable(opened), opened, True, missing=True))
    system = Choice("the system's choice", "", setup.sound and not setup.sound_out)
    return (Choice("off", "off", not setup.sound), system, *named)


def last_page(choices: tuple[Choice, ...]) -> int:
    """Return the number of the last page of a list, from 0."""
    return max(0, len(choices) - 1) // PAGE


def _list_rows(setup: EngineSetup, name: str, page: int, typed: str | None) -> tuple[Row, ...]:
    choices = list_choices(setup, name)
    page = min(page, last_page(choices))  # the list may have become shorter
    shown = choices[page * PAGE : (page + 1) * PAGE]
    rows: list[Row] = [(PanelCell(TITLES[name], role=ColourRole.MUTED),)]
    rows += [_choice_row(choice, name) for choice in shown]
    if not shown:
        text = "looking …" if setup.looking else "none was found"
        rows.append((PanelCell(text, role=ColourRole.MUTED),))
    if name == "osc-out":
        if typed is None:
            rows.append((PanelCell("another address", "type-address"),))
        else:
            rows.append(typed_row("", typed, "HOST:PORT or HOST:PORT/DIALECT"))
    if setup.left_out:
        text = f"{setup.left_out} more are not listed: name them in robojam.toml"
        rows.append((PanelCell(text, role=ColourRole.MUTED),))
    if len(choices) > PAGE:
        before, after = PanelCell("before", "setup-page:-1"), PanelCell("after", "setup-page:1")
        is_last = len(choices) <= (page + 1) * PAGE
        rows.append(
            (before if page else disabled(before), disabled(after) if is_last else after)
        )
    return tuple(rows)


def _choice_row(choice: Choice, name: str) -> Row:
    state = "not there" if choice.missing else "on" if choice.chosen else ""
    role = ColourRole.ALERT if choice.missing else ColourRole.TEXT
    toggle = PanelCell(
        choice.text, f"choose:{name}:{choice.value}", state, selected=choice.chosen, role=role,
        width_share=3,
    )  # fmt: skip
    if not choice.style:
        return (toggle,)
    return toggle, PanelCell("style", f"style:{name}:{choice.value}", choice.style)
