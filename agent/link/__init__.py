"""The agent's side of the link. Pure: ``journal core documents outbox reports pace``; the rest does I/O."""
