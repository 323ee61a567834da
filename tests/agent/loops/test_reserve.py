"""What a reservation pod says about its device."""

from __future__ import annotations

import asyncio

import pytest

from agent.kube.resources import POD
from agent.reserve import given_device, hold
from tests.agent.fake_kube import FakeKube


@pytest.mark.parametrize("given", ["", "all", "void", "GPU-1,GPU-2"])
def test_no_device_or_several_are_refused(given):
    with pytest.raises(ValueError, match="NVIDIA_VISIBLE_DEVICES"):
        given_device({"NVIDIA_VISIBLE_DEVICES": given})


async def test_it_is_written_on_the_pod_and_held():
    meta = {"name": "r", "namespace": "runai-reservation"}
    kube = FakeKube({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}})
    task = asyncio.create_task(hold(kube, {"NVIDIA_VISIBLE_DEVICES": "GPU-7", "POD_NAME": "r"}))
    await asyncio.sleep(0.05)
    assert kube.all(POD)[0]["metadata"]["annotations"]["run.ai/reserve_for_gpu_index"] == "GPU-7"
    assert not task.done()
    task.cancel()
