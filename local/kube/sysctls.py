"""Kernel settings of the whole machine that kubelet changes: noted before the first real node, put back after the last.

The note lies in ``/run``, like the clusters' directories of sockets by which the last one is told.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

NAMES = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def note(run: Path = Path("/run"), settings: Path = Path("/proc/sys")) -> None:
    """Write down today's values unless another cluster has done so already."""
    file = run / "runai-sysctls.json"
    if not file.exists():
        values = {name: (settings / name).read_text().strip() for name in NAMES if (settings / name).exists()}
        file.write_text(json.dumps(values))


def restore(run: Path = Path("/run"), settings: Path = Path("/proc/sys")) -> None:
    """Put the noted values back if no cluster with a real node is left. Safe to repeat."""
    file = run / "runai-sysctls.json"
    if not file.exists() or any(path.is_dir() for path in run.glob("runai-*")):
        return
    with contextlib.suppress(ValueError):
        for name, value in json.loads(file.read_text()).items():
            with contextlib.suppress(OSError):
                (settings / name).write_text(value)
    file.unlink(missing_ok=True)
