"""One line of the table: a measured value, the bar that it has to pass, and what it was measured against."""

import json
import operator
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_COMPARE = {">=": operator.ge, "<=": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class Row:
    """`bar` is an operator and a number, such as ">= 0.7"; `reference` says in words what stood against it."""

    name: str
    value: float
    bar: str
    unit: str
    reference: str

    @property
    def passed(self) -> bool:
        """Whether the value is on the right side of the bar."""
        compare, limit = self.bar.split()
        return bool(_COMPARE[compare](self.value, float(limit)))


@dataclass(frozen=True)
class Point:
    """A value for the picture: in which of its panels, of which group there, for which series."""

    panel: str
    group: str
    series: str
    value: float


def median_ratio(measured: Sequence[float], reference: Sequence[float]) -> float:
    """The median of the rounds' ratios: what slows a round slows both, so it drops out."""
    return statistics.median(one / other for one, other in zip(measured, reference, strict=True))


def table(rows: Sequence[Row]) -> str:
    """The rows as text, misses marked."""
    cells = [("what", "measured", "bar", "", "against")]
    cells += [
        (row.name, f"{row.value:.2f} {row.unit}", row.bar, "ok" if row.passed else "MISSED", row.reference)
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in cells)


def write(rows: Sequence[Row], path: Path) -> None:
    """The rows as JSON, for programs and for comparing runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [{**asdict(row), "value": round(row.value, 3)} for row in rows]
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
