"""Carries out commands. Every act names the uid it means, so that running one again, or late, hits nothing else."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from agent.kube.errors import Conflict, KubeError, NotFound
from agent.kube.protocol import Kube
from agent.kube.resources import NAMESPACE, POD, WORKLOAD
from agent.link.logs import LogStreams
from agent.wire import labels, limits
from agent.wire.codec import from_dict
from agent.wire.commands import Kind, ResultState
from agent.wire.messages import Command, Effect, LogOrder, Result

log = structlog.get_logger(__name__)


class Refusal(Exception):
    """The command cannot be carried out; ``code`` says why, for machines."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Executor:
    def __init__(self, kube: Kube, logs: LogStreams) -> None:
        self._kube = kube
        self._logs = logs
        self._acts: dict[str, Callable[[dict[str, Any]], Awaitable[tuple[Effect, ...]]]] = {
            Kind.POD_DELETE: self._delete_pod,
            Kind.LOG_OPEN: self._open_log,
            Kind.LOG_CLOSE: self._close_log,
            Kind.WORKLOAD_SUSPEND: self._suspend_workload,
            Kind.WORKLOAD_DELETE: self._delete_workload,
        }

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(self._acts)

    async def run(self, command: Command) -> Result:
        """The result; never raises for what the cluster or the command's body says."""
        started = time.monotonic()
        state, code, output, effects = ResultState.SUCCEEDED, "", "", ()
        try:
            effects = await self._acts[command.kind](dict(command.body))  # type: ignore[assignment]
        except Refusal as error:
            state, code, output = ResultState.FAILED, error.code, str(error)
        except NotFound as error:
            state, code, output = ResultState.FAILED, "not_found", error.message
        except Conflict as error:
            state, code, output = ResultState.FAILED, "changed_meanwhile", error.message
        except KubeError as error:
            state, code, output = ResultState.FAILED, "cluster_error", error.message
        except (ValueError, KeyError, TypeError) as error:
            state, code, output = ResultState.FAILED, "bad_body", str(error)
        elapsed = int((time.monotonic() - started) * 1000)
        log.info("command_done", id=command.id, kind=command.kind, state=state.value, code=code, ms=elapsed)
        return Result(command.id, state, code, output[: limits.MAX_RESULT_OUTPUT // 4], effects, elapsed)

    async def _delete_pod(self, body: dict[str, Any]) -> tuple[Effect, ...]:
        namespace, name, uid = _where(body)
        await self._require_project(namespace)
        try:
            await self._kube.delete(POD, name, namespace, uid=uid, grace_s=body.get("grace_s"))
        except NotFound:
            return ()  # what was asked for is so
        return (Effect("v1/Pod", namespace, name, uid or ""),)

    async def _suspend_workload(self, body: dict[str, Any]) -> tuple[Effect, ...]:
        namespace, name, uid = _where(body)
        suspend = body.get("suspend", True)
        if not isinstance(suspend, bool):
            raise Refusal("bad_body", f"suspend: {suspend!r} given, true or false is needed")
        change: dict[str, Any] = {"spec": {"suspend": suspend}}
        if uid:
            change["metadata"] = {"uid": uid}
        await self._kube.patch(WORKLOAD, name, namespace, body=change)
        return (Effect("run.ai/v1/Workload", namespace, name, uid or ""),)

    async def _delete_workload(self, body: dict[str, Any]) -> tuple[Effect, ...]:
        namespace, name, uid = _where(body)
        try:
            await self._kube.delete(WORKLOAD, name, namespace, uid=uid, propagation="Background")
        except NotFound:
            return ()
        return (Effect("run.ai/v1/Workload", namespace, name, uid or ""),)

    async def _open_log(self, body: dict[str, Any]) -> tuple[Effect, ...]:
        self._logs.open(from_dict(LogOrder, body))
        return ()

    async def _close_log(self, body: dict[str, Any]) -> tuple[Effect, ...]:
        self._logs.close(str(body["streamId"]))
        return ()

    async def _require_project(self, namespace: str) -> None:
        """Pods are deleted in namespaces of projects only, whatever the server says."""
        found = await self._kube.get(NAMESPACE, namespace)
        marks = found["metadata"].get("labels") or {}
        if labels.PROJECT not in marks and labels.QUEUE_OF_NAMESPACE not in marks:
            raise Refusal("not_ours", f"namespace {namespace} belongs to no project")


def _where(body: dict[str, Any]) -> tuple[str, str, str | None]:
    """(namespace, name, uid). Raises ``Refusal`` naming the field."""
    for field in ("namespace", "name"):
        if not isinstance(body.get(field), str) or not body[field]:
            raise Refusal("bad_body", f"{field}: {body.get(field)!r} given, a name is needed")
    uid = body.get("uid")
    return body["namespace"], body["name"], str(uid) if uid else None
