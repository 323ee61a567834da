"""Sizes and times both sides keep to, in one file with their reasons (bytes, milliseconds, counts)."""

MAX_BODY = 1024 * 1024
"""Compressed request body."""
MAX_INFLATED = 8 * 1024 * 1024
MAX_RATIO = 100
"""Above this ratio of inflated to compressed a body is a bomb, if it inflates to more than ``RATIO_ABOVE``."""
RATIO_ABOVE = 1024 * 1024
PLAIN_BELOW = 1024
"""Bodies under this are sent plain."""
MAX_INLINE = 64 * 1024
"""Body of a command or document inside an answer; larger documents travel as blobs."""
MAX_BLOB = 32 * 1024 * 1024
MAX_DOCUMENT = 1024 * 1024
"""A Kubernetes object above this does not fit the store behind the API server."""
MAX_BATCH = 500
MAX_ANSWER = 256 * 1024
MAX_COMMANDS = 50
MAX_OPEN_PER_CLUSTER = 1_000
MAX_OPEN_PER_TENANT = 20_000
MAX_RESULT_OUTPUT = 32 * 1024
MAX_RESULTS_BACKLOG = 500
"""At this many unreported results the agent takes no more commands; it never drops one."""
RING_ITEMS = 5_000
MAX_LOG_CHUNK = 256 * 1024
MAX_LOG_STREAM = 1024**3
MAX_FAILURES = 100

HOLD_MS = 25_000
"""A poll is held this long: idle limits on the way are commonly 60 s."""
HOLD_JITTER = 0.1
SOCKET_EXTRA_MS = 10_000
"""The agent's socket timeout is hold + this."""
RENEWAL_MS = HOLD_MS
LEASE_MS = 3 * RENEWAL_MS + HOLD_MS
"""The server gives a running command up after this. The agent must give up first: one renewal less."""
AGENT_LEASE_MS = LEASE_MS - RENEWAL_MS
STALE_AFTER_MS = 3 * HOLD_MS
OFFLINE_AFTER_MS = 5 * HOLD_MS
DROPPED_AFTER_MS = 10_000
"""The agent's connection broke and it did not come back for this long."""
WATCHDOG_MS = 300_000
"""An agent without one successful request for this long exits, so that its pod starts anew."""
