"""A whole cluster's pods on Docker and on Podman: what their containers see of the API, and when what is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kit.clusters import REAL, Namespace, service, until
from tests.kit.images import BUSYBOX, TEST_V1

pytestmark = pytest.mark.parametrize("running", REAL, indirect=True)

FOREVER = "while true; do sleep 0.1; done"


def shell(script: str, name: str = "c", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": BUSYBOX, "command": ["sh", "-c", script], **more}


def apply_pod(space: Namespace, name: str = "p", **spec: Any) -> None:
    body = {"terminationGracePeriodSeconds": 10, **spec}
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body})


def settings(space: Namespace, color: str) -> None:
    """A ConfigMap and a Secret that say the same."""
    metadata = {"name": "settings"}
    space.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"COLOR": color}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"COLOR": f"secret-{color}"}},
    )


def test_what_a_container_is_told_and_what_follows_the_api(space: Namespace) -> None:
    settings(space, "blue")
    space.apply(service(), service(name="data-base", port=5432))
    address = space.address("data-base")
    env = [
        {"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOR"}}},
        {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "settings", "key": "COLOR"}}},
        {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "BASE", "value": "tcp://$(DATA_BASE_SERVICE_HOST):$(DATA_BASE_SERVICE_PORT)"},
    ]
    sources = [{"prefix": "ALL_", "configMapRef": {"name": "settings"}}]
    mounts = [{"name": "map", "mountPath": "/map"}, {"name": "secret", "mountPath": "/secret", "readOnly": True}]
    apply_pod(
        space,
        containers=[shell(FOREVER, env=env, envFrom=sources, volumeMounts=mounts)],
        volumes=[
            {"name": "map", "configMap": {"name": "settings"}},
            {"name": "secret", "secret": {"secretName": "settings"}},
        ],
        terminationGracePeriodSeconds=1,
    )
    pod = space.wait("pod/p", "Ready")
    told = dict(line.split("=", 1) for line in space.run("p", "env").splitlines())
    assert (told["FROM_MAP"], told["FROM_SECRET"], told["ALL_COLOR"]) == ("blue", "secret-blue", "blue")
    assert (told["NODE"], told["BASE"]) == (pod["spec"]["nodeName"], f"tcp://{address}:5432")
    assert told["DATA_BASE_PORT_5432_TCP_ADDR"] == address
    assert told["WEB_SERVICE_HOST"] == space.address("web")
    assert told["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert "ABSENT" not in told
    assert space.run("p", "cat", "/map/COLOR", "/secret/COLOR") == "bluesecret-blue"

    settings(space, "green")
    space.patch("Pod", "p", {"metadata": {"annotations": {"look": "now"}}})  # else they follow in some seconds
    until(lambda: space.run("p", "cat", "/map/COLOR", "/secret/COLOR") == "greensecret-green", what="files follow")
    assert "FROM_MAP=blue\n" in space.run("p", "env")


def test_a_pod_is_a_client_of_the_api(space: Namespace) -> None:
    """With what every container is given: a token of its ServiceAccount, the authority, the Service's address."""
    sleep = {"name": "c", "image": TEST_V1, "command": ["sleep", "100000"]}
    apply_pod(space, containers=[sleep], terminationGracePeriodSeconds=1)
    space.wait("pod/p", "Ready")
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert space.run("p", "cat", f"{account}/namespace") == space.name

    def ask(path: str) -> str:
        call = f'curl -sS -m 5 --cacert {account}/ca.crt -H "Authorization: Bearer $(cat {account}/token)"'
        return space.run("p", "sh", "-c", f"{call} https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT{path}")

    assert '"v1.36' in ask("/version")
    user = f"system:serviceaccount:{space.name}:default"
    pods = f"/api/v1/namespaces/{space.name}/pods"
    assert f'pods is forbidden: User \\"{user}\\" cannot list resource \\"pods\\"' in ask(pods)
    subject = f"--serviceaccount={space.name}:default"
    space.kubectl("create", "rolebinding", "view", "--clusterrole=view", subject)
    until(lambda: '"kind":"PodList"' in ask(pods).replace(" ", ""), what="the binding lets it list")


def test_init_containers_hooks_and_probes_in_their_order(space: Namespace, tmp_path: Path) -> None:
    """All that is run writes a line into one file on the host."""
    log = tmp_path / "log"

    def say(word: str) -> str:
        return f"echo {word} >> /log/log"

    mount = {"volumeMounts": [{"name": "log", "mountPath": "/log"}]}
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", say("post-start")]}},
        "preStop": {"exec": {"command": ["sh", "-c", f"{say('pre-stop')}; sleep 0.5; {say('pre-stop-done')}"]}},
    }
    # A probe in the running container's own life: the file goes with it, so that one restart is enough.
    liveness = {"exec": {"command": ["sh", "-c", "test ! -e /sick"]}, "periodSeconds": 1, "failureThreshold": 1}
    main = f"trap '{say('term')}; exit 0' TERM; {say('main')}; {FOREVER}"
    apply_pod(
        space,
        initContainers=[
            shell(f"sleep 0.5; {say('first')}", "first", **mount),
            shell(say("second"), "second", **mount),
            shell(f"{say('side')}; trap 'exit 0' TERM; {FOREVER}", "side", restartPolicy="Always", **mount),
        ],
        containers=[shell(main, lifecycle=hooks, livenessProbe=liveness, **mount)],
        volumes=[{"name": "log", "hostPath": {"path": str(tmp_path)}}],
    )
    pod = space.wait("pod/p", "Ready")
    ended = [one["state"].get("terminated", {}).get("reason") for one in pod["status"]["initContainerStatuses"]]
    assert ended == ["Completed", "Completed", None]
    lines = log.read_text().split()
    assert lines[:3] == ["first", "second", "side"]
    assert sorted(lines[3:]) == ["main", "post-start"]  # these two run at the same time, as Kubernetes has it

    log.write_text("")
    space.run("p", "touch", "/sick", container="c")
    restarted = space.wait("pod/p", _restarted_and_ready)
    assert restarted["status"]["initContainerStatuses"][2]["restartCount"] == 0
    lines = log.read_text().split()
    assert lines[:3] == ["pre-stop", "pre-stop-done", "term"]
    assert sorted(lines[3:]) == ["main", "post-start"]
    killing = {"Unhealthy": "Liveness probe failed", "Killing": "Container c failed liveness probe, will be restarted"}
    until(lambda: _said(space, killing), what="events of the probe")

    log.write_text("")
    space.client.delete("Pod", "p", namespace=space.name)
    space.wait("pod/p", "Deleted")
    assert log.read_text().split() == ["pre-stop", "pre-stop-done", "term"]


def test_a_failing_init_container_holds_the_pod_up(space: Namespace) -> None:
    apply_pod(space, initContainers=[shell("exit 9", "bad")], containers=[shell(FOREVER)], restartPolicy="Never")
    pod = space.wait("pod/p", "status.phase=Failed")
    (init,) = pod["status"]["initContainerStatuses"]
    assert (init["state"]["terminated"]["exitCode"], init["restartCount"]) == (9, 0)
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"


def _restarted_and_ready(pod: dict[str, Any]) -> bool:
    status = pod["status"]["containerStatuses"][0]
    return bool(status["restartCount"] == 1 and status["ready"])


def _said(space: Namespace, wanted: dict[str, str]) -> bool:
    events = space.client.list("Event", namespace=space.name).items
    told = {event.reason: event.message for event in events}
    return all(told.get(reason, "").startswith(message) for reason, message in wanted.items())


def test_what_a_pod_writes_to_its_claim_the_next_one_reads(space: Namespace) -> None:
    """On the same node, in a volume that was made for it; what a claim that nobody serves is waited for is said."""
    space.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
        }
    )
    mounted = {
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
        "terminationGracePeriodSeconds": 1,
        "restartPolicy": "Never",
    }
    mounts = [{"name": "v", "mountPath": "/data"}]
    write = shell("echo kept > /data/file", volumeMounts=mounts, securityContext={"runAsUser": 1000})
    apply_pod(space, "first", containers=[write], **mounted)
    space.wait("pod/first", "status.phase=Succeeded")
    space.client.delete("Pod", "first", namespace=space.name)
    apply_pod(space, "second", containers=[shell(FOREVER, volumeMounts=mounts)], **mounted)
    space.wait("pod/second", "Ready")
    assert space.run("second", "cat", "/data/file") == "kept\n"
    space.client.delete("Pod", "second", namespace=space.name)
    claim = space.wait("persistentvolumeclaim/data", "status.phase=Bound")
    space.client.delete("PersistentVolumeClaim", "data", namespace=space.name)
    space.cluster.wait(f"persistentvolume/{claim['spec']['volumeName']}", "Deleted", timeout=60)
