"""Repeats a plan from a saved snapshot: ``python -m agent.scheduler.replay FILE`` ("-" = standard input).

The file may be compressed (gzip), as ``GET /snapshot`` of the agent gives it. The same file gives the same text, byte
for byte, wherever it runs.
"""

import argparse
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.domain.quantities import RESOURCES
from agent.domain.reasons import number
from agent.scheduler.planner import plan
from agent.scheduler.saved import load
from agent.scheduler.snapshot import Plan


def lines(decided: Plan) -> Iterator[str]:
    """The plan in words: binds, evictions, nominations, reasons, refusals, and each queue's shares."""
    for bind in decided.binds:
        on = f" on devices {', '.join(bind.gpu_groups)}" if bind.gpu_groups else ""
        yield f"bind {bind.pod} to {bind.node}{on}"
    for eviction in decided.evictions:
        moved = f", restarts on {eviction.moved_to}" if eviction.moved_to else ""
        yield f"evict {eviction.pod} from {eviction.node} ({eviction.action}{moved}): {eviction.reason.text}"
    for one in decided.nominations:
        yield f"nominate {one.pod} to {one.node}"
    for key in sorted(decided.reasons):
        for why in decided.reasons[key]:
            yield f"waits {key}: {why.text}"
    for key in sorted(decided.ahead):
        yield f"behind {key}: {decided.ahead[key]} waiting workloads of its queue come first"
    for key in sorted(decided.waits):
        yield f"expected {key}: starts at {decided.waits[key]}"
    for name in sorted(decided.refused):
        yield f"refused {name}: {decided.refused[name].text}"
    for name in sorted(decided.shares):
        shares = decided.shares[name]
        parts = [
            f"{resource} {number(resource, held)} of fair share {number(resource, fair)}"
            for resource, held, fair in zip(RESOURCES, shares.allocated, shares.fair_share, strict=True)
        ]
        yield f"queue {name}: {'; '.join(parts)}"


def _text(data: bytes) -> str:
    return (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m agent.scheduler.replay", description=__doc__)
    parser.add_argument("file", help='a saved snapshot, "-" for standard input')
    args = parser.parse_args(argv)
    try:
        decided = plan(*load(_text(sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes())))
    except (OSError, EOFError, ValueError) as error:
        print(f"{args.file}: {error}", file=sys.stderr)
        return 2
    for line in lines(decided):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
