"""Small decisions: volumes' files, images, resources, admission, node fit, status differences."""

import base64
import json
import os

import pytest

from kube_actors.api.types.core_v1 import (
    Affinity,
    ConfigMap,
    ConfigMapProjection,
    ConfigMapVolumeSource,
    Container,
    ContainerPort,
    ContainerStatus,
    KeyToPath,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    NodeSpec,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Secret,
    SecretProjection,
    Taint,
    Toleration,
    Volume,
    VolumeProjection,
)
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.kubelet import images, payloads, resources, volume_files
from kube_actors.kubelet.admission import Occupancy, admit
from kube_actors.kubelet.affinity import matches_node
from kube_actors.kubelet.environment import Inputs
from kube_actors.kubelet.payloads import File, PayloadError
from kube_actors.kubelet.restarts import duration_text
from kube_actors.kubelet.status import difference

POD = Pod(metadata=ObjectMeta(name="web", namespace="d", uid="u"), spec=PodSpec(containers=(Container(name="c"),)))


def b64(text):
    return base64.b64encode(text.encode()).decode()


# Volumes


def test_a_projected_volume_takes_items_from_everywhere():
    sources = (
        VolumeProjection(config_map=ConfigMapProjection(name="m", items=(KeyToPath(key="a", path="x/a", mode=0o600),))),
        VolumeProjection(secret=SecretProjection(name="s")),
        VolumeProjection(config_map=ConfigMapProjection(name="none", optional=True)),
    )
    inputs = Inputs(
        config_maps={"m": ConfigMap(data={"a": "1", "b": "2"})}, secrets={"s": Secret(data={"k": b64("v")})}
    )
    made = payloads.payload(POD, sources, 0o644, inputs)
    assert made == {"x/a": File(b"1", 0o600), "k": File(b"v", 0o644)}


def test_what_is_missing_or_leads_outside_is_refused():
    volume = Volume(name="v", config_map=ConfigMapVolumeSource(name="m", items=(KeyToPath(key="z", path="z"),)))
    sources, mode = payloads.projections_of(volume)
    with pytest.raises(PayloadError, match="references non-existent config key: z"):
        payloads.payload(POD, sources, mode, Inputs(config_maps={"m": ConfigMap()}))
    with pytest.raises(PayloadError, match='configmap "m" not found'):
        payloads.payload(POD, sources, mode, Inputs())
    outside = (VolumeProjection(config_map=ConfigMapProjection(name="m", items=(KeyToPath(key="a", path="../a"),))),)
    with pytest.raises(PayloadError, match="invalid path"):
        payloads.payload(POD, outside, mode, Inputs(config_maps={"m": ConfigMap(data={"a": "1"})}))


def test_files_are_replaced_all_at_once(tmp_path):
    root = str(tmp_path / "v")
    assert volume_files.write_payload(root, {"a": File(b"1", 0o600), "d/b": File(b"2", 0o644)}, "one")
    assert not volume_files.write_payload(root, {"a": File(b"1", 0o600), "d/b": File(b"2", 0o644)}, "same")
    assert (tmp_path / "v" / "a").read_bytes() == b"1" and (tmp_path / "v" / "d" / "b").read_bytes() == b"2"
    assert os.stat(tmp_path / "v" / "a").st_mode & 0o777 == 0o600
    assert volume_files.write_payload(root, {"a": File(b"3", 0o600), "c": File(b"4", 0o644)}, "two")
    assert (tmp_path / "v" / "a").read_bytes() == b"3"
    assert sorted(os.listdir(root)) == ["..data", "..two", "a", "c"]
    assert os.readlink(tmp_path / "v" / "a") == "..data/a"


def test_sub_paths_stay_inside(tmp_path):
    (tmp_path / "v").mkdir()
    os.symlink("/etc", tmp_path / "v" / "out")
    assert volume_files.safe_join(str(tmp_path / "v"), "a/b") == str(tmp_path / "v" / "a" / "b")
    for path in ("../x", "out/passwd", "a/../../x"):
        with pytest.raises(ValueError, match="not within"):
            volume_files.safe_join(str(tmp_path / "v"), path)


def test_host_path_types(tmp_path):
    directory, file = str(tmp_path / "d"), str(tmp_path / "f")
    assert "is not a directory" in volume_files.check_host_path(directory, "Directory")
    assert volume_files.check_host_path(directory, "DirectoryOrCreate") == ""
    assert volume_files.check_host_path(file, "FileOrCreate") == ""
    assert volume_files.check_host_path(file, "File") == ""
    assert "is not a socket file" in volume_files.check_host_path(file, "Socket")
    assert volume_files.check_host_path("/dev/null", "CharDevice") == ""
    assert volume_files.check_host_path(str(tmp_path / "none"), "") == ""


# Images


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("web:1", "IfNotPresent"),
        ("host:5000/web", "Always"),
        ("host:5000/web:2", "IfNotPresent"),
        ("web@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_default_pull_policy(image, policy):
    assert images.policy_of(Container(name="c", image=image)) == policy


def test_credentials_of_the_longest_match_first():
    config = {
        "auths": {
            "https://index.docker.io/v1/": {"auth": b64("hub:h")},
            "registry.test:5000": {"username": "all", "password": "a"},
            "registry.test:5000/team": {"username": "team", "password": "t"},
        }
    }
    secret = Secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": b64(json.dumps(config))})
    broken = Secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": b64("nonsense")})
    found = images.credentials("registry.test:5000/team/web:1", [broken, secret])
    assert [(one.username, one.password) for one in found] == [("team", "t"), ("all", "a")]
    assert [one.username for one in images.credentials("web:1", [secret])] == ["hub"]
    assert images.credentials("other.test/web:1", [secret]) == []


# Resources, admission


def container(name="c", requests=None, limits=None, **more):
    return Container(name=name, resources=ResourceRequirements(requests=requests or {}, limits=limits or {}), **more)


@pytest.mark.parametrize(
    ("requests", "limits", "wanted"),
    [
        ({}, {}, "BestEffort"),
        ({"cpu": "1"}, {}, "Burstable"),
        ({}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1000m", "memory": "1024Mi"}, "Guaranteed"),
        ({"cpu": "500m"}, {"cpu": "1", "memory": "1Gi"}, "Burstable"),
        ({"cpu": "0"}, {}, "BestEffort"),
    ],
)
def test_quality_of_service(requests, limits, wanted):
    assert resources.qos_class(Pod(spec=PodSpec(containers=(container(requests=requests, limits=limits),)))) == wanted


def test_a_pods_requests_are_its_largest_moment():
    spec = PodSpec(
        containers=(container("a", {"cpu": "1"}), container("b", {"cpu": "500m"})),
        init_containers=(
            container("s", {"cpu": "250m"}, restart_policy="Always"),
            container("i", {"cpu": "2"}),
        ),
    )
    assert str(resources.pod_requests(Pod(spec=spec))["cpu"]) == "2250m"


def test_engine_limits():
    made = resources.engine_resources(POD, container(requests={"cpu": "500m"}, limits={"cpu": "2", "memory": "1Gi"}), 1)
    assert (made.cpu_shares, made.cpu_quota_us, made.cpu_period_us) == (512, 200_000, 100_000)
    assert made.memory_limit_bytes == 1 << 30
    nothing = resources.engine_resources(POD, Container(name="c"), 1)
    assert (nothing.cpu_shares, nothing.cpu_quota_us, nothing.memory_limit_bytes) == (2, None, None)


def test_host_ports_of_one_address_and_of_all():
    def holding(ip, port=80):
        ports = (ContainerPort(container_port=1, host_port=port, host_ip=ip),)
        return Pod(metadata=ObjectMeta(uid=str(ip)), spec=PodSpec(containers=(Container(name="c", ports=ports),)))

    occupancy = Occupancy()
    occupancy.add(holding("10.0.0.1"))
    assert admit(holding("10.0.0.2"), Node(), {}, occupancy) is None
    assert admit(holding("10.0.0.1"), Node(), {}, occupancy).reason == "NodePorts"
    assert admit(holding(None), Node(), {}, occupancy).reason == "NodePorts"
    assert admit(holding(None, 81), Node(), {}, occupancy) is None
    occupancy.remove("10.0.0.1")
    assert admit(holding(None), Node(), {}, occupancy) is None


def test_untolerated_taints_refuse():
    node = Node(spec=NodeSpec(taints=(Taint(key="k", value="v", effect="NoExecute"),)))
    assert admit(POD, node, {}, Occupancy()).reason == "TaintToleration"
    for toleration in (
        Toleration(operator="Exists"),
        Toleration(key="k", value="v"),
        Toleration(key="k", operator="Exists"),
    ):
        spec = PodSpec(containers=(Container(name="c"),), tolerations=(toleration,))
        assert admit(Pod(spec=spec), node, {}, Occupancy()) is None


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [
        ("In", ("4", "5"), True),
        ("In", ("5",), False),
        ("NotIn", ("5",), True),
        ("Exists", (), True),
        ("DoesNotExist", (), False),
        ("Gt", ("3",), True),
        ("Gt", ("4",), False),
        ("Lt", ("5",), True),
        ("Lt", ("x",), False),
    ],
)
def test_node_affinity(operator, values, fits):
    requirement = NodeSelectorRequirement(key="n", operator=operator, values=values)
    selector = NodeSelector(node_selector_terms=(NodeSelectorTerm(match_expressions=(requirement,)),))
    affinity = Affinity(node_affinity=NodeAffinity(required_during_scheduling_ignored_during_execution=selector))
    pod = Pod(spec=PodSpec(containers=(), affinity=affinity))
    assert matches_node(pod, Node(metadata=ObjectMeta(labels={"n": "4"}))) is fits


# Status


def test_only_what_changed_is_written():
    ready = PodCondition(type="Ready", status="False", reason="ContainersNotReady", message="m")
    foreign = PodCondition(type="example.test/gate", status="True")
    container = ContainerStatus(name="c", image="i", image_id="", ready=False, restart_count=0)
    old = PodStatus(phase="Pending", conditions=(ready, foreign), container_statuses=(container,), reason="x")
    new = PodStatus(
        phase="Running", conditions=(PodCondition(type="Ready", status="True"),), container_statuses=(container,)
    )
    assert difference(old, new) == {
        "phase": "Running",
        "reason": None,
        "conditions": [{"type": "Ready", "status": "True", "reason": None, "message": None}],
    }
    assert difference(new, new) == {}


@pytest.mark.parametrize(
    ("seconds", "text"), [(10, "10s"), (80, "1m20s"), (300, "5m0s"), (3661, "1h1m1s"), (1.5, "1.5s"), (0.12, "120ms")]
)
def test_durations_as_go_writes_them(seconds, text):
    assert duration_text(seconds) == text
