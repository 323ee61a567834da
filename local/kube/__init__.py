"""A real Kubernetes on one Linux machine: control plane, a node with containerd where the machine allows, KWOK nodes.

``binaries`` finds or builds the programs, ``cluster.LocalCluster`` describes one cluster as processes for a supervisor.
"""
