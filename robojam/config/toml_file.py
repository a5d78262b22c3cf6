"""Files of TOML that a person has written: their tables, and where in the file a key stands."""

import re
from pathlib import Path
from typing import Any


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


def line_of(key: str, text: str) -> int:
    """Return the number of the line, from 1, of a key of a table, or of the table of a name."""
    pattern = rf"^[ \t]*\[*[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*[=.\]]"
    match = re.search(pattern, text, re.MULTILINE)
    return 1 + text.count("\n", 0, match.start() if match else 0)
