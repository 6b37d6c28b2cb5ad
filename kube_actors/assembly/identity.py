"""Who the components are to the API server: their users and groups, over a channel and in their certificates."""

from __future__ import annotations

from kube_actors.api.messages import UserInfo

AUTHENTICATED = "system:authenticated"

ADMIN = UserInfo(name="kubernetes-admin", groups=("system:masters", AUTHENTICATED))
SCHEDULER = UserInfo(name="system:kube-scheduler", groups=(AUTHENTICATED,))
CONTROLLERS = UserInfo(name="system:kube-controller-manager", groups=(AUTHENTICATED,))
CLOUD = UserInfo(name="system:cloud-controller-manager", groups=(AUTHENTICATED,))
STORAGE = UserInfo(name="system:storage-provisioner", groups=("system:masters", AUTHENTICATED))
"""The provisioner of this host's directories. Upstream has no role for one that also makes its class."""
PROXY = UserInfo(name="system:kube-proxy", groups=(AUTHENTICATED,))
KUBELET_CLIENT = UserInfo(name="kube-apiserver-kubelet-client", groups=("system:masters", AUTHENTICATED))
"""As whom the API server calls a kubelet."""

METRICS = UserInfo(name="system:serviceaccount:kube-system:metrics-server", groups=("system:masters", AUTHENTICATED))
"""As whom the metrics API reads pods and asks nodes."""

JOINING = UserInfo(name="system:bootstrap:node", groups=("system:bootstrappers", AUTHENTICATED))
"""Who comes with the cluster's node token: he may ask for a node's certificate, and nothing else."""

COMPONENTS = {"scheduler": SCHEDULER, "controllers": CONTROLLERS, "cloud": CLOUD, "proxy": PROXY, "storage": STORAGE}


def node(name: str) -> UserInfo:
    """A node's identity (node authorization, NodeRestriction)."""
    return UserInfo(name=f"system:node:{name}", groups=("system:nodes", AUTHENTICATED))
