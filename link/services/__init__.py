"""What the rooms above may ask of the post office. Everything else in ``link`` is its own business.

Calls that owe a cluster something belong inside the transaction that changes the fact, at its end: they take the lock
of the cluster's counters and keep it until the commit. For many clusters go in the order of their ids.
"""

from link.services.clusters import (
    confirm_removals,
    mint_enrolment,
    register_cluster,
    remove_cluster,
    rename_cluster,
    revoke_agent,
)
from link.services.commands import CommandStatus, cancel_command, command_status, send_command
from link.services.desired import (
    DesiredStatus,
    caught_up,
    delete_desired,
    desired_over_clusters,
    desired_status,
    put_desired,
    withdraw_last,
)
from link.services.inbox import InboxItem, claim_inbox, inbox_backlog, report_security
from link.services.issuers import forget_issuer, issuer_of, publish_issuer
from link.services.liveness import Liveness, liveness
from link.services.logs import LogChunk, close_log, open_log, read_log
from link.services.snapshots import SchedulerView, scheduler_view

__all__ = [
    "CommandStatus",
    "DesiredStatus",
    "InboxItem",
    "Liveness",
    "LogChunk",
    "SchedulerView",
    "cancel_command",
    "caught_up",
    "claim_inbox",
    "close_log",
    "command_status",
    "confirm_removals",
    "delete_desired",
    "desired_over_clusters",
    "desired_status",
    "forget_issuer",
    "inbox_backlog",
    "issuer_of",
    "liveness",
    "mint_enrolment",
    "open_log",
    "publish_issuer",
    "put_desired",
    "read_log",
    "register_cluster",
    "remove_cluster",
    "rename_cluster",
    "report_security",
    "revoke_agent",
    "scheduler_view",
    "send_command",
    "withdraw_last",
]
