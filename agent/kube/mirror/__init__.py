"""The cluster as the scheduler thinks of it, kept up to date change by change.

``Mirror`` takes changes from stores and gives snapshots in which what did not change is the very same object as before.
It does no I/O and knows no clock: the loop tells it what it has decided (assumptions) and what time it is.
"""

from agent.kube.mirror.mirror import Mirror

__all__ = ["Mirror"]
