"""Configuration files of the real node's programs: containerd, CNI, kubelet, kube-proxy, CoreDNS. Pure.

What is unusual here was needed on cgroup v1 without CAP_SYS_RESOURCE, or keeps the node inside its own directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.kube.control_plane import POD_RANGE, Layout
from local.kube.images import PAUSE
from local.kube.netns import Plan
from local.kube.packages import CNI_PLUGINS

NODE_NAME = "node-1"
DNS_ADDRESS = "169.254.20.10"
"""Link-local address on the namespace's loopback: CoreDNS runs beside the node, not in a pod."""

HOST_NAME = "host.runai.local"
"""Name of the host's end of the link, for pods."""


@dataclass(frozen=True)
class NodeLayout:
    """Where the real node of one cluster keeps its files. ``sockets`` has a short path, ``mark`` names its cgroup."""

    cluster: Layout
    plan: Plan
    sockets: Path
    mark: str
    gpus: int
    admin_kubeconfig: Path

    @property
    def directory(self) -> Path:
        return self.cluster.directory

    @property
    def configs(self) -> Path:
        return self.directory / "node"

    @property
    def containerd_socket(self) -> Path:
        return self.sockets / "containerd.sock"

    @property
    def pod_logs(self) -> Path:
        return self.directory / "pod-logs"


def containerd(layout: NodeLayout, snapshotter: str) -> str:
    """``config.toml`` for containerd 1.6 and 1.7. ``restrict_oom_score_adj``: runc may not lower it here."""
    base = layout.directory / "containerd"
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{base / "root"}"
state = "{base / "state"}"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{layout.containerd_socket}"

[{cri}]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [{cri}.containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [{cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [{cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{layout.sockets / "runc"}"
  [{cri}.cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{layout.configs / "cni"}"
"""


def cni(layout: NodeLayout) -> dict[str, Any]:
    """A bridge inside of the namespace; pods leave it with the namespace's address."""
    ipam = {
        "type": "host-local",
        "dataDir": str(layout.directory / "cni-addresses"),
        "ranges": [[{"subnet": POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": ipam,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": layout.mark, "plugins": [bridge, ports]}


def kubelet(layout: NodeLayout) -> dict[str, Any]:
    pki, address = layout.cluster.pki, layout.plan.address
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "healthzBindAddress": address,
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.mark}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.configs / "resolv.conf"),
        "podLogsDir": str(layout.pod_logs),
        "volumePluginDir": str(layout.directory / "volume-plugins"),
        # Images come from archives, not from a registry: they must never be collected.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "serializeImagePulls": False,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "nodeStatusReportFrequency": "1m",
        "eventRecordQPS": 50,
        "logging": {"verbosity": 1},
    }


def kube_proxy(layout: NodeLayout) -> dict[str, Any]:
    """Conntrack limits are the machine's: left alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(layout.cluster.kubeconfig("kube-proxy"))},
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": NODE_NAME,
        "healthzBindAddress": f"{layout.plan.address}:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def corefile(layout: NodeLayout) -> str:
    """The cluster's zone, the host's name, and a quick "no such name" for the rest: no resolver can be reached."""
    return f"""cluster.local in-addr.arpa ip6.arpa {{
    bind {DNS_ADDRESS}
    errors
    ready {layout.plan.address}:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {layout.cluster.kubeconfig("coredns")}
        pods insecure
        ttl 5
    }}
    cache 5
}}
{HOST_NAME} {{
    bind {DNS_ADDRESS}
    errors
    hosts {{
        {layout.plan.host_address} {HOST_NAME}
    }}
}}
. {{
    bind {DNS_ADDRESS}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
