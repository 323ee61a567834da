"""``python -m agent ROLE [ROLE…]``: see ``agent.main``."""

import sys

from agent.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
