"""Metrics of the HTTP API in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

#: Type of what /metrics answers.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: Names in a report that are numbers, how each is called, its kind, and what it is.
_NUMBERS: Final = (
    ("processes", "robojam_processes", "gauge", "processes that play"),
    ("waiting", "robojam_continuations_waiting", "gauge", "continuations that wait"),
    ("playing", "robojam_continuations_playing", "gauge", "continuations that are played"),
    ("rows", "robojam_batch_rows", "gauge", "continuations in a batch, on average"),
    ("restarts", "robojam_restarts_total", "counter", "processes that were started again"),
    ("played_again", "robojam_played_again_total", "counter",
     "continuations that were played again, as their replica had died"),
)  # fmt: skip


def prometheus(report: Mapping[str, Any]) -> str:
    """Return the report of an Api (robojam.web.api) as metrics."""
    lines = [
        *_head("robojam_requests_total", "counter", "requests, by how they ended"),
        *(
            f'robojam_requests_total{{end="{end}"}} {count}'
            for end, count in report["requests"].items()
        ),
        *_head("robojam_answer_seconds", "gauge", "time of the last 1000 answers"),
        *(
            f'robojam_answer_seconds{{quantile="{int(name[1:]) / 100:g}"}} {value / 1000:g}'
            for name, value in report["latency_ms"].items()
            if value is not None
        ),
    ]
    for key, name, kind, about in _NUMBERS:
        if key in report:
            lines += [*_head(name, kind, about), f"{name} {report[key]:g}"]
    return "\n".join([*lines, ""])


def _head(name: str, kind: str, about: str) -> Iterable[str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"
