"""Why a conversion may have to end before its time: the job is lost, or the process ends sooner than it would."""

import time

from functions.common.draining import Draining
from functions.common.lease import Lease


class Stop:
    """What child.convert asks again and again; `for_draining` says which of the two it was."""

    def __init__(self, lease: Lease, draining: Draining, deadline: float) -> None:
        self.for_draining = False
        self._lease, self._draining, self._deadline = lease, draining, deadline
        self._began = time.monotonic()

    def is_set(self) -> bool:
        """Whether to end now; once it is so it stays so."""
        if self._lease.lost.is_set():
            return True
        if self._draining.begun and self._seconds_to_go() > self._draining.left:
            self.for_draining = True
        return self.for_draining

    def _seconds_to_go(self) -> float:
        now, percent = time.monotonic(), self._lease.progress
        most = self._deadline - now
        return min(most, (now - self._began) * (100 - percent) / percent) if percent else most
