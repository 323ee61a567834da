"""What should exist in the cluster for a project, a node pool or a workload, and what that which exists means. Pure."""
