"""Checks of this machine for a jam: what works, what does not, and what to do about it.

Each check is a function in a module of its kind, which is given the options of a jam. `runner`
runs each in a process of its own, with a time limit: no check can hang, crash or change the
command. Parsers of what the tools of a system print are pure.
"""

__all__ = ["bundle", "finding", "privacy", "runner"]
