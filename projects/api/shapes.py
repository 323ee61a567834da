"""Departments and projects as JSON of the public contract. Rows come from ``filters.listed``."""

from typing import Any

from projects import rules
from projects.api.resources import pool_statuses, quota_status, resources, total_resources
from projects.models import Department, Project
from runai_cp.lib.renderers import timestamp

Json = dict[str, Any]


def _unit(row: Department | Project) -> Json:
    quotas = row.listed_quotas
    return {
        "id": str(row.pk),
        "name": row.name,
        "description": row.description,
        "clusterId": str(row.cluster_id),
        "defaultNodePools": row.default_node_pools or None,
        "schedulingRules": rules.rules_shape(row.scheduling_rules),
        "nodeTypes": rules.types_shape(row.node_types),
        "version": row.version,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
        "createdBy": row.created_by,
        "updatedBy": row.updated_by,
        "totalResources": total_resources(quotas),
        "resources": resources(quotas),
    }


def department(row: Department) -> Json:
    """What a department holds is what its projects hold: the sums of ``filters.listed``."""
    held = {"allocated": {"gpu": row.gpu_allocated_milli / 1000}, "requested": {"gpu": row.gpu_requested_milli / 1000}}
    return _unit(row) | {"status": {"quotaStatus": held}}


def project(row: Project) -> Json:
    quotas = row.listed_quotas
    return _unit(row) | {
        "parent": None,
        "parentId": str(row.department_id),
        "parentName": row.department.name,
        "requestedNamespace": row.requested_namespace or None,
        "enforceRunaiScheduler": row.enforce_runai_scheduler,
        "status": {
            "namespace": row.namespace,
            "phase": row.phase,
            "phaseMessage": row.phase_message or None,
            "lastUpdatedTime": timestamp(row.phase_since),
            "nodePoolQuotaStatuses": pool_statuses(quotas),
            "quotaStatus": quota_status(quotas),
        },
        "effective": {
            "schedulingRules": rules.rules_shape(
                rules.effective_rules(row.scheduling_rules, row.department.scheduling_rules)
            ),
            "defaultNodePools": row.default_node_pools or row.department.default_node_pools or None,
            "nodeTypes": rules.types_shape(rules.effective_types(row.node_types, row.department.node_types)),
        },
    }
