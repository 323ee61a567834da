"""Who an agent is: enrolment, sessions, rotation of its key. Each function is one transaction."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from agent.wire.codec import from_dict
from agent.wire.enrolment import EnrolAnswer, EnrolRequest, RotateRequest
from agent.wire.messages import Directives, LogOrder, LogTarget, SessionAnswer, SessionRequest
from agent.wire.tokens import ENROLMENT_REPLAY_S, EnrolmentToken
from link.protocol.exchange import open_session
from link.refusal import Refused
from link.store.exchange import Caller
from link.store.inbox import add_anomaly, add_security
from link.store.mailbox import check_open, read_mailbox
from link.store.pool import Conn, Pool

_MINTED = """
SELECT e.id, e.secret_hash, e.used_at, e.enrolment_id, e.key_id, e.expires_at < now() AS expired,
       e.used_at < now() - make_interval(secs => %s) AS past_replay,
       c.id AS cluster_id, c.schema_name, c.name, c.state, c.kube_uid, c.key_version,
       (SELECT generation FROM public.link_server WHERE id = 1) AS generation
FROM public.link_enrolment e JOIN public.link_cluster c ON c.id = e.cluster_id
WHERE e.id = %s FOR UPDATE
"""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """``refused`` set: the security row is committed and the caller must be told this."""

    answer: EnrolAnswer | None = None
    refused: Refused | None = None
    schema_name: str = ""


async def enrol(pool: Pool, token: EnrolmentToken, request: EnrolRequest, key_id: str, client: str) -> Enrolled:
    """Trade a one-time token for an identity. The same enrolment id and key get the same answer for 15 minutes.

    A refusal of a known token becomes a security row of its tenant, committed with it.
    """
    async with pool.connection() as conn, conn.transaction():
        found = await (await conn.execute(_MINTED, [ENROLMENT_REPLAY_S, token.id])).fetchone()
        if found is None:
            return Enrolled(refused=Refused(401, "enrolment_refused", "this token is not known", permanent=True))
        code, text = _objection(found, token, request, key_id)
        if code:
            detail = {"token": token.id, "reason": code, "client": client, "cluster": found.name}
            await add_security(conn, found.schema_name, found.cluster_id, "enrolment_refused", detail)
            status = 409 if code == "enrolment_used" else 401
            return Enrolled(refused=Refused(status, code, text, permanent=True), schema_name=found.schema_name)
        answer = EnrolAnswer(str(found.cluster_id), key_id, found.generation or "", found.name)
        if found.used_at is None:
            await _accept(conn, found, request, key_id)
            detail = {"token": token.id, "client": client, "cluster": found.name, "key": key_id}
            await add_security(conn, found.schema_name, found.cluster_id, "enrolled", detail)
            return Enrolled(answer, schema_name=found.schema_name)
    return Enrolled(answer)


def _objection(found: Any, token: EnrolmentToken, request: EnrolRequest, key_id: str) -> tuple[str, str]:
    """(code, text) of what is wrong; the order tells a stranger nothing about a token whose secret is wrong."""
    if not hmac.compare_digest(bytes(found.secret_hash), sha256(token.secret.encode()).digest()):
        return "enrolment_refused", "this token is not known"
    if found.used_at is not None:
        same = found.enrolment_id == request.enrolment_id and found.key_id == key_id
        if same and not found.past_replay:
            return "", ""
        return "enrolment_used", "this token was used already; make a new one in the console"
    if found.expired:
        return "enrolment_expired", "this token has expired; make a new one in the console"
    if found.state == "removed":
        return "cluster_removed", "this cluster was removed"
    if found.kube_uid and found.kube_uid != request.cluster_uid:
        return "other_cluster", "this token belongs to a cluster that was enrolled from another Kubernetes"
    return "", ""


async def _accept(conn: Conn, found: Any, request: EnrolRequest, key_id: str) -> None:
    await conn.execute(
        "UPDATE public.link_enrolment SET used_at = now(), enrolment_id = %s, key_id = %s WHERE id = %s",
        [request.enrolment_id, key_id, found.id],
    )
    await conn.execute(
        "UPDATE public.link_cluster SET state = 'enrolled', kube_uid = %s, public_key = %s, key_id = %s, "
        "old_public_key = '', old_key_id = '', rotation_id = '', key_used_at = now(), key_version = key_version + 1, "
        "agent_version = %s, enrolled_at = now() WHERE id = %s",
        [request.cluster_uid, request.public_key, key_id, request.agent_version[:64], found.cluster_id],
    )


@dataclass(frozen=True, slots=True)
class KnownKey:
    """The key an assertion must be signed with, and what the access token will say."""

    public_key: str
    schema_name: str
    key_version: int
    epoch: int


async def find_key(pool: Pool, cluster_id: UUID, key_id: str) -> KnownKey:
    """The cluster's key of that id: the present one, or the one before until ten minutes after the new one is used.

    Raises ``Refused`` 401 ``revoked`` and 410 as ``check_open`` does.
    """
    async with pool.connection() as conn, conn.transaction():
        box = await read_mailbox(conn, cluster_id)
        check_open(box, box.schema_name, box.key_version)
        found = await conn.execute(
            "SELECT public_key, key_id, old_public_key, old_key_id, key_used_at, "
            "key_used_at < now() - interval '10 minutes' AS old_is_dead FROM public.link_cluster WHERE id = %s",
            [cluster_id],
        )
        row = await found.fetchone()
        if row is not None and key_id == row.key_id:
            if row.key_used_at is None:
                await conn.execute("UPDATE public.link_cluster SET key_used_at = now() WHERE id = %s", [cluster_id])
            return KnownKey(row.public_key, box.schema_name, box.key_version, box.epoch)
        if row is not None and key_id and key_id == row.old_key_id and not row.old_is_dead:
            return KnownKey(row.old_public_key, box.schema_name, box.key_version, box.epoch)
    raise Refused(401, "revoked", "this key is not valid any more; enrol again")


async def use_assertion(pool: Pool, jti: str) -> None:
    """Each assertion is good once. Raises ``Refused`` 401 ``replayed``."""
    async with pool.connection() as conn:
        done = await conn.execute(
            "INSERT INTO public.link_usedassertion (jti, expires_at) VALUES (%s, now() + interval '5 minutes') "
            "ON CONFLICT DO NOTHING",
            [jti],
        )
    if done.rowcount == 0:
        raise Refused(401, "replayed", "this assertion was used already")


async def rotate(pool: Pool, caller: Caller, request: RotateRequest, key_id: str) -> None:
    """The next key. Sent again under the same id it changes nothing; the old key lives until the new one is used."""
    async with pool.connection() as conn, conn.transaction():
        box = await read_mailbox(conn, caller.cluster_id)
        check_open(box, caller.schema_name, caller.key_version)
        await conn.execute(
            "UPDATE public.link_cluster SET old_public_key = public_key, old_key_id = key_id, public_key = %s, "
            "key_id = %s, rotation_id = %s, key_used_at = NULL WHERE id = %s AND rotation_id <> %s",
            [request.public_key, key_id, request.rotation_id, caller.cluster_id, request.rotation_id],
        )


async def session(pool: Pool, caller: Caller, request: SessionRequest, directives: Directives) -> SessionAnswer:
    """Open a session: a new instance raises the epoch. Two that take turns are a cloned credential: both stop."""
    async with pool.connection() as conn:
        async with conn.transaction():
            box = await read_mailbox(conn, caller.cluster_id, lock=True)
            check_open(box, caller.schema_name, caller.key_version)
            log = [(str(name), int(str(at))) for name, at in box.session_log]
            made = open_session(box.epoch, box.instance_id, log, request.instance_id, box.now)
            name = box.session if made.resumed else str(uuid4())
            if made.cloned:
                await _quarantine(conn, caller, box.name, request.instance_id, box.instance_id)
            else:
                await conn.execute(
                    "UPDATE public.link_agentsession SET epoch = %s, instance_id = %s, session = %s, session_log = %s, "
                    "poll_seq = 0 WHERE cluster_id = %s",
                    [
                        made.epoch,
                        request.instance_id,
                        name,
                        Jsonb([list(item) for item in made.log]),
                        caller.cluster_id,
                    ],
                )
                await conn.execute(
                    "UPDATE public.link_cluster SET agent_version = %s WHERE id = %s AND agent_version <> %s",
                    [request.agent_version[:64], caller.cluster_id, request.agent_version[:64]],
                )
        if made.cloned:
            raise Refused(401, "revoked", "two agents use this credential; enrol one of them again")
        streams = await _open_streams(conn, caller.cluster_id)
    return SessionAnswer(
        name, made.epoch, str(caller.cluster_id), box.generation, box.report_seq, directives, tuple(streams)
    )


async def _quarantine(conn: Conn, caller: Caller, cluster: str, *instances: str) -> None:
    detail = {"cluster": cluster, "instances": list(instances)}
    await conn.execute(
        "UPDATE public.link_cluster SET state = 'quarantined', key_version = key_version + 1 WHERE id = %s",
        [caller.cluster_id],
    )
    await conn.execute(
        "UPDATE public.link_agentsession SET session_log = '[]' WHERE cluster_id = %s", [caller.cluster_id]
    )
    await add_anomaly(conn, caller.cluster_id, "cloned_credential", detail)
    await add_security(conn, caller.schema_name, caller.cluster_id, "cloned_credential", detail)


async def _open_streams(conn: Conn, cluster_id: UUID) -> list[LogOrder]:
    found = await conn.execute(
        "SELECT id, target, follow, tail, next_offset FROM public.link_logstream "
        "WHERE cluster_id = %s AND NOT ended AND NOT closed ORDER BY id LIMIT 100",
        [cluster_id],
    )
    return [
        LogOrder(str(row.id), from_dict(LogTarget, row.target), row.follow, row.tail, row.next_offset)
        for row in await found.fetchall()
    ]
