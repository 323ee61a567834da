"""What a cluster's scheduler saw last arrives and takes the place of the one before."""

from __future__ import annotations

import gzip

import pytest

from agent.link.client import LinkError
from link import services
from tests.link.linkrig import Rig, in_db

pytestmark = [pytest.mark.services, pytest.mark.django_db]


async def test_the_last_one_is_kept(rig: Rig) -> None:
    cluster_id, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        for text in (b"first" * 500, b"second" * 500):
            await link.send("PUT", "scheduler", gzip.compress(text), content_type="application/gzip")
    found = await in_db(lambda: services.scheduler_view(cluster_id))
    assert gzip.decompress(found.data) == b"second" * 500


async def test_there_is_none_before(rig: Rig) -> None:
    cluster_id, _ = await rig.enrolled()
    assert await in_db(lambda: services.scheduler_view(cluster_id)) is None


async def test_only_compressed_files_are_taken(rig: Rig) -> None:
    _, identity = await rig.enrolled()
    async with rig.client(identity) as link:
        with pytest.raises(LinkError) as refusal:
            await link.send("PUT", "scheduler", b"{}", content_type="application/gzip")
    assert refusal.value.status == 422
