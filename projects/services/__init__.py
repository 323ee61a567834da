"""Verbs of the projects room: each one transaction, permission first, audit entry inside, documents last."""

from projects.services.departments import (
    CreateDepartment,
    UpdateOrgUnit,
    create_department,
    delete_department,
    ensure_default_department,
    update_department,
)
from projects.services.projects import CreateProject, create_project, delete_project, update_project
from projects.services.quotas import set_quotas

__all__ = [
    "CreateDepartment",
    "CreateProject",
    "UpdateOrgUnit",
    "create_department",
    "create_project",
    "delete_department",
    "delete_project",
    "ensure_default_department",
    "set_quotas",
    "update_department",
    "update_project",
]
