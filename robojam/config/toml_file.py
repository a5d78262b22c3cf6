"""Files of TOML that a person has written: their tables, and where in the file a key stands."""

import re
from pathlib import Path
from typing import Any, Final

#: The name of a table; a line of a list of lists begins with a quote or a number.
_HEADER: Final = re.compile(r"^[ \t]*\[{1,2}[ \t]*[A-Za-z_][^,\n]*\]", re.MULTILINE)


def read_toml(path: str) -> tuple[dict[str, Any], str]:
    """Return the top table of a file and its text. Raises ValueError, which names the file."""
    import tomllib

    try:
        text = Path(path).read_text("utf-8-sig")  # Windows' Notepad writes a mark first
        return tomllib.loads(text), text
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text, from byte {error.start} on") from error
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise ValueError(f"{path}: not TOML: nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, or a number of 5000 digits
        raise ValueError(f"{path}: not TOML: {error}") from error


def line_of(key: str, text: str, *, section: str = "", item: str = "") -> int:
    """Return the number of the line, from 1, of a key of a table, or of the table of a name.

    section is the table that the key is in, where it has one; item one of the key's own keys.
    Where a key is not found, it is the line of its table, or the first.
    """
    begin, end = 0, len(text)
    if section:
        header = re.search(rf"^[ \t]*\[[ \t]*{_quotable(section)}[ \t]*\]", text, re.MULTILINE)
        if header:
            begin = header.end()
            following = _HEADER.search(text, begin)
            end = following.start() if following else end
    within = text[begin:end]
    found = None
    if item:
        pattern = rf"^[ \t]*{_quotable(key)}[ \t]*\.[ \t]*{_quotable(item)}"
        found = re.search(pattern, within, re.MULTILINE)
    pattern = rf"^[ \t]*\[*[ \t]*{_quotable(key)}[ \t]*[=.\]]"
    found = found or re.search(pattern, within, re.MULTILINE)
    return 1 + text.count("\n", 0, begin + found.start() if found else begin)


def _quotable(name: str) -> str:
    """Return the pattern of a name that may stand in quotes."""
    return rf"[\"']?{re.escape(name)}[\"']?"
