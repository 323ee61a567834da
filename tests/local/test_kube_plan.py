"""What the local cluster decides without touching the machine: addresses, certificates, command lines, documents."""

from __future__ import annotations

import json
import tarfile
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from local.kube import (
    binaries,
    control_plane,
    gotool,
    gpus,
    images,
    launcher,
    netns,
    node,
    node_config,
    simulated,
    sysctls,
)
from local.kube.certs import Authority, leaves, subject_alternatives
from local.kube.cleanup import mounts_under
from local.kube.cluster import LocalCluster
from local.process import ProcessSpec

LAYOUT = control_plane.Layout(Path("/stack/c1"), "10.213.7.2", control_plane.Ports(), isolated=True)
LOOPBACK = control_plane.Layout(Path("/stack/c1"), "127.0.0.1", control_plane.Ports(1, 2, 3, 4), isolated=False)


@pytest.mark.parametrize(
    ("slot", "interface", "host", "inside"),
    [(1, "runai1", "10.213.1.1", "10.213.1.2"), (250, "runai250", "10.213.250.1", "10.213.250.2")],
)
def test_a_slot_is_a_link_of_two_addresses(slot: int, interface: str, host: str, inside: str) -> None:
    plan = netns.Plan(slot, Path("/stack/c1/netns"))
    assert (plan.interface, plan.host_address, plan.address) == (interface, host, inside)
    assert plan.enter() == ("nsenter", "--net=/stack/c1/netns", "--")


@pytest.mark.parametrize("slot", [0, 251, -1])
def test_a_slot_outside_of_the_range_is_refused(slot: int) -> None:
    with pytest.raises(ValueError, match=f"slot: {slot} is not between 1 and 250"):
        netns.Plan(slot, Path("/x"))


@given(st.integers(0, 1000), st.one_of(st.none(), st.integers(-5, 300)))
def test_every_slot_is_tried_once_and_the_last_one_first(index: int, recorded: int | None) -> None:
    order = netns.slot_order(index, recorded)
    assert sorted(order) == list(range(1, netns.SLOTS + 1))
    valid = recorded is not None and 1 <= recorded <= netns.SLOTS
    assert order[0] == (recorded if valid else index % netns.SLOTS + 1)


def test_certificates_name_every_way_to_the_api_server(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.ensure()
    authority.issue(leaves("10.213.7.2", "node-1"))
    certificate = x509.load_pem_x509_certificate((tmp_path / "apiserver.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"kubernetes.default.svc", "localhost"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"10.213.7.2", "10.43.0.1", "127.0.0.1"} == {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}


def test_the_authority_survives_a_restart_and_keys_are_private(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.ensure()
    before = {name: (tmp_path / name).read_bytes() for name in ("ca.crt", "ca.key", "sa.key")}
    authority.ensure()
    assert before == {name: (tmp_path / name).read_bytes() for name in before}
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("ca.key", "sa.key")} == {0o600}


def test_a_kubeconfig_carries_a_token_and_a_namespace(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.ensure()
    path = authority.kubeconfig(tmp_path / "config", "https://10.213.7.2:6443", token="secret", namespace="runai")
    document = yaml.safe_load(path.read_text())
    assert document["users"][0]["user"] == {"token": "secret"}
    assert document["contexts"][0]["context"]["namespace"] == "runai"
    assert path.stat().st_mode & 0o777 == 0o600


def test_alternatives_tell_addresses_from_names_without_repetition() -> None:
    found = subject_alternatives(("a.example", "10.0.0.1", "a.example"))
    assert [type(item) for item in found] == [x509.DNSName, x509.IPAddress]


@pytest.mark.parametrize(
    ("layout", "present", "absent"),
    [
        (LAYOUT, "--bind-address=0.0.0.0", "--endpoint-reconciler-type=none"),
        (LAYOUT, "--advertise-address=10.213.7.2", "--bind-address=127.0.0.1"),
        (LOOPBACK, "--endpoint-reconciler-type=none", "--bind-address=0.0.0.0"),
        (LOOPBACK, "--secure-port=1", "--secure-port=6443"),
    ],
)
def test_the_api_server_listens_where_the_cluster_lives(
    layout: control_plane.Layout, present: str, absent: str
) -> None:
    argv = control_plane.api_server_argv(Path("/bin/kube-apiserver"), layout)
    assert present in argv
    assert absent not in argv


def test_etcd_is_reachable_from_inside_only_except_for_its_health() -> None:
    argv = control_plane.etcd_argv(Path("/bin/etcd"), LAYOUT)
    assert "--listen-client-urls=http://127.0.0.1:2379" in argv
    assert "--listen-metrics-urls=http://10.213.7.2:2381" in argv


def test_the_audit_log_holds_bodies_of_pods_bindings_and_our_kinds_only() -> None:
    first, *others, last = control_plane.audit_policy()["rules"]
    assert {item["group"] for item in first["resources"]} == {"", "run.ai", "scheduling.run.ai"}
    assert "pods/binding" in first["resources"][0]["resources"]
    assert {rule["level"] for rule in others} == {"Metadata"}
    assert {"level": "Metadata", "verbs": ["delete", "deletecollection"]} in others
    assert last == {"level": "None"}


@pytest.mark.parametrize(
    ("program", "text", "expected"),
    [
        ("kubelet", "Kubernetes v1.34.9", True),
        ("kubelet", "Kubernetes v1.33.4", False),
        ("kubectl", "Client Version: v1.32.4-dispatcher", True),
        ("etcd", "etcd Version: 3.5.12\nGit SHA: x", True),
        ("etcd", "etcd Version: 2.3.0", False),
        ("kwok", "kwok version v0.7.0", False),
        ("coredns", "", False),
    ],
)
def test_an_installed_program_is_taken_when_its_version_fits(program: str, text: str, expected: bool) -> None:
    assert binaries.fits(binaries.BY_NAME[program], text) is expected


def test_kubernetes_programs_are_told_their_version() -> None:
    flags = binaries.link_flags(binaries.BY_NAME["kube-apiserver"])
    assert f"-X k8s.io/component-base/version.gitVersion={binaries.KUBERNETES_VERSION}" in flags
    assert "gitVersion" not in binaries.link_flags(binaries.BY_NAME["etcd"])


def test_versions_in_the_table_are_those_of_the_go_modules() -> None:
    for program in binaries.PROGRAMS:
        required = _required((binaries.GOMOD / program.module / "go.mod").read_text())
        [version] = [version for module, version in required.items() if program.package.startswith(f"{module}/")] or [
            required[program.package]
        ]
        assert version == program.version, program.name


def _required(text: str) -> dict[str, str]:
    """Module → version of the require lines of a go.mod."""
    words = [line.removeprefix("require").split() for line in text.splitlines() if "=>" not in line]
    return {line[0]: line[1] for line in words if len(line) >= 2 and line[1].startswith("v") and "." in line[1]}


def test_an_unknown_program_is_refused_by_name() -> None:
    with pytest.raises(binaries.BinariesError, match="unknown program 'kubeadm'"):
        binaries.ensure(lambda text: None, ["kubeadm"])


def test_without_go_and_without_internet_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNAI_LOCAL_CACHE", str(tmp_path))
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9,off")
    monkeypatch.setattr(binaries.shutil, "which", lambda *args, **more: None)
    monkeypatch.setattr(gotool.shutil, "which", lambda *args, **more: None)
    with pytest.raises(gotool.GoError, match=r"Go is not installed and could not be fetched from http://127.0.0.1:9/"):
        binaries.ensure(lambda text: None, ["etcd"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("go version go1.26.8 linux/amd64", True), ("go version go1.19.8 linux/amd64", False), ("", False)],
)
def test_an_old_go_is_not_used(text: str, expected: bool) -> None:
    assert gotool.new_enough(text) is expected


def test_a_toolchain_with_another_sum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "fake.zip"
    with zipfile.ZipFile(fake, "w") as content:
        content.writestr("golang.org/toolchain@v/bin/go", "something else")
    monkeypatch.setenv("RUNAI_LOCAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gotool.shutil, "which", lambda *args, **more: None)
    monkeypatch.setattr(gotool, "address", lambda system, proxy: fake.as_uri())
    with pytest.raises(gotool.GoError, match=r"has the sum h1:[^ ]{44}, expected h1:"):
        gotool.find(lambda text: None)
    assert not list((tmp_path / "cache").glob("*.zip"))


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [("", gotool.ORIGIN), ("direct", gotool.ORIGIN), ("http://mirror/go/,direct", "http://mirror/go")],
)
def test_the_toolchain_comes_from_the_proxy_that_is_set(proxy: str, expected: str) -> None:
    assert gotool.address("linux-amd64", proxy).startswith(f"{expected}/golang.org/toolchain/@v/v0.0.1-go")


def test_programs_are_looked_for_in_the_assets_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "etcd").write_text("#!/bin/sh\necho etcd Version: 3.6.0\n")
    (assets / "etcd").chmod(0o755)
    monkeypatch.setenv("RUNAI_LOCAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    assert binaries.ensure(lambda text: None, ["etcd"])["etcd"] == assets / "etcd"


def test_a_simulated_node_is_tainted_and_in_its_own_pool() -> None:
    item = simulated.kwok_node(3, 8)
    labels = item["metadata"]["labels"]
    assert item["metadata"]["name"] == "sim-003"
    assert labels["kai.scheduler/node-pool"] == "simulated"
    assert item["spec"]["taints"] == [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]
    assert (labels["nvidia.com/gpu.count"], item["status"]["allocatable"]["nvidia.com/gpu"]) == ("8", "8")


def test_a_node_without_gpus_has_no_gpu_labels() -> None:
    item = simulated.kwok_node(1, 0)
    assert not [key for key in item["metadata"]["labels"] if key.startswith("nvidia.com/")]
    assert "nvidia.com/gpu" not in item["status"]["capacity"]


@pytest.mark.parametrize(
    ("capacity", "allocatable", "patched"), [("8", "8", False), ("8", "0", True), (None, None, True), ("4", "4", True)]
)
def test_gpus_that_kubelet_dropped_are_put_back(capacity: str | None, allocatable: str | None, patched: bool) -> None:
    status = {"capacity": {"nvidia.com/gpu": capacity}, "allocatable": {"nvidia.com/gpu": allocatable}}
    labels, patch = gpus.patches({"metadata": {"labels": simulated.gpu_labels(8)}, "status": status}, 8)
    assert labels is None
    assert (patch == simulated.gpu_capacity(8)) is patched


def test_labels_of_the_real_node_are_added_once() -> None:
    labels, _ = gpus.patches({"metadata": {}, "status": {}}, 2)
    assert labels is not None
    assert labels["metadata"]["labels"]["nvidia.com/gpu.count"] == "2"


def test_mounts_are_unmounted_from_the_inside_out() -> None:
    table = "\n".join(
        f"1 2 0:1 / {point} rw - tmpfs x rw" for point in ("/s/c1/a", "/s/c1/a/b\\040c/d", "/s/c10/a", "/")
    )
    assert mounts_under(Path("/s/c1"), table) == ["/s/c1/a/b c/d", "/s/c1/a"]


def test_an_archive_holds_one_layer_under_its_name(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    layer.write_bytes(b"some layer")
    images.write_archive(tmp_path / "image.tar", "example.local/x:1", layer, ["sh"])
    with tarfile.open(tmp_path / "image.tar") as archive:
        [entry] = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(archive.extractfile(entry["Config"]))  # type: ignore[arg-type]
        stored = archive.extractfile(entry["Layers"][0]).read()  # type: ignore[union-attr]
    assert (entry["RepoTags"], stored) == (["example.local/x:1"], b"some layer")
    assert config["rootfs"]["diff_ids"] == [f"sha256:{entry['Layers'][0].split('/')[0]}"]


def test_the_node_stays_in_its_own_directories() -> None:
    plan = netns.Plan(7, Path("/stack/c1/netns"))
    layout = node_config.NodeLayout(LAYOUT, plan, Path("/run/runai-x"), "runai-x", 8, Path("/stack/c1/kubeconfig"))
    kubelet = node_config.kubelet(layout)
    assert kubelet["cgroupRoot"] == "/runai-x"
    assert kubelet["podLogsDir"] == "/stack/c1/pod-logs"
    assert kubelet["containerRuntimeEndpoint"] == "unix:///run/runai-x/containerd.sock"
    assert "10.213.7.1 host.runai.local" in node_config.corefile(layout)
    assert "restrict_oom_score_adj = true" in node_config.containerd(layout, "overlayfs")


def test_a_node_is_ready_only_by_a_heartbeat_after_the_start() -> None:
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-02T03:04:05Z"}
    item = {"status": {"conditions": [condition]}}
    at = datetime.fromisoformat("2026-01-02T03:04:05Z")
    assert node.is_ready(item, at)
    assert not node.is_ready(item, at + timedelta(seconds=1))


def test_kernel_settings_are_put_back_after_the_last_cluster(tmp_path: Path) -> None:
    run, settings = tmp_path / "run", tmp_path / "sys"
    (run / "runai-a").mkdir(parents=True)
    (settings / "kernel").mkdir(parents=True)
    (settings / "kernel" / "panic").write_text("0\n")
    sysctls.note(run, settings)
    (settings / "kernel" / "panic").write_text("10")
    sysctls.note(run, settings)
    sysctls.restore(run, settings)
    assert (settings / "kernel" / "panic").read_text() == "10"
    (run / "runai-a").rmdir()
    sysctls.restore(run, settings)
    assert (settings / "kernel" / "panic").read_text() == "0"
    assert list(run.iterdir()) == []


def test_processes_that_wait_for_each_other_are_refused(tmp_path: Path) -> None:
    specs = [
        ProcessSpec("a", ("true",), tmp_path / "a", depends_on=("b",)),
        ProcessSpec("b", ("true",), tmp_path / "b", depends_on=("a",)),
    ]
    with pytest.raises(launcher.StartError, match="a, b"):
        launcher.start_all(specs)


def test_a_process_that_ends_at_once_shows_its_last_words(tmp_path: Path) -> None:
    spec = ProcessSpec("a", ("sh", "-c", "echo no such flag; exit 3"), tmp_path / "a", probe=lambda: False)
    with pytest.raises(launcher.StartError, match=r"a ended with status 3:\nno such flag"):
        launcher.start_all([spec])


@pytest.mark.parametrize(
    ("nodes", "gpus", "message"), [(-1, 8, "nodes: -1"), (5001, 8, "nodes: 5001"), (1, 65, "gpus: 65 is not between 0")]
)
def test_a_cluster_of_impossible_size_is_refused(tmp_path: Path, nodes: int, gpus: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalCluster("c", 0, tmp_path, nodes, gpus, False, binaries.Binaries({}))
