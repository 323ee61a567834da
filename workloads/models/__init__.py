"""Tables of the workloads room; one file a subject."""

from workloads.models.event import Event, PhaseChange
from workloads.models.log import LogStream
from workloads.models.pod import Pod
from workloads.models.workload import DesiredPhase, Source, Workload

__all__ = ["DesiredPhase", "Event", "LogStream", "PhaseChange", "Pod", "Source", "Workload"]
