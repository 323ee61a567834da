"""Which task takes what came up from the clusters: topic of the inbox → task, called with the tenant's schema name."""

TOPICS: dict[str, str] = {
    "inventory": "clusters.tasks.ingest_inventory",
    "cluster": "clusters.tasks.ingest_cluster",
    "projects": "projects.tasks.ingest_projects",
    "workloads": "workloads.tasks.ingest_workloads",
    "events": "workloads.tasks.ingest_events",
    "security": "access.tasks.ingest_security",
}
