"""Mutates the division, ordering and victim code and counts how many mutants the tests catch:
``python -m tests.agent.scheduler.mutants [--count 60] [--seed 1]``.

Each mutant changes one operator or constant in a copy of the package; the scheduler's tests run against the copy.
"""

import argparse
import ast
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
FILES = (
    "division.py",
    "order.py",
    "victims.py",
    "claims.py",
    "capacity.py",
    "protection.py",
    "foresight.py",
    "turns.py",
)
TESTS = (
    "rules",
    "victims",
    "foresight",
    "division",
    "reclaim",
    "allocate",
    "preempt",
    "defects",
    "consolidation",
    "stale",
)
SLOW = ("properties",)
SWAPS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.And: ast.Or,
    ast.Or: ast.And,
}

EQUAL = {
    ("division.py", "need < part"): "a further round finds nothing to give",
    ("division.py", "need <= part"): "the whole part is given either way, with no remainder",
    ("division.py", "remaining > 0"): "dividing nothing changes nothing",
    ("division.py", "-claim.weight"): "only for a sum of weights below zero, which intake refuses",
    ("division.py", "party.claim.weight <= 0"): "a part of nothing gives nothing",
    ("division.py", "weight > 0"): "nothing plus k times nothing is nothing",
    ("order.py", "self._peers[queue.parent] > 1"): "a key that nobody is compared by",
    ("order.py", "self._left > 1 or dismiss is not None"): "a key that nobody is compared by",
    ("victims.py", "len(bests) == 1"): "a key that nobody is compared by",
    ("victims.py", "len(self._start[parent]) == 1"): "a key that nobody is compared by",
    ("turns.py", "placed and (not places)"): "a short cut: nobody finds a place any more",
    ("turns.py", "len(found) < 2"): "a short cut: the smallest of one",
    ("division.py", "not k or not claim.usage"): "a short cut: the long way finds the same weight",
    ("division.py", "total_weight > 0"): "only for a sum of weights below zero, which intake refuses",
    ("victims.py", "self.text > other.text"): "equal texts are told apart before they are compared",
    ("victims.py", "root.active <= root.minimum"): "a short cut: the long way finds the same batch",
    ("victims.py", "root.active <= root.minimum or root.active == 1"): "a short cut: the long way finds the same batch",
    ("victims.py", "root.active == 1"): "a short cut: the long way finds the same batch",
    ("victims.py", "self._dead.get(batch.job.queue, 0) + 1"): "when dead entries are swept away",
    ("victims.py", "dead > len(line) // 2"): "when dead entries are swept away",
    ("victims.py", "self._stamps.get(queue, 0) + 1"): "any number that was not used yet will do",
    (
        "foresight.py",
        "victim < (queue_key(mine, mine.allocated, more, totals), mine.index)",
    ): "siblings differ in rank, so they are never equal",
    ("order.py", "self._version.get(queue, 0) + 1"): "any number that was not used yet will do",
    ("order.py", "part > largest"): "the largest is the same",
    ("order.py", "largest > 0.0"): "nothing is nothing either way",
    ("order.py", "self._left > 1"): "a key that nobody is compared by",
    ("order.py", "self._left -= 1"): "a short cut for the last: comparing it with nobody finds it too",
    ("order.py", "self._seen < len(charges)"): "reading nothing changes nothing",
}
"""Changes that make no difference, and why; they are not counted."""


def sites(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Places where one change makes a mutant; annotations and docstrings are left alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            yield node, "compare"
        elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in SWAPS:
            yield node, "operator"
        elif isinstance(node, ast.BoolOp):
            yield node, "boolean"
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            yield node, "sign"


def mutate(source: str, number: int) -> tuple[str, str]:
    """The source with its ``number``-th site changed, and where that was."""
    tree = copy.deepcopy(ast.parse(source))
    node, kind = list(sites(tree))[number]
    before = ast.unparse(node)
    if kind == "compare":
        node.ops[0] = SWAPS[type(node.ops[0])]()
    elif kind in ("operator", "boolean"):
        node.op = SWAPS[type(node.op)]()
    else:
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    return ast.unparse(tree), f"line {node.lineno}: {before} -> {ast.unparse(node)}"


def caught(where: Path, name: str, text: str, names: list[str]) -> bool:
    """Whether a test fails with this file in place of the real one."""
    target = where / "agent" / "scheduler" / name
    original = target.read_text()
    target.write_text(text)
    tests = [str(where / "tests" / "agent" / "scheduler" / f"test_sched_{name}.py") for name in names]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--noconftest",
        "-c",
        "/dev/null",
        "--rootdir",
        str(where),
        *tests,
    ]
    try:
        result = subprocess.run(
            command,
            cwd=where,
            capture_output=True,
            timeout=240,
            check=False,
            env={**os.environ, "PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        return result.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        target.write_text(original)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", nargs="*", default=[], help="tests to leave out, to be quicker and stricter")
    args = parser.parse_args()
    sources = {name: (ROOT / "agent" / "scheduler" / name).read_text() for name in FILES}
    every = [
        (name, index)
        for name, text in sources.items()
        for index, (node, _) in enumerate(sites(ast.parse(text)))
        if (name, ast.unparse(node)) not in EQUAL
    ]
    chosen = random.Random(args.seed).sample(every, min(args.count, len(every)))
    killed = 0
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        shutil.copytree(ROOT / "agent", where / "agent", ignore=shutil.ignore_patterns("__pycache__"))
        (where / "tests" / "agent").mkdir(parents=True)
        shutil.copytree(ROOT / "tests" / "agent" / "scheduler", where / "tests" / "agent" / "scheduler")
        names = [name for name in (*TESTS, *SLOW) if name not in args.skip]
        if caught(where, FILES[0], sources[FILES[0]], names):
            print("the tests fail without a mutant", file=sys.stderr)
            return 2
        for name, index in chosen:
            text, what = mutate(sources[name], index)
            dead = caught(where, name, text, names)
            killed += dead
            print(json.dumps({"file": name, "mutant": what, "caught": dead}), flush=True)
    print(json.dumps({"mutants": len(chosen), "caught": killed, "share": round(killed / len(chosen), 3)}))
    return 0 if killed / len(chosen) >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
