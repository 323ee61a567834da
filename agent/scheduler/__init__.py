"""The scheduler's mind: ``plan(snapshot, now, config) -> Plan``, pure and deterministic.

``Planner().plan(snapshot, now, config)`` gives the same plans and keeps its working copy between calls: use it in a
loop, with unchanged nodes, groups and pods as the same objects; then a cycle costs what changed, not what exists.

No clock, no randomness, no I/O: the live loop (agent.loops) reads the cluster, calls ``plan`` and carries the plan out;
the control plane calls the very same code for previews.

Build a ``Snapshot`` from Kubernetes facts (units: milli-CPU, bytes, MiB of GPU memory, milli-GPU, times in ns)::

    Node(name, pool=labels.get("kai.scheduler/node-pool", "default"), cpu=32000, memory=256 << 30, gpus=8,
         gpu_memory=int(labels["nvidia.com/gpu.memory"]), max_pods=110, labels=labels,
         taints=(Taint("k", "v", "NoSchedule"),), ready=True, unschedulable=spec.unschedulable,
         foreign=Usage(...sum of requests of other schedulers' pods that hold the node...))
    Queue("vision", parent="research", gpu=Share(deserved=8000, limit=-1, weight=1), kind="project", label="vision")
    PodGroup("runai-vision", "train-1", queue="vision", priority=50, preemptibility=preemptibility_of(label, 50),
             created=ns, root=SubGroup(DEFAULT_SUBGROUP, min_available=4))
    Pod(uid, "runai-vision", "train-1-0", group="runai-vision/train-1",
        status=status_of(phase, node=spec.nodeName, deleted_at=..., binding=..., gated=...),
        request=Request(cpu=1000, memory=1 << 30, gpus=1),       # or gpu_fraction=500 / gpu_memory=4096, gpu_devices=n
        constraints=Constraints(node_selector=(("zone", "a"),), tolerations=(Toleration("k", "Exists"),)),
        node=spec.nodeName, gpu_groups=(...the pod's runai-gpu-group labels...))

A pod between our bind call and its ``spec.nodeName`` is given as BINDING with the node (and GPU groups) we chose.
Pods of a group stay in the snapshot while the group lives. A pod whose group is unknown only gets a reason.

Carry out a ``Plan``: for each ``Bind`` write the GPU groups on the pod, then POST the binding to ``bind.node``; for
each ``Eviction`` delete the pod (the reason is the event's text); ``nominations`` are pods that wait for what is being
freed: write status.nominatedNodeName, do not bind. ``reasons`` (per pod group key) and ``pod_reasons`` (per pod uid)
go to conditions through ``Reason.text`` and ``Reason.data()``. ``refused``: bad objects by "kind/name". ``started``:
write the group's last-start timestamp. Repeating a plan that was carried out in part is safe: the next snapshot shows
what is done.
"""

from agent.scheduler.planner import Planner, plan
from agent.scheduler.snapshot import Bind, Config, Eviction, Nomination, Pass, Plan, QueueShares, Snapshot

__all__ = ["Bind", "Config", "Eviction", "Nomination", "Pass", "Plan", "Planner", "QueueShares", "Snapshot", "plan"]
