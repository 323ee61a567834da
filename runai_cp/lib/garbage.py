"""Hold the cyclic garbage collector back while one request makes a great many objects that all live to its end.

It would walk them again and again and find nothing: a third of such a request's time. Counted, so that threads of one
process may overlap; what they leave is collected when the last one is done.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_held = 0


@contextmanager
def collector_held() -> Iterator[None]:
    """For seconds, not for the life of a process: reference counts still free what has no cycle."""
    global _held
    with _lock:
        _held += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _held -= 1
            if not _held:
                gc.enable()
