"""The whole beat table on one page. Beat is an alarm clock only: every task here could be lost or run twice."""

BEAT: dict[str, dict[str, object]] = {
    "link-sweep": {"task": "link.tasks.sweep", "schedule": 2.0},
    "link-prune": {"task": "link.tasks.prune", "schedule": 300.0},
    "series-maintain": {"task": "series.tasks.maintain", "schedule": 3600.0},
    "clusters-sweep": {"task": "clusters.tasks.sweep", "schedule": 30.0},
    "projects-sweep": {"task": "projects.tasks.sweep", "schedule": 30.0},
    "projects-republish": {"task": "projects.tasks.republish", "schedule": 600.0},
    "workloads-sweep": {"task": "workloads.tasks.sweep", "schedule": 5.0},
    "workloads-prune": {"task": "workloads.tasks.prune", "schedule": 3600.0},
    "access-sweep": {"task": "access.tasks.sweep", "schedule": 5.0},
    "access-prune": {"task": "access.tasks.prune", "schedule": 3600.0},
    "platform-sweep": {"task": "runai_cp.platform.tasks.sweep", "schedule": 300.0},
}
