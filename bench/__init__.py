"""Benchmarks: ``python -m bench NAME`` prints JSON, one object a line, and asserts nothing about time."""
