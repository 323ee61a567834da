"""``python -m bench NAME [options]``: runs the benchmark in ``bench/NAME.py``; each prints one JSON object a line."""

import importlib
import sys
from pathlib import Path


def names() -> list[str]:
    """The benchmarks there are: modules of this package with a ``main(argv)``, helpers start with an underscore."""
    here = Path(__file__).parent
    return sorted(path.stem for path in here.glob("*.py") if not path.stem.startswith("_"))


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in names():
        print(f"usage: python -m bench {{{'|'.join(names())}}} [options]", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"bench.{argv[0]}").main(argv[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
