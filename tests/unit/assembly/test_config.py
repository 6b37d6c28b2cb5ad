"""The configuration: what it accepts, and errors that name the field and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_actors.assembly.config import ClusterConfig, ConfigError, NodeConfig, load_config, parse_config, seconds

FULL = """
nodes:
- name: fake
  count: 2
  labels: {topology.kubernetes.io/zone: zone-a}
  taints: [{key: dedicated, value: gpu, effect: NoExecute}]
  capacity: {cpu: "64", memory: 256Gi, pods: 2000}
- name: other
runtime: simulated
store: sqlite:/var/lib/cluster.db
listen: "127.0.0.1:0"
without: [scheduler]
addresses: {tier: loopback, services: 127.96.0.0/16, nodePorts: 31000-31100}
tokens: [{token: s3cret, user: admin, groups: ["system:masters"]}]
controllers: {nodeMonitorGracePeriod: 8s, nodeMonitorPeriod: 1}
featureGates: {}
"""


def test_a_file_can_say_everything(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(FULL)
    config = load_config(path)
    assert [node.name for node in config.node_configs()] == ["fake-0", "fake-1", "other"]
    assert config.node_configs()[1].taints[0].effect == "NoExecute"
    assert config.addresses.node_ports == "31000-31100"
    assert seconds(config.controllers.node_monitor_grace_period, "x") == 8.0
    assert config.tokens[0].groups == ("system:masters",)


def test_defaults_are_one_simulated_node_in_memory() -> None:
    config = parse_config("")
    assert (config.runtime, config.store, config.listen) == ("simulated", "memory", None)
    assert config.node_configs() == (NodeConfig(name="node-0"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nodes: -1", r"nodes: -1 is negative"),
        ("nodes: [{name: A}]", r"nodes\[0\].name: 'A' is not a lower-case DNS name"),
        ("nodes: [{name: a}, {name: a}]", r"the name 'a' is given twice"),
        ("nodes: [{name: a, count: 0}]", r"nodes\[0\].count: 0 must be at least 1"),
        ("without: [etcd]", r"without: there is no 'etcd'; known are scheduler, controllers"),
        ("store: mysql", r"store: 'mysql' is none of memory, sqlite:PATH"),
        ("listen: '6443'", r"listen: '6443' is not HOST:PORT"),
        ("listen: 'a:99999'", r"is not HOST:PORT"),
        ("runtime: lxc", r"Invalid enum value 'lxc' - at `\$.runtime`"),
        ("scripted: {nodeSelector: 'a in'}", r"scripted.nodeSelector: .*; write labels as"),
        ("scripted: {nodeSelector: a=b, leasePeriod: soon}", r"scripted.leasePeriod: 'soon' is no duration"),
        ("scripted: {nodeSelector: a=b, restarts: -1}", r"scripted.restarts: -1 is negative"),
        ("scripted: {nodeSelector: a=b, annotation: ''}", r"scripted.annotation: must not be empty"),
        ("controllers: {nodeCidrMaskSize: 8}", r"controllers.nodeCidrMaskSize: 8 does not divide 10.244.0.0/16"),
        ("controllers: {clusterCidr: here}", r"controllers.clusterCidr: .* a range looks like"),
        (
            "controllers: {leaderElection: {renewDeadline: 20}}",
            r"leaseDuration: 15 s must be longer than renewDeadline",
        ),
        ("controllers: {leaderElection: {retryPeriod: 9}}", r"renewDeadline: 10 s must be longer than retryPeriod"),
        ("controllers: {leaderElection: {resourceName: A}}", r"leaderElection.resourceName: 'A' is not a lower-case"),
        ("colour: red", r"unknown field `colour`"),
        ("addresses: {services: 10.96.0.1/16}", r"addresses.services: .* a range looks like"),
        ("addresses: {nodePorts: 9-1}", r"addresses.nodePorts: '9-1' is no port range"),
        ("controllers: {nodeMonitorPeriod: soon}", r"nodeMonitorPeriod: 'soon' is no duration"),
        ("controllers: {periods: {x: 0}}", r"controllers.periods.x: 0.0 must be more"),
        ("tokens: [{token: '', user: u}]", r"tokens\[0\]: token and user must not be empty"),
        (
            "featureGates: {NodeSwap: true}",
            r"featureGates: 'NodeSwap' switches nothing here.*leave it",
        ),
        ("featureGates: {NodeSwap: perhaps}", r"Expected `bool`, got `str` - at `\$.featureGates"),
        ("[1, 2]", r"a mapping of fields is expected, not list"),
        ("a: [", r"not YAML"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        parse_config(text, "cluster.yaml")
    assert str(raised.value).startswith("cluster.yaml: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent.yaml: cannot be read: No such file"):
        load_config(tmp_path / "absent.yaml")


def test_values_given_in_code_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="listen"):
        ClusterConfig(listen="nowhere").check()


@pytest.mark.parametrize(("text", "value"), [("8s", 8), ("1m30s", 90), ("500ms", 0.5), (2.5, 2.5), ("2h", 7200)])
def test_durations(text: float | str, value: float) -> None:
    assert seconds(text, "field") == value
