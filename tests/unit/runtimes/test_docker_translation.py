"""What Docker is asked for and what its answers mean, without Docker."""

from __future__ import annotations

from typing import Any

import pytest

from runtimes.contract import (
    AlreadyExists,
    ContainerConfig,
    Device,
    Dns,
    ImageNotPresent,
    InvalidConfig,
    Mount,
    NotFound,
    PortMapping,
    Resources,
    RuntimeFault,
    SandboxConfig,
    Security,
    StartFailed,
    Unavailable,
    WrongState,
)
from runtimes.docker.faults import fault_of, start_fault_of
from runtimes.docker.read import read_sandbox, read_stats, read_status
from runtimes.docker.spec import container_body, sandbox_body, update_body
from runtimes.labels import Record, container_labels, sandbox_labels

SANDBOX = SandboxConfig(name="web", uid="u", namespace="n", hostname="web-host")
CONTAINER = ContainerConfig(name="main", image="i")


def test_sandbox_ports_and_names() -> None:
    ports = (
        PortMapping(container_port=80, host_port=8080, host_ip="127.0.0.1"),
        PortMapping(container_port=80, host_port=8081),
        PortMapping(container_port=53, host_port=5353, protocol="UDP"),
    )
    config = SandboxConfig(
        name="web", uid="u", namespace="n", hostname="h", port_mappings=ports, dns=Dns(servers=("192.0.2.1",))
    )
    body = sandbox_body(config, "bridge", 0)
    host = body["HostConfig"]
    assert host["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostIp": "", "HostPort": "8081"}],
        "53/udp": [{"HostIp": "", "HostPort": "5353"}],
    }
    assert set(body["ExposedPorts"]) == {"80/tcp", "53/udp"} and body["Hostname"] == "h"
    assert host["Dns"] == ["192.0.2.1"] and host["DnsSearch"] == ["."]


def test_host_namespaces() -> None:
    config = SandboxConfig(
        name="w",
        uid="u",
        namespace="n",
        hostname="h",
        host_network=True,
        host_pid=True,
        host_ipc=True,
        port_mappings=(PortMapping(container_port=1, host_port=1),),
    )
    body = sandbox_body(config, "bridge", 0)
    assert (body["HostConfig"]["NetworkMode"], body["HostConfig"]["PidMode"]) == ("host", "host")
    assert body["HostConfig"]["IpcMode"] == "host"
    assert "Hostname" not in body and "PortBindings" not in body["HostConfig"]
    record = Record(name="w", host_pid=True, host_ipc=True)
    host = container_body("s1", record, CONTAINER, 0)["HostConfig"]
    assert (host["NetworkMode"], host["PidMode"], host["IpcMode"]) == ("container:s1", "host", "host")
    host = container_body("s1", Record(name="w", share_pid=True), CONTAINER, 0)["HostConfig"]
    assert host["PidMode"] == host["IpcMode"] == "container:s1"


def test_a_containers_configuration() -> None:
    config = ContainerConfig(
        name="main",
        image="i",
        command=("run",),
        args=("a",),
        env=(("A", "1"), ("b.c", "2"), ("A", "3")),
        working_dir="/w",
        mounts=(Mount(host_path="/h", container_path="/c", read_only=True, propagation="rslave"),),
        devices=(Device(host_path="/dev/null", container_path="/dev/zip", permissions="r"),),
        tty=True,
        resources=Resources(cpu_shares=2, memory_limit_bytes=100, oom_score_adj=-997, pids_limit=7),
        security=Security(
            user="1", group="2", privileged=True, capabilities_add=("NET_ADMIN",), no_new_privileges=True
        ),
    )
    body = container_body("s1", Record(name="w"), config, 5)
    host = body["HostConfig"]
    assert (body["Entrypoint"], body["Cmd"], body["Env"]) == (["run"], ["a"], ["A=3", "b.c=2"])
    assert (body["WorkingDir"], body["Tty"], body["User"]) == ("/w", True, "1:2")
    assert host["Mounts"][0]["ReadOnly"] and host["Mounts"][0]["BindOptions"] == {"Propagation": "rslave"}
    assert host["Devices"][0]["PathInContainer"] == "/dev/zip"
    assert (host["Memory"], host["MemorySwap"], host["CpuShares"], host["PidsLimit"]) == (100, 100, 2, 7)
    assert host["OomScoreAdj"] == 5 and host["Privileged"] and host["CapAdd"] == ["NET_ADMIN"]
    assert update_body(config.resources) == {"CpuShares": 2, "PidsLimit": 7, "Memory": 100, "MemorySwap": 100}
    plain = container_body("s1", Record(name="w"), CONTAINER, 0)
    assert not {"Entrypoint", "Cmd", "User", "WorkingDir"} & set(plain)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (900, "Cannot connect", Unavailable),
        (503, "shutting down", Unavailable),
        (404, "No such container: x", NotFound),
        (404, "No such image: x:1", ImageNotPresent),
        (409, 'Conflict. The container name "/x" is already in use by container "y".', AlreadyExists),
        (409, "Container x is not running", WrongState),
        (400, "invalid mount config", InvalidConfig),
        (500, "something\n else", RuntimeFault),
    ],
)
def test_refusals(status: int, message: str, kind: type[RuntimeFault]) -> None:
    assert type(fault_of(status, message)) is kind
    assert "\n" not in fault_of(status, message).message


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, 'OCI runtime create failed: exec: "/x": stat /x: no such file or directory: unknown', 127),
        (404, 'OCI runtime create failed: exec: "x": executable file not found in $PATH', 127),
        (400, 'OCI runtime create failed: exec: "/etc": permission denied', 126),
        (500, "driver failed programming external connectivity: port is already allocated", 128),
    ],
)
def test_failed_starts(status: int, message: str, code: int) -> None:
    fault = start_fault_of(status, message)
    assert isinstance(fault, StartFailed) and fault.exit_code == code


def test_a_start_of_nothing_is_not_a_failed_start() -> None:
    assert type(start_fault_of(404, "No such container: x")) is NotFound
    assert type(start_fault_of(900, "gone")) is Unavailable


def inspection(**process: Any) -> dict[str, Any]:
    state = {"Status": "exited", "ExitCode": 0, "OOMKilled": False, "Error": "", "Pid": 0}
    return {
        "Id": "c1",
        "Created": "2026-01-01T00:00:00.5Z",
        "Image": "sha256:1",
        "Config": {"Labels": container_labels("s1", CONTAINER), "Tty": False},
        "HostConfig": {"Mounts": None},
        "State": state | {"StartedAt": "2026-01-01T00:00:01Z", "FinishedAt": "2026-01-01T00:00:02Z"} | process,
    }


@pytest.mark.parametrize(
    ("process", "state", "code", "reason"),
    [
        ({}, "exited", 0, "Completed"),
        ({"ExitCode": 1}, "exited", 1, "Error"),
        ({"ExitCode": 137, "OOMKilled": True}, "exited", 137, "OOMKilled"),
        ({"Status": "created", "ExitCode": 127, "Error": "no such file"}, "exited", 127, "StartError"),
        ({"Status": "created"}, "created", None, ""),
        ({"Status": "running", "Pid": 7}, "running", None, ""),
        ({"Status": "paused"}, "running", None, ""),
        ({"Status": "new-fangled"}, "unknown", None, ""),
    ],
)
def test_states(process: dict[str, Any], state: str, code: int | None, reason: str) -> None:
    status = read_status(inspection(**process))
    assert (status.state, status.exit_code, status.reason) == (state, code, reason)
    assert (status.finished_at > 0) == (state == "exited")


def test_sandbox_addresses() -> None:
    raw = {
        "Id": "s1",
        "Created": "2026-01-01T00:00:00.9Z",
        "Config": {"Labels": sandbox_labels(SANDBOX)},
        "State": {"Status": "running"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2"}}},
    }
    sandbox = read_sandbox(raw)
    assert (sandbox.ip, sandbox.ips, sandbox.state) == ("172.17.0.2", ("172.17.0.2", "fd00::2"), "ready")
    with pytest.raises(NotFound):
        read_sandbox(raw | {"Config": {"Labels": {}}})


def test_statistics() -> None:
    raw = {
        "read": "2026-01-01T00:00:00Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 5}},
        "memory_stats": {"usage": 100, "stats": {"total_inactive_file": 30, "inactive_file": 1}},
    }
    stats = read_stats("c1", raw)
    assert stats is not None and stats.memory_working_set_bytes == 70 and stats.cpu_usage_ns == 5
    assert read_stats("c1", raw | {"memory_stats": {}}) is None
