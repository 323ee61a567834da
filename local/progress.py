"""One line per step with the seconds since the start, on the terminal and in ``up.log``, from any thread."""

from __future__ import annotations

import threading
import time
from pathlib import Path


class Progress:
    """Callable: ``progress("web ready")`` prints ``[  4.2 s] web ready``. A log file keeps the same lines."""

    def __init__(self, log: Path | None = None, *, terminal: bool = True) -> None:
        self._began = time.monotonic()
        self._terminal = terminal
        self._lock = threading.Lock()
        self._log = log
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("")

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def __call__(self, text: str) -> None:
        line = f"[{self.elapsed():6.1f} s] {text}"
        with self._lock:
            if self._log is not None:
                with self._log.open("a") as file:
                    file.write(line + "\n")
            if self._terminal:
                print(line, flush=True)
