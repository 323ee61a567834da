"""Verbs of the clusters room: each one transaction, permission first, audit entry inside."""

from clusters.services.clusters import (
    CreateCluster,
    DeletionImpact,
    UpdateCluster,
    create_cluster,
    delete_cluster,
    deletion_impact,
    finish_deletions,
    rename_cluster,
    revoke_credentials,
    statuses,
    update_cluster,
)
from clusters.services.install import install_command, install_manifest

__all__ = [
    "CreateCluster",
    "DeletionImpact",
    "UpdateCluster",
    "create_cluster",
    "delete_cluster",
    "deletion_impact",
    "finish_deletions",
    "install_command",
    "install_manifest",
    "rename_cluster",
    "revoke_credentials",
    "statuses",
    "update_cluster",
]
