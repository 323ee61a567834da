"""Keep the cyclic garbage collector from walking what is no garbage.

``settle`` is for a process that serves requests, once it has loaded everything: modules, models and routes are not
looked at again, and what one request makes has mostly gone by itself before the collector looks. Else every few large
answers one waits for a walk over the whole process, for a few hundred milliseconds.

``collector_held`` is for one request that makes a great many objects that all live to its end: the collector would walk
them again and again, a third of such a request's time. Counted, so that threads of one process may overlap; what they
leave is collected when the last one is done.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

THRESHOLDS = (50_000, 20, 50)
"""Objects that outlive their making before the young ones are looked at, and rounds before the older ones are."""
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


def settle() -> None:
    """Once, after a process has loaded what it needs for its life."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
