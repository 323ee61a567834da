"""Data of a new stack through REST, as any administrator would make it: departments, projects, a researcher.

What to make is pure data (``plan``); making it is safe to repeat: what has its name already is left alone.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from local.rest import Rest, RestError

DEFAULT_POOL, SIMULATED_POOL = "default", "simulated"
BIG_PROJECTS = 200
POOLS_S = 90.0


class SeedFailed(Exception):
    """The data could not be made; the text says what is missing."""


@dataclass(frozen=True)
class ProjectSeed:
    """GPU quota per node pool."""

    name: str
    department: str
    gpus: dict[str, float]
    researchers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seed:
    departments: dict[str, dict[str, float]]
    """Department → GPU quota per node pool."""
    projects: tuple[ProjectSeed, ...]
    users: tuple[str, ...] = field(default=())


def plan(data: str, tenant: str, simulated_nodes: int) -> Seed:
    """What ``--data`` means. ``empty``: one project to submit to; ``big``: hundreds of them."""
    simulated = {SIMULATED_POOL: 16.0} if simulated_nodes else {}
    if data == "empty":
        return Seed(
            {"research": {DEFAULT_POOL: 8.0, **simulated}},
            (ProjectSeed("vision", "research", {DEFAULT_POOL: 8.0, **simulated}),),
        )
    researcher = f"researcher@{tenant}.example"
    whole = {DEFAULT_POOL: 8.0} | ({SIMULATED_POOL: 64.0} if simulated_nodes else {})
    projects = [
        ProjectSeed("vision", "research", {DEFAULT_POOL: 4.0, **simulated}, (researcher,)),
        ProjectSeed("language", "research", {DEFAULT_POOL: 4.0, **simulated}, (researcher,)),
    ]
    departments = {"research": whole}
    if data == "big":
        departments |= {f"department-{n:02d}": dict.fromkeys(whole, 0.0) for n in range(1, 21)}
        projects += [
            ProjectSeed(f"project-{n:03d}", f"department-{n % 20 + 1:02d}", dict.fromkeys(whole, 0.0))
            for n in range(BIG_PROJECTS)
        ]
    return Seed(departments, tuple(projects), (researcher,))


def sow(rest: Rest, cluster: str, seed: Seed, passwords: dict[str, str]) -> dict[str, str]:
    """Make everything of ``seed`` in ``cluster`` (its UUID). Returns passwords of users made now and before."""
    pools = _pools(rest, cluster, seed)
    departments = {
        name: _ensure(rest, "departments", cluster, {"name": name, "resources": _resources(quota, pools)})
        for name, quota in seed.departments.items()
    }
    passwords = passwords | {email: _user(rest, email) for email in seed.users if email not in passwords}
    for project in seed.projects:
        body = {
            "name": project.name,
            "parentId": departments[project.department],
            "resources": _resources(project.gpus, pools),
        }
        found = _ensure(rest, "projects", cluster, body)
        for email in project.researchers:
            _grant(rest, email, found)
    return passwords


def _pools(rest: Rest, cluster: str, seed: Seed) -> dict[str, str]:
    """Node pools of the cluster by name, once the agent has reported those that the seed needs."""
    wanted = {pool for quota in seed.departments.values() for pool in quota}
    deadline = time.monotonic() + POOLS_S
    while True:
        listed = rest.get("/node-pools", limit=500, filterBy=f"clusterId=={cluster}")["nodepools"]
        found = {item["name"]: str(item["id"]) for item in listed}
        if wanted <= set(found):
            return found
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(wanted - set(found)))
            raise SeedFailed(f"after {POOLS_S:.0f} s the agent has reported no node of the node pool {missing}")
        time.sleep(0.3)


def _resources(quota: dict[str, float], pools: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"nodePool": {"id": pools[pool], "name": pool}, "gpu": {"deserved": gpus, "limit": None, "overQuotaWeight": 1}}
        for pool, gpus in quota.items()
    ]


def _ensure(rest: Rest, kind: str, cluster: str, body: dict[str, Any]) -> str:
    """Id of the department or project with this name in the cluster, made where missing."""
    answer = _tolerating_conflict(rest, f"/org-unit/{kind}", {**body, "clusterId": cluster})
    if answer is not None:
        return str(answer["id"])
    filters = f"name=={body['name']},clusterId=={cluster}"
    return str(rest.get(f"/org-unit/{kind}", filterBy=filters)[kind][0]["id"])


def _user(rest: Rest, email: str) -> str:
    """Make a user; an unknown password of an existing one is reset."""
    password = secrets.token_urlsafe(12)
    answer = _tolerating_conflict(rest, "/users", {"email": email, "password": password})
    if answer is not None:
        return str(answer.get("tempPassword") or password)
    found = next(item["id"] for item in rest.get("/users", filterBy=f"username=={email}") if item["username"] == email)
    return str(rest.post(f"/users/{found}/password").json()["tempPassword"])


def _grant(rest: Rest, email: str, project: str) -> None:
    rule = {"subjectId": email, "subjectType": "user", "roleName": "researcher", "scopeType": "project"}
    _tolerating_conflict(rest, "/authorization/access-rules", {**rule, "scopeId": project})


def _tolerating_conflict(rest: Rest, path: str, body: dict[str, Any]) -> Any:
    """The answer's JSON, or None where that name exists already."""
    try:
        return rest.post(path, body).json()
    except RestError as error:
        if error.status == 409:
            return None
        raise
