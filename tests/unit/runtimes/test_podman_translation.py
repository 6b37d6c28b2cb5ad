"""Configurations into Podman's form, Podman's answers and refusals into ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtimes import contract
from runtimes.contract import (
    ContainerConfig,
    Dns,
    Mount,
    PortMapping,
    Resources,
    RuntimeFault,
    SandboxConfig,
    Security,
    StartFailed,
)
from runtimes.labels import container_labels, sandbox_labels
from runtimes.oomscore import lowest_oom_score
from runtimes.podman.faults import Doing, failed_exec, fault_of
from runtimes.podman.read import read_container, read_image, read_sandbox, read_sandbox_facts, read_status
from runtimes.podman.spec import SandboxFacts, container_spec, linux_resources, sandbox_spec

SANDBOX = SandboxConfig(name="web", uid="u", namespace="default", hostname="web-0", labels={"app": "web"})
NOT_FOUND = "OCI runtime attempted to invoke a command that was not found"


def refusal(cause: str, message: str = "what happened") -> bytes:
    return json.dumps({"cause": cause, "message": message, "response": 500}).encode()


@pytest.mark.parametrize(
    ("cause", "doing", "kind"),
    [
        ("no such container", "start", contract.NotFound),
        ("that name is already in use", "create", contract.AlreadyExists),
        ("image not known", "create", contract.ImageNotPresent),
        ("container state improper", "exec", contract.WrongState),
        ("unknown capability", "create", contract.InvalidConfig),
        (NOT_FOUND, "start", contract.StartFailed),
        ("anything else", "other", RuntimeFault),
    ],
)
def test_a_refusal_becomes_the_error_it_means(cause: str, doing: Doing, kind: type[RuntimeFault]) -> None:
    fault = fault_of(500, refusal(cause), doing)
    assert type(fault) is kind
    assert fault.message == "what happened"


@pytest.mark.parametrize(
    ("cause", "code"), [(NOT_FOUND, 127), ("OCI permission denied", 126), ("OCI runtime error", 128)]
)
def test_a_failed_start_has_the_exit_code_of_a_shell(cause: str, code: int) -> None:
    fault = fault_of(500, refusal(cause), "start")
    assert isinstance(fault, StartFailed)
    assert fault.exit_code == code


def test_a_refusal_that_is_not_json_is_still_one_line() -> None:
    assert fault_of(502, b"bad\ngateway").message == "bad gateway"


def test_an_exec_that_could_not_start_is_told_from_a_command_that_exits_127() -> None:
    output = f'Error: runc: exec failed: exec: "nope": not found in $PATH: {NOT_FOUND}\nError: attach\n'.encode()
    failure = failed_exec(127, output)
    assert failure is not None
    assert failure.exit_code == 127
    assert "\n" not in failure.message
    assert failed_exec(127, b"sh: nope: not found\n") is None
    assert failed_exec(1, output) is None


def test_a_sandbox_with_the_hosts_network_takes_the_hosts_name() -> None:
    config = SandboxConfig(name="n", uid="u", namespace="d", hostname="web-0", host_network=True)
    spec = sandbox_spec(config, -1000)
    assert spec["netns"] == {"nsmode": "host"}
    assert "hostname" not in spec
    raw = inspection(sandbox_labels(config), Status="running")
    assert read_sandbox_facts(raw, "node-1").hostname == "node-1"
    assert read_sandbox_facts(inspection(sandbox_labels(SANDBOX)), "node-1").hostname == "web-0"


def test_a_sandbox_carries_its_names_ports_and_resolver() -> None:
    config = SandboxConfig(
        name="web",
        uid="u",
        namespace="default",
        hostname="web-0",
        dns=Dns(servers=("10.0.0.10",)),
        extra_hosts=(("db", "1.2.3.4"),),
        port_mappings=(PortMapping(container_port=80, host_port=8080, protocol="UDP"),),
    )
    spec = sandbox_spec(config, -1000)
    assert spec["hostname"] == "web-0"
    assert (spec["dns_server"], spec["dns_search"]) == (["10.0.0.10"], ["."])
    assert spec["hostadd"] == ["db:1.2.3.4"]
    assert spec["portmappings"] == [{"container_port": 80, "host_port": 8080, "host_ip": "", "protocol": "udp"}]


def test_a_container_joins_its_sandbox_and_keeps_strange_variables() -> None:
    config = ContainerConfig(
        name="c",
        image="i",
        command=("run",),
        env=(("a.b", "1"), ("X", "old"), ("X", "new")),
        mounts=(Mount(host_path="/a", container_path="/b", read_only=True, propagation="rslave"),),
        security=Security(user="1000", group="2000", supplemental_groups=(7,), capabilities_drop=("ALL",)),
    )
    spec = container_spec("box", SandboxFacts(hostname="web-0", host_network=False, joins_pid=True), config, -1000)
    joined = {"nsmode": "container", "value": "box"}
    assert all(spec[namespace] == joined for namespace in ("netns", "ipcns", "utsns", "pidns"))
    assert spec["env"] == {"HOSTNAME": "web-0", "a.b": "1", "X": "new"}
    assert spec["entrypoint"] == ["run"]
    assert "command" not in spec
    assert spec["mounts"][0]["options"] == ["rbind", "ro", "rslave"]
    assert (spec["user"], spec["groups"], spec["cap_drop"]) == ("1000:2000", ["7"], ["ALL"])


def test_memory_without_a_word_about_swap_means_no_swap() -> None:
    assert linux_resources(Resources(memory_limit_bytes=5, cpu_shares=2)) == {
        "cpu": {"shares": 2},
        "memory": {"limit": 5, "swap": 5},
    }
    assert linux_resources(Resources()) == {}


@pytest.mark.parametrize(("right", "lowest"), [("000001ffffffffff", -1000), ("00000000a80425fb", 200)])
def test_nobody_is_shielded_from_the_kernel_better_than_the_machine_allows(
    tmp_path: Path, right: str, lowest: int
) -> None:
    (tmp_path / "status").write_text(f"Name:\tx\nCapEff:\t{right}\n")
    (tmp_path / "oom_score_adj").write_text("200\n")
    assert lowest_oom_score(tmp_path) == lowest
    config = ContainerConfig(name="c", image="i", resources=Resources(oom_score_adj=-997))
    facts = SandboxFacts(hostname="", host_network=False, joins_pid=False)
    assert container_spec("box", facts, config, lowest)["oom_score_adj"] == max(-997, lowest)


def inspection(labels: dict[str, str], **state: Any) -> dict[str, Any]:
    return {
        "Id": "x1",
        "Created": "2023-11-14T22:13:20Z",
        "Config": {"Labels": labels, "Hostname": "web-0"},
        "State": {"Status": "exited", "StartedAt": "2023-11-14T22:13:20.5Z", "FinishedAt": "0001-01-01T00:00:00Z"}
        | state,
        "Image": "abc",
        "NetworkSettings": {"IPAddress": "10.88.0.2", "Networks": {"podman": {"IPAddress": "10.88.0.2"}}},
    }


def test_a_sandbox_has_an_address_only_while_it_runs() -> None:
    labels = sandbox_labels(SANDBOX)
    assert read_sandbox(inspection(labels, Status="running")).ips == ("10.88.0.2",)
    stopped = read_sandbox(inspection(labels, Status="exited"))
    assert (stopped.state, stopped.ip, stopped.labels) == ("notready", "", {"app": "web"})


def test_what_is_not_ours_is_not_found() -> None:
    with pytest.raises(contract.NotFound):
        read_sandbox(inspection({"app": "web"}))
    with pytest.raises(contract.NotFound):
        read_status(inspection(sandbox_labels(SANDBOX)), None)


def test_a_container_never_ends_before_it_started() -> None:
    labels = container_labels("box", ContainerConfig(name="c", image="i"))
    status = read_status(inspection(labels, ExitCode=3, FinishedAt="2023-11-14T22:13:20.4Z"), None)
    assert status.finished_at == status.started_at > 0
    assert (status.exit_code, status.reason, status.image_id) == (3, "Error", "sha256:abc")


def test_a_failed_start_that_podman_forgets_is_still_told() -> None:
    labels = container_labels("box", ContainerConfig(name="c", image="i"))
    failure = StartFailed("no such file", 127)
    status = read_status(inspection(labels, Status="created", StartedAt="0001-01-01T00:00:00Z"), (failure, 5.0))
    assert (status.state, status.exit_code, status.reason, status.finished_at) == ("exited", 127, "StartError", 5.0)
    listed = {"Id": "x1", "Created": "2023-11-14T22:13:20Z", "Labels": labels, "State": "created"}
    assert read_container(listed, {"x1": failure}).state == "exited"


def test_a_local_image_is_named_as_its_maker_named_it() -> None:
    image = read_image({"Id": "abc", "RepoTags": ["localhost/kube-actors/test:1"], "Config": {"Cmd": ["serve"]}})
    assert (image.id, image.tags, image.command) == ("sha256:abc", ("kube-actors/test:1",), ("serve",))
