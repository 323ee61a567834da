"""The log of a workload's pod, read through the link: a stream is opened in the cluster, and read by offset."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from agent.wire.messages import LogTarget
from link import services as link
from runai_cp.lib.errors import FieldError, Invalid, NotFound
from workloads.models import LogStream, Pod, Workload

PART = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogPart:
    """``stream`` and ``next_offset`` ask for what follows; ``text`` never ends inside a character."""

    stream: UUID | None
    pod: str
    text: str
    next_offset: int
    ended: bool
    error: str = ""


def read_workload_log(
    *,
    actor: Actor,
    workload: Workload,
    stream: UUID | None = None,
    pod: str = "",
    container: str | None = None,
    offset: int = 0,
    follow: bool = False,
    tail: int | None = None,
    previous: bool = False,
) -> LogPart:
    """What has come of a log from ``offset`` on. Without ``stream`` one is opened, and usually nothing has come yet.

    ``pod`` empty: the newest attempt's first pod. Raises ``NotFound`` for a pod or stream that is not this workload's.
    """
    require(actor, Action.WORKLOAD_VIEW, workload.project.scope)
    if offset < 0:
        raise Invalid(FieldError("offset", "must be 0 or more", offset))
    if stream is not None:
        if not LogStream.objects.filter(pk=stream, workload=workload).exists():
            raise NotFound("log stream not found")
        chunk = link.read_log(stream_id=stream, cluster_ids=[workload.cluster_id], offset=offset, limit=PART)
        text, length = whole_characters(chunk.data, last=chunk.ended)
        return LogPart(stream, pod, text, offset + length, chunk.ended and length == len(chunk.data), chunk.error)
    found = _pod(workload, pod)
    if found is None:
        return LogPart(None, "", "", 0, workload.is_final, "No pod has been made yet." if not workload.is_final else "")
    target = LogTarget(found.namespace, found.name, container, previous)
    with transaction.atomic():
        opened = link.open_log(cluster_id=workload.cluster_id, target=target, follow=follow, tail=tail)
        LogStream.objects.create(pk=opened, workload=workload)
    return LogPart(opened, found.name, "", 0, False)


def _pod(workload: Workload, name: str) -> Pod | None:
    pods = Pod.objects.of(workload.pk)
    if not name:
        return pods.present().first() or None
    found = pods.filter(name=name).first()
    if found is None:
        raise NotFound(f"{workload.name} has no pod named {name}")
    return found


def whole_characters(data: bytes, *, last: bool) -> tuple[str, int]:
    """Text of the bytes up to the last whole UTF-8 character, and how many bytes that were; all of them at the end."""
    length = len(data)
    if not last:
        for back in range(1, min(4, length) + 1):
            byte = data[length - back]
            if byte & 0xC0 == 0x80:
                continue  # inside a character: look further back for its first byte
            size = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            length -= back if size > back else 0
            break
    return data[:length].decode("utf-8", "replace"), length
