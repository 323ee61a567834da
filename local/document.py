"""What a stack tells others about itself: the ``up --json`` document, the summary for people, the status table."""

from __future__ import annotations

from typing import Any

from local.files import read_json
from local.state import State


def document(state: State) -> dict[str, Any]:
    """The stable document of ``python -m local up --json``; singular keys are the first tenant and cluster."""
    tenants = sorted(state.get("tenants", {}).values(), key=lambda item: item["index"])
    wanted = state.get("options", {})
    passwords = read_json(state.path.parent / "secrets" / "users.json") or {}
    tenants = [
        {**_without(item, "index"), "users": _users(item["tenant"], passwords)}
        for item in tenants[: wanted.get("tenants", len(tenants))]
    ]
    clusters = [
        _without(item, "enrolled")
        for name, item in sorted(state.get("clusters", {}).items(), key=lambda pair: (len(pair[0]), pair[0]))
        if "kubeconfig" in item
    ][: wanted.get("clusters")]
    first = tenants[0] if tenants else {}
    cluster = clusters[0] if clusters else {}
    return {
        "status": state.get("status", "stopped"),
        **first,
        "link": f"https://127.0.0.1:{state.get('ports', {}).get('link')}",
        "redis": state.get("redis"),
        "link_ca": str(state.path.parent / "secrets" / "ca.crt"),
        "kubeconfig": cluster.get("kubeconfig"),
        "cluster": {"uuid": cluster.get("uuid"), "name": cluster.get("name")} if cluster else None,
        "tenants": tenants,
        "clusters": clusters,
        "processes": [
            {"name": item["name"], "pid": item["pid"], "log": item["log"]} for item in state.get("processes", [])
        ],
    }


def _users(tenant: str, passwords: dict[str, str]) -> list[dict[str, str]]:
    """People that the seed made in this tenant."""
    return [
        {"email": email, "password": password}
        for email, password in passwords.items()
        if email.endswith(f"@{tenant}.example")
    ]


def _without(item: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != key}


def summary(state: State) -> str:
    """Addresses and logins, for the terminal."""
    facts = document(state)
    lines = []
    for tenant in facts["tenants"]:
        lines += [
            f"  Console   {tenant['console']}",
            f"  Login     {tenant['admin']['email']}   {tenant['admin']['password']}",
        ]
        lines += [f"  Login     {user['email']}   {user['password']}" for user in tenant["users"]]
        lines.append(f"  REST      {tenant['api']}/api/v1   application {tenant['application']['id']}")
    for cluster in facts["clusters"]:
        where = "a real node and simulated nodes" if cluster.get("real_node") else "simulated nodes only"
        lines.append(
            f"  Cluster   {cluster['name']} of {cluster['tenant']}: {where}; KUBECONFIG={cluster['kubeconfig']}"
        )
    return "\n".join(lines)


def table(state: State) -> str:
    """Processes with what a person wants to know of each."""
    rows = [("PROCESS", "STATE", "PID", "RESTARTS", "LOG")]
    for item in state.get("processes", []):
        phase = item["phase"] if item["healthy"] or item["phase"] != "ready" else "not answering"
        restarts = str(item["restarts"]) + (f" (last: {item['last_exit']})" if item["last_exit"] else "")
        rows.append((item["name"], phase, str(item["pid"] or "-"), restarts, item["log"]))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    )
