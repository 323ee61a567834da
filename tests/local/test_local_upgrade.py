"""A stack that an older release left: its clusters get what this release installs, and only then."""

from pathlib import Path
from typing import Any

import pytest

from local import clusters


class OneCluster:
    """An API server that says nothing but the UID of ``kube-system``."""

    uid = "a"

    def __init__(self, _: Path) -> None:
        return None

    def call(self, *_: Any) -> dict[str, Any]:
        return {"metadata": {"uid": self.uid}}


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(clusters, "Api", OneCluster)
    return clusters.identity_of(Path("kubeconfig"))


def test_the_same_cluster_and_release_is_known_again(before: str) -> None:
    assert clusters.identity_of(Path("kubeconfig")) == before


def test_another_cluster_is_another_one(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OneCluster, "uid", "b")
    assert clusters.identity_of(Path("kubeconfig")) != before


def test_new_definitions_are_to_be_installed(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "crd_text", lambda: "kind: CustomResourceDefinition")
    assert clusters.identity_of(Path("kubeconfig")) != before
