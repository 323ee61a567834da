"""Runs recorded fair-share vectors through the division: ``python -m tests.conformance.fairshare FILE --out OUT``.

Reads only the inputs of a vector, never its recorded output.
"""

import argparse
import gzip
import json
from fractions import Fraction
from pathlib import Path

from agent.scheduler.division import Claim, divide


def load(path: str) -> dict:
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt") as file:
        return json.load(file)


def claim_of(queue: dict) -> Claim:
    return Claim(
        uid=queue["UID"],
        deserved=Fraction(queue["Deserved"]),
        limit=Fraction(queue["MaxAllowed"]),
        request=Fraction(queue["Request"]),
        weight=Fraction(queue["OverQuotaWeight"]),
        priority=queue["Priority"],
        created=queue["Created"],
        usage=Fraction(queue["Usage"]),
    )


def run(vector: dict) -> dict:
    """{"out": {uid: share}, "remaining": n} as floats, the form the judge reads."""
    claims = [claim_of(queue) for queue in vector["queues"]]
    shares, remaining = divide(Fraction(vector["total"]), claims, k=Fraction(vector["k"]))
    return {"out": {uid: float(share) for uid, share in shares.items()}, "remaining": float(remaining)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    results = [run(vector) for vector in load(args.file)["vectors"]]
    Path(args.out).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
