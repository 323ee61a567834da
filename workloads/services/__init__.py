"""Verbs of the workloads room: each one transaction, permission first, audit entry inside, document or command last."""

from workloads.services.clone import clone_request
from workloads.services.commands import settle_acts
from workloads.services.delivery import Delivery, delivery
from workloads.services.history import HistoryRecord, history
from workloads.services.lifecycle import (
    delete_workload,
    finish_deletions,
    resume_workload,
    suspend_workload,
    withdraw_cluster,
    withdraw_project,
)
from workloads.services.logs import LogPart, read_workload_log
from workloads.services.replace import replace_workload
from workloads.services.submit import preview_manifest, submit_workload
from workloads.services.yaml import request_of_yaml, workload_yaml

__all__ = [
    "Delivery",
    "HistoryRecord",
    "LogPart",
    "clone_request",
    "delete_workload",
    "delivery",
    "finish_deletions",
    "history",
    "preview_manifest",
    "read_workload_log",
    "replace_workload",
    "request_of_yaml",
    "resume_workload",
    "settle_acts",
    "submit_workload",
    "suspend_workload",
    "withdraw_cluster",
    "withdraw_project",
    "workload_yaml",
]
