"""How many cores this process may use: a pod's limit is far below what the host has."""

import os
from math import ceil
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


def cores(group: Path = _GROUP) -> int:
    """The processors that this process may run on, or its control group's limit where that is lower; at least 1."""
    limits = [len(os.sched_getaffinity(0)), *_limits(group)]
    return max(1, min(limits))


def _limits(group: Path) -> list[int]:
    # A container sees its own group at the top, by cgroup v2 as "quota period" ("max" for none), by v1 in two files.
    for quota, period in (
        (_words(group / "cpu.max")[:1], _words(group / "cpu.max")[1:]),
        (_words(group / "cpu/cpu.cfs_quota_us"), _words(group / "cpu/cpu.cfs_period_us")),
    ):
        if quota and period and quota[0].isdigit() and int(period[0]) > 0:
            return [ceil(int(quota[0]) / int(period[0]))]
    return []


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
