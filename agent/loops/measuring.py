"""Takes one tick's measurements: facts from the caches, kubelet summaries by the API server, DCGM exporters by HTTP.

A source that does not answer in time is left out of this tick; nothing is guessed for it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import aiohttp
import structlog

from agent.kube import quantity
from agent.kube.convert.nodes import PoolRule, gpu_memory_mib, node_of, node_pool_of, pool_of
from agent.kube.convert.pods import asked_of, is_finished
from agent.kube.errors import KubeError
from agent.kube.protocol import Kube, Obj
from agent.kube.resources import NODE, NODE_POOL, POD
from agent.kube.watch import Informers
from agent.metrics.aggregate import NodeFact, PodFact, Tick
from agent.metrics.dcgm import Device, devices
from agent.metrics.exposition import parse
from agent.metrics.judging import attributed
from agent.metrics.kubelet import Summary, summary
from agent.wire import labels

log = structlog.get_logger(__name__)

SOURCE_S = 5.0
"""How long one source may take."""
AT_ONCE = 16
EXPORTER_PORT = 9400
MAX_PAGE = 32 * 1024 * 1024
_MIB = 1 << 20


class Measurer:
    """``tick(at_ms)`` measures once. ``problems`` holds what did not answer the last time, by source."""

    def __init__(
        self,
        kube: Kube,
        informers: Informers,
        http: aiohttp.ClientSession,
        *,
        pool_label: Callable[[], str] = lambda: labels.NODE_POOL,
    ) -> None:
        """``pool_label``: the key of the node label that names the pool, as it is now."""
        self._kube = kube
        self._http = http
        self._pool_label = pool_label
        self._nodes = informers.store(NODE)
        self._pods = informers.store(POD)
        self._pools = informers.store(NODE_POOL, optional=True)
        self._facts: dict[str, tuple[str, PodFact]] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.problems: dict[str, str] = {}

    @property
    def nodes(self) -> int:
        return len(self._nodes)

    async def tick(self, at_ms: int) -> Tick:
        rules = sorted((node_pool_of(obj)[1] for obj in self._pools), key=lambda rule: rule.name)
        label = self._pool_label()
        nodes = [_node_fact(node, rules, label) for node in sorted(self._nodes, key=_name)]
        memory = {node.name: node.gpu_memory_mib for node in nodes}
        placed, waiting = self._pod_facts(memory)
        self.problems = {}
        summaries, readings = await asyncio.gather(self._summaries(), self._devices())
        return Tick(at_ms, nodes, placed, waiting, attributed(readings, placed), summaries)

    # ---- facts ---------------------------------------------------------------------------------------------------

    def _pod_facts(self, gpu_memory: dict[str, int]) -> tuple[list[PodFact], Counter[str]]:
        """Pods that hold something, and how many of each workload wait for a node."""
        placed: list[PodFact] = []
        waiting: Counter[str] = Counter()
        fresh: dict[str, tuple[str, PodFact]] = {}
        for pod in self._pods:
            if is_finished(pod):
                continue
            meta = pod["metadata"]
            workload = (meta.get("labels") or {}).get(labels.WORKLOAD_ID, "")
            if not (pod.get("spec") or {}).get("nodeName"):
                if workload:
                    waiting[workload] += 1
                continue
            version = str(meta.get("resourceVersion"))
            known = self._facts.get(meta["uid"])
            fact = known[1] if known and known[0] == version else _pod_fact(pod, gpu_memory)
            fresh[meta["uid"]] = (version, fact)
            placed.append(fact)
        self._facts = fresh
        placed.sort(key=lambda fact: (fact.namespace, fact.name))
        return placed, waiting

    # ---- kubelets ------------------------------------------------------------------------------------------------

    async def _summaries(self) -> list[Summary]:
        """Of real nodes only: a simulated node has no kubelet, and what it would use is nobody's to invent."""
        real = [node["metadata"]["name"] for node in self._nodes if not _simulated(node) and _ready(node)]
        found = await asyncio.gather(*(self._summary(name) for name in sorted(real)))
        return [item for item in found if item is not None]

    async def _summary(self, node: str) -> Summary | None:
        path = f"/api/v1/nodes/{node}/proxy/stats/summary"
        try:
            async with self._gate, asyncio.timeout(SOURCE_S):
                return summary(json.loads(await self._kube.raw_get(path)))
        except (KubeError, TimeoutError, ValueError) as error:
            self.problems[f"kubelet of {node}"] = str(error) or "no answer in time"
            return None

    # ---- DCGM ----------------------------------------------------------------------------------------------------

    async def _devices(self) -> list[Device]:
        pages = await asyncio.gather(*(self._page(url, node) for url, node in sorted(self._exporters())))
        return [device for page in pages for device in page]

    def _exporters(self) -> set[tuple[str, str]]:
        """(URL, node): of ``RUNAI_DCGM_URL`` (several with commas), and of pods labelled as DCGM exporters."""
        urls = {(url.strip(), "") for url in os.environ.get("RUNAI_DCGM_URL", "").split(",") if url.strip()}
        for pod in self._pods:
            marks, status = pod["metadata"].get("labels") or {}, pod.get("status") or {}
            exporter = "nvidia-dcgm-exporter" in (marks.get("app"), marks.get("app.kubernetes.io/name"))
            if exporter and status.get("podIP") and status.get("phase") == "Running":
                address = status["podIP"]
                host = f"[{address}]" if ":" in address else address
                urls.add((f"http://{host}:{EXPORTER_PORT}/metrics", (pod.get("spec") or {}).get("nodeName", "")))
        return urls

    async def _page(self, url: str, node: str) -> tuple[Device, ...]:
        try:
            async with self._gate, asyncio.timeout(SOURCE_S), self._http.get(url) as answer:
                answer.raise_for_status()
                body = await answer.content.read(MAX_PAGE)
                while more := await answer.content.read(MAX_PAGE):
                    body += more
                    if len(body) > MAX_PAGE:
                        raise ValueError(f"more than {MAX_PAGE} bytes")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.problems[f"DCGM exporter {url}"] = str(error) or "no answer in time"
            return ()
        return devices(parse(body.decode(errors="replace")).readings, node)


def _name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def _node_fact(node: Obj, rules: list[PoolRule], label: str) -> NodeFact:
    marks = node["metadata"].get("labels") or {}
    seen = node_of(node, pool_of(marks, rules, label))
    memory = gpu_memory_mib(marks)
    return NodeFact(seen.name, seen.pool, seen.gpus, memory, seen.cpu, seen.memory, seen.ready)


def _pod_fact(pod: Obj, gpu_memory: dict[str, int]) -> PodFact:
    meta, spec = pod["metadata"], pod.get("spec") or {}
    marks, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    request = asked_of(pod).request
    device_mib = gpu_memory.get(spec.get("nodeName", ""), 0)
    gpus = request.gpus * 1000
    if request.gpu_fraction:
        gpus = request.gpu_fraction * request.gpu_devices
    elif request.gpu_memory and device_mib:
        gpus = round(1000 * request.gpu_memory / device_mib) * request.gpu_devices
    mib = request.gpu_memory * request.gpu_devices if request.gpu_memory else gpus * device_mib / 1000
    allowed = max(mib, _limit_mib(notes, device_mib) * request.gpu_devices)
    return PodFact(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        node=spec["nodeName"],
        workload=marks.get(labels.WORKLOAD_ID, ""),
        project=marks.get(labels.PROJECT, ""),
        running=(pod.get("status") or {}).get("phase") == "Running",
        gpu_milli=gpus,
        gpu_memory_bytes=round(mib * _MIB),
        cpu_milli=request.cpu,
        cpu_limit_milli=_limits(spec, "cpu"),
        memory=request.memory,
        memory_limit=_limits(spec, "memory"),
        gpu_memory_limit_bytes=round(allowed * _MIB),
        gpu_devices=tuple(filter(None, notes.get(labels.GPU_DEVICES, "").split(","))),
    )


def _limit_mib(notes: Mapping[str, str], device_mib: int) -> float:
    """MiB of each device that a pod may use; 0 where it names no limit of its own."""
    try:
        portion = float(notes.get(labels.GPU_FRACTION_LIMIT) or 0) * device_mib
        return max(portion, float(notes.get(labels.GPU_MEMORY_LIMIT) or 0))
    except ValueError:
        return 0.0


def _limits(spec: Obj, name: str) -> int:
    """Sum over the containers; 0 when one of them has none: then there is no limit."""
    found = [((container.get("resources") or {}).get("limits") or {}).get(name) for container in _containers(spec)]
    if any(value is None for value in found):
        return 0
    try:
        return sum(quantity.milli(value) if name == "cpu" else quantity.whole(value) for value in found)
    except ValueError:
        return 0


def _containers(spec: Obj) -> Iterable[Obj]:
    return spec.get("containers") or ()


def _simulated(node: Obj) -> bool:
    return any(taint.get("key") == labels.SIMULATED_TAINT for taint in (node.get("spec") or {}).get("taints") or ())


def _ready(node: Obj) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)
