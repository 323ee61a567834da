"""The whole system on one machine: databases, Kubernetes clusters, control plane and agents, run as one.

``python -m local`` is the command; the demo, the tests and the benchmarks use the same code.
"""
