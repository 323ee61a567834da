"""The install manifest of a cluster, with a fresh one-time token in it: shown once, stored nowhere."""

from pathlib import Path

from django.conf import settings
from django.db import transaction

from access.grants import Actor
from access.permissions import require
from access.roles import Action
from access.services.audit import record
from agent.wire.install import crd_text, render_manifest
from clusters.models import Cluster
from clusters.services.clusters import not_leaving
from link import services as link
from runai_cp.lib.errors import Unavailable

TOKEN_SECONDS = 3600


@transaction.atomic
def install_manifest(*, actor: Actor, cluster: Cluster) -> str:
    """YAML for ``kubectl apply -f``. Each call mints a token for one enrolment within the hour; earlier tokens die.

    Raises ``NotAllowed``, ``Conflict``, and ``Unavailable`` when the link's CA cannot be read.
    """
    require(actor, Action.CLUSTER_UPDATE, cluster.scope)
    not_leaving(cluster, reading=True)
    token = link.mint_enrolment(cluster_id=cluster.pk, ttl_s=TOKEN_SECONDS)
    record(
        actor=actor,
        action="mint-enrolment",
        entity_type="cluster",
        entity_id=cluster.pk,
        entity_name=cluster.name,
        scope_path=cluster.scope.path,
    )
    return render_manifest(
        cluster_id=str(cluster.pk),
        cluster_name=cluster.name,
        link_url=settings.LINK_URL,
        ca_pem=_ca_pem(),
        enrolment_token=token,
        crd_yaml=crd_text(),
    )


def install_command(*, base_url: str, cluster: Cluster) -> str:
    """What a person types: fetch the manifest with their own access token, and apply it. No secret in it."""
    url = f"{base_url}/api/v1/clusters/{cluster.pk}/manifest"
    return f'curl -sf -X POST -H "Authorization: Bearer $TOKEN" {url} | kubectl apply -f -'


def _ca_pem() -> str:
    """The CA the agent shall trust for the link; empty where the link has a public certificate."""
    if not settings.LINK_CA_FILE:
        return ""
    try:
        return Path(settings.LINK_CA_FILE).read_text()
    except OSError as error:
        raise Unavailable(f"the link's CA cannot be read: {error.strerror}") from error
