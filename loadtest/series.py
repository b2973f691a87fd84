"""A recording as columns, and the moments in it that count."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Sample = dict[str, Any]


@dataclass(frozen=True)
class Marks:
    """Moments of a burst, in seconds of its recording's clock."""

    first_upload: float
    accepted: float
    converted: float
    mailed: float
    zero: float

    @property
    def drain(self) -> float:
        """From the first upload's beginning to the last job's end."""
        return self.converted - self.first_upload


def read(file: Path) -> list[Sample]:
    """The samples of a recording; a line that was cut off at the end is left out."""
    samples: list[Sample] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            samples.append(json.loads(line))
        except ValueError:
            break
    return samples


def column(samples: Sequence[Sample], *path: str) -> list[float]:
    """One figure over time, such as `pods convert ready`; NaN where it could not be read."""
    return [_at(sample, path) for sample in samples]


def _at(sample: Sample, path: Sequence[str]) -> float:
    value: Any = sample.get(path[0])
    for name in path[1:]:
        if value is None:
            break
        value = value.get(name, 0)
    return math.nan if value is None else float(value)


def peak(values: Sequence[float]) -> float:
    """The largest that was read; 0 when nothing was."""
    return max((value for value in values if not math.isnan(value)), default=0.0)


def reached(samples: Sequence[Sample], function: str, pods: int) -> float:
    """When so many pods of the function were first ready, NaN if never."""
    ready = column(samples, "pods", function, "ready")
    return next((sample["t"] for sample, count in zip(samples, ready, strict=True) if count >= pods), math.nan)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that was measured. NaN of nothing."""
    ordered = sorted(value for value in values if not math.isnan(value))
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)] if ordered else math.nan
