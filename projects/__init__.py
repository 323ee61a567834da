"""Entitlement: departments, projects and their quota per node pool, written down for the cluster as documents."""
