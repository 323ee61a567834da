"""The collector is held while anybody holds it, and works again after the last one, errors included."""

import gc
import subprocess
import sys
from threading import Barrier, Thread

import pytest

from runai_cp.lib.garbage import collector_held


def test_it_works_again_after_an_error():
    with pytest.raises(KeyError), collector_held():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_holds_of_several_threads_overlap():
    seen, together = [], Barrier(3)

    def hold():
        with collector_held():
            together.wait(10)
            seen.append(gc.isenabled())
            together.wait(10)

    threads = [Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    together.wait(10)
    together.wait(10)
    for thread in threads:
        thread.join(10)
    assert (seen, gc.isenabled()) == ([False, False], True)


def test_a_process_that_has_settled_leaves_what_it_loaded_alone():
    """In a process of its own: this one goes on with its tests."""
    program = (
        "import gc; from runai_cp.lib.garbage import settle; settle(); "
        "print(gc.get_freeze_count() > 1000, gc.get_threshold())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "True (50000, 20, 50)\n"
