"""What the scheduler thinks about: frozen values for nodes, pods, pod groups, queues, topologies and reasons.

A true leaf: imports the standard library only. Units everywhere: CPU in milli-CPU, memory in bytes, accounted GPU in
milli-GPU (1000 = one device), GPU memory in MiB, times and durations in integer nanoseconds, -1 = unlimited.
"""
