"""Sizes are checked by name; ports and facts are kept between runs."""

import socket
from pathlib import Path
from typing import Any

import pytest

from local.document import document
from local.lock import Taken, acquire, is_taken
from local.options import Options, cluster_tenant, tenant_address, tenant_name
from local.state import State


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"clusters": -1}, "--clusters: -1 is not between 0 and 50"),
        ({"tenants": 0}, "--tenants: 0 is not between 1 and 200"),
        ({"gpus": 65}, "--gpus: 65"),
        ({"data": "huge"}, "--data: 'huge' is not one of empty, demo, big"),
    ],
)
def test_a_size_that_cannot_be_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Options(**given)


def test_clusters_are_dealt_out_in_turn() -> None:
    assert [cluster_tenant(index, Options(clusters=5, tenants=2)) for index in range(5)] == [0, 1, 0, 1, 0]


def test_every_tenant_has_its_own_name_and_address() -> None:
    assert (
        len({tenant_name(index) for index in range(200)}) == len({tenant_address(index) for index in range(200)}) == 200
    )


def test_ports_are_kept_while_they_are_free(tmp_path: Path) -> None:
    first = State(tmp_path).ports()
    assert State(tmp_path).ports() == first


def test_a_port_that_somebody_took_is_replaced(tmp_path: Path) -> None:
    first = State(tmp_path).ports()
    with socket.socket() as other:
        other.bind(("127.0.0.1", first["web"]))
        other.listen()
        second = State(tmp_path).ports()
    assert second["web"] != first["web"]
    assert second["link"] == first["link"]


def test_state_survives_a_file_that_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"ports": {"we')
    assert State(tmp_path).get("ports") is None


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    acquire(tmp_path)
    assert is_taken(tmp_path)
    with pytest.raises(Taken):
        acquire(tmp_path)


def test_the_document_has_the_stable_keys(tmp_path: Path) -> None:
    state = State(tmp_path)
    tenant = {"tenant": "acme", "console": "http://acme.localhost:1", "api": "http://127.0.0.1:1"}
    login = {"admin": {"email": "a@b.example", "password": "p"}, "application": {"id": "app", "secret": "s"}}
    cluster = {"uuid": "u", "name": "cluster-1", "tenant": "acme", "kubeconfig": "/k", "audit_log": "/a"}
    state.set(
        ports={"link": 2},
        options=Options().as_dict(),
        tenants={"acme": {"index": 0, **tenant, **login}},
        clusters={"cluster-1": {**cluster, "enrolled": "x"}},
        processes=[{"name": "web", "pid": 7, "log": "/l", "phase": "ready"}],
    )
    found = document(state)
    assert found["cluster"] == {"uuid": "u", "name": "cluster-1"}
    assert found["clusters"] == [cluster]
    assert found["tenants"] == [{**tenant, **login, "users": []}]
    assert found["processes"] == [{"name": "web", "pid": 7, "log": "/l"}]
    assert {key: found[key] for key in (*tenant, *login, "link", "kubeconfig")} == {
        **tenant, **login, "link": "https://127.0.0.1:2", "kubeconfig": "/k"
    }  # fmt: skip
