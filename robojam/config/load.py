"""Resolution of options: the command line over a TOML file over the defaults."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from robojam.config import impsy
from robojam.config.addresses import PARSERS, quoted
from robojam.config.map_table import Map, check_outputs, parse_map
from robojam.config.networks import parse_network
from robojam.config.options import BY_FIELD, BY_NAME, Option, Options
from robojam.config.toml_file import line_of, read_toml
from robojam.controls import CONTROLS
from robojam.wire.midi.styles import MAX_PORTS, parse_port, parse_styles

#: Word of show-allow that stands for all controls.
ALL_CONTROLS: Final = "all"


def _check_control(name: str) -> None:
    """Raise ValueError for what is no control."""
    if name not in CONTROLS and name != ALL_CONTROLS:
        close = get_close_matches(name, CONTROLS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(CONTROLS)}"
        raise ValueError(f"no control is named {quoted(name)}; {hint}")


#: Parsers of the options that are addresses, hosts or controls: each raises ValueError for a
#: wrong text.
_PARSERS: Final = PARSERS | {"control": parse_network, "show_allow": _check_control}


class OptionsError(ValueError):
    """Reason why an option is refused, in one line: where it stands and what is allowed."""


def resolve(
    given: Mapping[str, Any],
    config: str | None = None,
    *,
    warn: Callable[[str], object] = lambda _: None,
) -> Options:
    """Return the options of a jam: those given, over those of a TOML file, over the defaults.

    given are values from the command line by their fields in Options, numbers as text or as
    numbers; config is the path of the TOML file, or of a configuration of IMPSY. warn is called
    with each thing in the file that is left out, in a line. Raises OptionsError, which names
    the file and line, or the command line.
    """
    chosen = {} if config is None else _from_toml(config, warn)
    for name, value in given.items():
        option = BY_FIELD[name]
        if option.kind in (int, float):
            with suppress(ValueError):  # a text that is no number is refused as such
                value = option.kind(value)
        _set(chosen, option, value, "the command line")
    _check_ports(chosen)
    return Options(**chosen)


def change(options: Options, name: str, value: Any) -> Options:
    """Return options with another value of the option of that name. Raises OptionsError."""
    chosen = {field: getattr(options, field) for field in Options.__struct_fields__}
    option = BY_NAME[name]
    if value is None and option.default is None:  # back to what the system chooses
        chosen[option.field] = None
    else:
        _set(chosen, option, value, "the setup")
    _check_ports(chosen)
    return Options(**chosen)


def recorded(options: Mapping[str, Any], name: str) -> Any:
    """Return the option of that name as a recording's header holds it, checked.

    Its default where the header is without it. Raises OptionsError.
    """
    option = BY_NAME[name]
    chosen: dict[str, Any] = {}
    if options.get(name) is not None:
        _set(chosen, option, options[name], "line 1")
    return chosen.get(option.field, getattr(Options(), option.field))


def _check_ports(chosen: Mapping[str, Any]) -> None:
    """Check the MIDI ports, whose styles may stand in the TOML file."""
    for name in ("midi_in", "midi_out"):
        ports = chosen.get(name, ())
        if len(ports) > MAX_PORTS:
            reason = f"{len(ports)} ports; allowed: up to {MAX_PORTS}"
            raise OptionsError(f"{BY_FIELD[name].name}: {reason}")
        for port in ports:
            try:
                parse_port(port, chosen.get("midi", {}))
            except ValueError as error:
                raise OptionsError(f"{BY_FIELD[name].name}: {error}") from error
    try:
        check_outputs(
            chosen.get("map", Map()), chosen.get("midi_out", ()), chosen.get("midi", {})
        )
    except ValueError as error:
        raise OptionsError(f"map: {error}") from error


def _check_text(value: Any) -> None:
    """Raise ValueError for a text, or one of a list, that is not UTF-8 on the command line.

    It could not be written into a recording, nor sent.
    """
    for text in value if isinstance(value, list | tuple) else [value]:
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ValueError(f"{quoted(text)} is not text in UTF-8") from error


def _from_toml(path: str, warn: Callable[[str], object]) -> dict[str, Any]:
    """Return the options in a TOML file by their fields in Options. Raises OptionsError."""
    chosen: dict[str, Any] = {}
    try:
        table, text = read_toml(path)
        if impsy.is_impsy(table):
            converted = impsy.convert(table, text, path)
            for warning in converted.warnings:
                warn(warning)
            for name, value, where in converted.options:
                _set(chosen, BY_NAME[name], value, where)
            return chosen
    except OptionsError:
        raise
    except ValueError as error:
        raise OptionsError(str(error)) from error
    for name, value in table.items():
        where = f"{path}, line {line_of(name, text)}"
        option = BY_NAME.get(name)
        if option is None:
            hint = f"allowed: {', '.join(BY_NAME)}"
            for match in get_close_matches(name.lower().replace("_", "-"), BY_NAME, n=1):
                hint = f"did you mean {match}?"
            raise OptionsError(f"{where}: no option is named {quoted(name)}; {hint}")
        _set(chosen, option, value, where)
    return chosen


def _set(chosen: dict[str, Any], option: Option, value: Any, where: str) -> None:
    """Check a value and store it. Raises OptionsError, which begins with where."""
    try:
        if option.control is not None:
            chosen.setdefault("controls", {})[option.field] = option.control.check(value)
            return
        if option.field == "midi":
            chosen["midi"] = parse_styles(value)
            return
        if option.field == "map":
            chosen["map"] = parse_map(value)
            return
        _check_text(value)
        chosen[option.field] = checked = msgspec.convert(value, option.type)
        if option.kind is float and math.isnan(checked):
            raise msgspec.ValidationError  # msgspec's limits let NaN pass
        parse = _PARSERS.get(option.field)
        if parse is not None:
            for text in checked if option.kind is tuple else [checked]:
                parse(text)
    except msgspec.MsgspecError as error:
        hint = f"{option.name} = {quoted(value)}; allowed: {option.allowed}"
        if option.kind is tuple and isinstance(value, str):
            hint += f", also of one alone: [{quoted(value)}]"
        raise OptionsError(f"{where}: {hint}") from error
    except ValueError as error:
        if option.control:  # whose error begins with its name
            said = str(error).replace(option.field, option.name, 1)
        else:
            said = f"{option.name}: {error}"
        raise OptionsError(f"{where}: {said}") from error
