"""The options as they were chosen: the command line over a TOML file over the table."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from robojam.config.addresses import (
    LEARN,
    parse_address,
    parse_output,
    parse_pad,
    parse_tuio,
    quoted,
)
from robojam.config.options import (
    BY_FIELD,
    BY_NAME,
    Option,
    Options,
)
from robojam.wire.midi.styles import parse_port, parse_styles


class OptionsError(ValueError):
    """An option that cannot be: where it stands, what it is, what is allowed. One line."""


def resolve(given: Mapping[str, Any], config: str | None = None) -> Options:
    """Return the options of a jam: those given, over those of a TOML file, over the defaults.

    given are values from the command line by their fields in Options, numbers as text or as
    numbers; config is the path of the TOML file. Raises OptionsError, which names the file
    and line, or the command line.
    """
    chosen = {} if config is None else _from_toml(config)
    for name, value in given.items():
        option = BY_FIELD[name]
        _set(chosen, option, _number_of(option, value), "the command line")
    for name in ("midi_in", "midi_out"):  # whose styles may be the file's
        for port in chosen.get(name, ()):
            try:
                parse_port(port, chosen.get("midi", {}))
            except ValueError as error:
                raise OptionsError(f"{BY_FIELD[name].name}: {error}") from error
    return Options(**chosen)


def _from_toml(path: str) -> dict[str, Any]:
    """Read and check the options in a TOML file, by their fields in Options."""
    import tomllib

    try:
        text = Path(path).read_text("utf-8-sig")  # Notepad begins a file with a mark
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise OptionsError(f"{path}: not UTF-8 text, from byte {error.start} on") from error
    except OSError as error:
        raise OptionsError(f"{path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise OptionsError(f"{path}: not TOML: nested too deeply") from error
    except ValueError as error:  # not only TOMLDecodeError: a number of 5000 digits
        raise OptionsError(f"{path}: not TOML: {error}") from error
    chosen: dict[str, Any] = {}
    for name, value in table.items():
        where = f"{path}, line {_line_of(name, text)}"
        option = BY_NAME.get(name)
        if option is None:
            hint = _nearest(name.lower().replace("_", "-"), BY_NAME)
            hint = hint or f"; allowed: {', '.join(BY_NAME)}"
            raise OptionsError(f"{where}: no option is named {quoted(name)}{hint}")
        _set(chosen, option, value, where)
    return chosen


def _set(chosen: dict[str, Any], option: Option, value: Any, where: str) -> None:
    """Check a value and store it under its field, or under controls."""
    checked = _checked(option, value, where)
    if option.control is None:
        chosen[option.field] = checked
    else:
        chosen.setdefault("controls", {})[option.field] = checked


def _line_of(name: str, text: str) -> int:
    """Find the line, counted from 1, where a key of the top table or its own table stands."""
    pattern = rf"^[ \t]*\[*[ \t]*[\"']?{re.escape(name)}[\"']?[ \t]*[=.\]]"
    found = re.search(pattern, text, re.MULTILINE)
    return 1 + text.count("\n", 0, found.start() if found else 0)


def _nearest(name: str, names: Iterable[str]) -> str:
    """Suggest the one that was meant, or nothing."""
    import difflib

    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _number_of(option: Option, given: Any) -> Any:
    """Read a number from its text on the command line. What is none is left for _checked."""
    if option.kind not in (int, float):
        return given
    try:
        return option.kind(given)
    except ValueError:
        return given


def _checked(option: Option, value: Any, where: str) -> Any:
    """Return value as Options holds it, by the one set of rules; else OptionsError."""
    try:
        if option.control is not None:
            return option.control.check(value)
        if option.field == "midi":
            return parse_styles(value)
        kept = msgspec.convert(value, option.type)
        if option.kind is float and math.isnan(kept):
            raise msgspec.ValidationError  # msgspec's limits let NaN pass
        if option.field == "osc_in":
            parse_address(kept)
        elif option.field == "osc_out":
            for output in kept:
                parse_output(output)
        elif option.field == "tuio_in":
            parse_tuio(kept, default_host="127.0.0.1")
        elif option.field == "touchosc":
            for pad in kept:
                if pad != LEARN:
                    parse_pad(pad)
    except msgspec.MsgspecError as error:
        told = f"{option.name} = {quoted(value)}; allowed: {option.allowed}"
        if option.kind is tuple and isinstance(value, str):
            told += f", also of one alone: [{quoted(value)}]"
        raise OptionsError(f"{where}: {told}") from error
    except ValueError as error:
        name = "" if option.control else f"{option.name}: "  # a control's error has it
        raise OptionsError(f"{where}: {name}{error}") from error
    return kept
