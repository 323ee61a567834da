"""Tiny stand-in processes for tests of the supervisor: they sleep, fork, die or refuse to stop."""

import sys
from pathlib import Path
from typing import Any

from local.process import ProcessSpec

SLEEP = "import time; time.sleep(600)"
FORKS = (
    "import os, subprocess, sys, time; "
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True); time.sleep(600)"
)
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


def standin(directory: Path, name: str, code: str = SLEEP, **more: Any) -> ProcessSpec:
    return ProcessSpec(name, (sys.executable, "-c", code), directory / "logs" / f"{name}.log", **more)
