"""Numbers as people read them: three digits that mean something, and a unit that fits."""

from __future__ import annotations

_DURATIONS = (
    (0.9995e-9, 1e-12, "ps"),
    (0.9995e-6, 1e-9, "ns"),
    (0.9995e-3, 1e-6, "µs"),
    (0.9995, 1e-3, "ms"),
    (120, 1, "s"),
    (7_200, 60, "min"),
    (172_800, 3_600, "h"),
)


def number(value: float) -> str:
    """Return a number with about three digits: 0.41, 12.3, 1,230."""
    if abs(value) >= 100:
        digits = len(str(int(abs(value)))) - 3
        return f"{round(value, -digits) if digits > 0 else value:,.0f}"
    written = f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}" if abs(value) >= 0.995 else f"{value:.2g}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def duration(seconds: float) -> str:
    """Return seconds in a unit that fits: 66 ps, 42 ns, 83 µs, 410 ms, 12.3 s, 5.1 min, 2.3 h, 4.2 days."""
    for limit, factor, unit in _DURATIONS:
        if seconds < limit:
            return f"{number(seconds / factor)} {unit}"
    return f"{number(seconds / 86_400)} days"


def size(count: float) -> str:
    """Return a number of bytes: 8.19 kB, 610 MB, 2.2 GB, 10 TB."""
    for limit, factor, unit in ((1e3, 1.0, "bytes"), (1e6, 1e3, "kB"), (1e9, 1e6, "MB"), (1e12, 1e9, "GB")):
        if count < limit:
            return f"{number(count / factor)} {unit}"
    return f"{number(count / 1e12)} TB"
