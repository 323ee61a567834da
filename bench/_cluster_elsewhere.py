"""``python -m bench._cluster_elsewhere HOST ARGS``: the agent as a process of another machine.

Whoever reads its lease cannot see that the process is gone, and has to wait until the lease runs out.
"""

from __future__ import annotations

import socket
import sys

from agent.main import main

if __name__ == "__main__":
    host = sys.argv[1]
    socket.gethostname = lambda: host
    sys.exit(main(sys.argv[2:]))
