"""Brings a whole stack up and down: databases, control plane and tenants, clusters beside them, then both joined.

Runs inside ``serve``, the process that owns the children. Both sides start at the same time; every step is safe to
repeat, so a stack that was killed half-way up comes up the next time.
"""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from local import assets, clusters, control_plane, postgres, seed, valkey
from local.child import ProcessState
from local.clusters import Member
from local.control_plane import Place
from local.files import ROOT, read_json, write_json
from local.keys import KeyFiles, ensure_keys
from local.kube.binaries import CONTROL_PLANE, NODE, Binaries, ensure
from local.kube.cluster import LocalCluster
from local.options import Options, cluster_name, cluster_tenant, tenant_address, tenant_name
from local.rest import Rest
from local.state import State
from local.supervisor import Supervisor
from local.tenants import Tenant, ensure_tenant

RESERVED_HOSTS = tuple(f"10.213.{slot}.1" for slot in range(1, 9))
"""Host ends of the first network slots: the link's certificate holds them before the clusters have claimed theirs."""


@dataclass
class Stack:
    """One stack in ``directory``. ``up`` returns when all is ready; ``down`` leaves no process, mount or interface."""

    directory: Path
    options: Options
    say: Callable[[str], None]
    state: State
    members: list[Member] = field(default_factory=list)
    tenants: list[Tenant] = field(default_factory=list)
    _users: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.ports = self.state.ports()
        self.supervisor = Supervisor(self.directory, say=self.say, on_change=self._processes_changed)

    # --- up

    def up(self) -> None:
        """Everything, as parallel as it may be. Raises what the first failing step raised."""
        pool = concurrent.futures.ThreadPoolExecutor(4 + 2 * self.options.clusters)
        built = pool.submit(self._binaries)
        plane = pool.submit(self._control_plane)
        jobs = [pool.submit(self._cluster, index, built, plane) for index in range(self.options.clusters)]
        waiting: list[concurrent.futures.Future[Any]] = [built, plane, *jobs]
        try:
            for done in concurrent.futures.as_completed(waiting):
                done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def down(self) -> None:
        """Stop everything, whatever ``up`` is doing; what it waits for fails at once."""
        self.supervisor.stop()
        for member in list(self.members):
            member.kubernetes.teardown()

    # --- the control plane

    def _control_plane(self) -> Place:
        database_url, redis_url, stores = self._stores()
        place = Place(
            directory=self.directory,
            web_port=self.ports["web"],
            link_port=self.ports["link"],
            database_url=database_url,
            redis_url=redis_url,
            keys=self._keys(),
            addresses=tuple(tenant_address(index) for index in range(self.options.tenants)),
        )
        assets.ensure_assets(self.say)
        self._migrate(place)
        specs = control_plane.specs(place, stores)
        self.supervisor.add(specs)
        for index in range(self.options.tenants):
            if f"{tenant_name(index)}" not in self.state.get("tenants", {}):
                self.say(f"creating tenant {tenant_name(index)}")
            tenant = ensure_tenant(place, index)
            self.tenants.append(tenant)
            self.state.put("tenants", tenant.name, {"index": index, **tenant.document(place.web_port)})
        self.supervisor.wait_ready([spec.name for spec in specs])
        first = self.tenants[0]
        self.say(f"console answers at {first.console(place.web_port)}")
        return place

    def _stores(self) -> tuple[str, str, tuple[str, ...]]:
        """URLs of database and Redis, and the names of those we run ourselves."""
        database_url = os.environ.get("RUNAI_DATABASE_URL", "")
        redis_url = os.environ.get("RUNAI_REDIS_URL", "")
        ours: list[str] = []
        server = None
        logs = self.directory / "logs"
        if not database_url:
            server = postgres.prepare(self.directory, self.ports["postgres"], log=logs / "postgres.log")
            self.supervisor.add([server.spec])
            ours.append(server.spec.name)
            database_url = server.url
        if not redis_url:
            spec = valkey.prepare(self.directory, self.ports["valkey"], log=logs / "valkey.log")
            self.supervisor.add([spec])
            ours.append(spec.name)
            redis_url = valkey.url(self.ports["valkey"])
        self.state.set(redis=redis_url)
        self.supervisor.wait_ready(ours)
        if server is not None:
            postgres.ensure_application_role(server)
        return database_url, redis_url, tuple(ours)

    def _keys(self) -> KeyFiles:
        known = self.state.get("link_hosts", [])
        return ensure_keys(self.directory / "secrets", ("127.0.0.1", "localhost", *RESERVED_HOSTS, *known))

    def _migrate(self, place: Place) -> None:
        """Shared schema, then tenants; left out when neither code nor database changed since the last time."""
        fingerprint = control_plane.migrations_fingerprint(ROOT, place.environment())
        if self.state.get("migrated") == fingerprint and _has_migrations(place.database_url):
            return
        self.say("migrating the database")
        control_plane.manage(place, "migrate_schemas", "--shared")
        missing = max(0, self.options.tenants - len(self.state.get("tenants", {})))
        control_plane.manage(place, "migrate_tenants", "--spares", str(missing))
        self.state.set(migrated=fingerprint)

    # --- the clusters

    def _binaries(self) -> Binaries:
        names = (*CONTROL_PLANE, *(NODE if self.options.real_node else ()))
        return ensure(self.say, names) if self.options.clusters else Binaries({})

    def _cluster(
        self, index: int, built: concurrent.futures.Future[Binaries], plane: concurrent.futures.Future[Place]
    ) -> None:
        name, options = cluster_name(index), self.options
        binaries = built.result()
        kubernetes = LocalCluster(
            name, index, self.directory / name, options.nodes, options.gpus, options.real_node, binaries, self.say
        )
        member = Member(name, tenant_name(cluster_tenant(index, options)), kubernetes)
        self.members.append(member)
        kubernetes.prepare()
        specs = kubernetes.processes()
        self.supervisor.add(specs, cleanup=[clusters.clean_up_command(kubernetes.dir)])
        with concurrent.futures.ThreadPoolExecutor(1) as nodes:
            self.supervisor.wait_ready([f"{name}.kube-apiserver", f"{name}.kube-controller-manager"])
            ready = nodes.submit(self._nodes, kubernetes, [spec.name for spec in specs])
            self._join(member, binaries, plane.result())
            ready.result()

    def _nodes(self, kubernetes: LocalCluster, processes: list[str]) -> None:
        self.supervisor.wait_ready(processes)
        began = time.monotonic()
        kubernetes.after_start()
        self.say(f"{kubernetes.name}: all nodes are Ready ({time.monotonic() - began:.1f} s)")

    def _join(self, member: Member, binaries: Binaries, place: Place) -> None:
        """Enrol, start the agent, wait for Connected, then the data."""
        self._link_host(member.kubernetes.host_address)
        tenant = next(item for item in self.tenants if item.name == member.tenant)
        with Rest(tenant.api(place.web_port), tenant.application, tenant.secret) as rest:
            cluster = clusters.create(rest, self.state, member)
            if clusters.enrol(rest, self.state, member, binaries, cluster):
                self.say(f"{member.name}: manifest applied")
            relay = clusters.link_relay(member, self.directory, place.link_port)
            self.supervisor.add([relay] if relay else [])
            clusters.trust_people(rest, member, cluster, place.link_port, place.keys.ca)
            port, dcgm_port = (self.state.port(f"{member.name}.{part}") for part in ("agent", "dcgm-simulator"))
            simulator = clusters.dcgm_simulator(member, self.directory, dcgm_port)
            agent = clusters.agent(member, self.directory, port, dcgm_port, ("link",))
            began = datetime.now(UTC)
            self.supervisor.add([simulator, agent])
            self.supervisor.wait_ready([simulator.name, agent.name])
            clusters.wait_connected(rest, member, cluster, began, self.say)
            self._note_connected(member, cluster)
            self._seed(rest, member, cluster)

    def _link_host(self, address: str) -> None:
        """The link's certificate must hold the host's end of every cluster's network."""
        known = self.state.get("link_hosts", [])
        if address in known or address in RESERVED_HOSTS or address == "127.0.0.1":
            return
        self.state.set(link_hosts=[*known, address])
        self._keys()
        self.supervisor.restart("link")
        self.supervisor.wait_ready(["link"])

    def _note_connected(self, member: Member, cluster: str) -> None:
        kubernetes = member.kubernetes
        entry = {
            "uuid": cluster,
            "name": member.name,
            "tenant": member.tenant,
            "kubeconfig": str(kubernetes.kubeconfig),
            "audit_log": str(kubernetes.audit_log),
            "real_node": kubernetes.real_node,
            "enrolled": clusters.identity_of(kubernetes.kubeconfig),
        }
        self.state.put("clusters", member.name, entry)

    def _seed(self, rest: Rest, member: Member, cluster: str) -> None:
        wanted = f"{self.options.data}:{cluster}"
        if self.state.get("seeded", {}).get(member.name) == wanted:
            return
        self.say(f"{member.name}: making departments and projects")
        path = self.directory / "secrets" / "users.json"
        with self._users:
            passwords = read_json(path) or {}
            made = seed.sow(rest, cluster, seed.plan(self.options.data, member.tenant, self.options.nodes), passwords)
            write_json(path, made)
        self.state.put("seeded", member.name, wanted)

    def _processes_changed(self, states: list[ProcessState]) -> None:
        self.state.set(processes=[_process_entry(item) for item in states])


def _process_entry(item: ProcessState) -> dict[str, Any]:
    return {
        "name": item.name,
        "phase": item.phase,
        "pid": item.pid,
        "log": item.log,
        "restarts": item.restarts,
        "last_exit": item.last_exit,
        "healthy": item.healthy,
    }


def _has_migrations(database_url: str) -> bool:
    with psycopg.connect(database_url.replace("postgres://", "postgresql://", 1)) as connection:
        row = connection.execute("SELECT to_regclass('public.django_migrations')").fetchone()
    return row is not None and row[0] is not None
