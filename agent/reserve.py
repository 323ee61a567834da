"""What a reservation pod runs on a node with real GPUs: say which device the kubelet gave it, then hold it.

``NVIDIA_VISIBLE_DEVICES`` comes from the device plugin. Saying it again changes nothing, so any restart is fine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NoReturn

import structlog

from agent.kube.protocol import Kube
from agent.kube.resources import POD
from agent.wire import labels

log = structlog.get_logger(__name__)
_NO_DEVICE = ("", "all", "none", "void")


def given_device(environment: Mapping[str, str]) -> str:
    """The one device this pod was given. Raises ``ValueError`` for none or several."""
    device = environment.get("NVIDIA_VISIBLE_DEVICES", "").strip()
    if device in _NO_DEVICE or "," in device:
        raise ValueError(f"NVIDIA_VISIBLE_DEVICES is {device!r}, expected the one device the kubelet gave this pod")
    return device


async def hold(kube: Kube, environment: Mapping[str, str]) -> NoReturn:
    """Publish the device on the own pod and stay. Raises ``ValueError`` and ``KubeError``."""
    device, name = given_device(environment), environment.get("POD_NAME", "")
    body = {"metadata": {"annotations": {labels.RESERVED_DEVICE: device}}}
    await kube.patch(POD, name, labels.RESERVATION_NAMESPACE, body=body)
    log.info("holding", device=device)
    while True:
        await asyncio.sleep(3600)
