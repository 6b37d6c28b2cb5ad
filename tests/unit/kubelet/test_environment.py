"""A container's environment, case by case."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api.types.core_v1 import (
    ConfigMap,
    ConfigMapEnvSource,
    ConfigMapKeySelector,
    Container,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    ObjectFieldSelector,
    Pod,
    PodSpec,
    ResourceFieldSelector,
    ResourceRequirements,
    Secret,
    SecretEnvSource,
    SecretKeySelector,
    Service,
    ServicePort,
    ServiceSpec,
)
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.kubelet.environment import ConfigError, Inputs, environment, expand, references

META = ObjectMeta(name="web", namespace="shop", uid="u-1", labels={"app": "web"}, annotations={"note": 'say "hi"'})


def b64(text):
    return base64.b64encode(text.encode()).decode()


def pod(*containers, **spec):
    return Pod(metadata=META, spec=PodSpec(containers=containers, **spec))


def env_of(*variables, inputs=None, **more):
    container = Container(name="c", env=variables, **more)
    return dict(environment(pod(container, node_name="n1", service_account_name="sa"), container, inputs or Inputs()))


def field(path):
    return EnvVar(name="F", value_from=EnvVarSource(field_ref=ObjectFieldSelector(field_path=path)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['note']", 'say "hi"'),
        ("metadata.labels['none']", ""),
        ("spec.nodeName", "n1"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "10.0.0.1"),
        ("status.podIPs", "10.0.0.1,fd00::1"),
        ("status.hostIP", "192.0.2.1"),
        ("status.hostIPs", "192.0.2.1"),
    ],
)
def test_downward_fields(path, value):
    inputs = Inputs(pod_ips=("10.0.0.1", "fd00::1"), host_ips=("192.0.2.1",))
    assert env_of(field(path), inputs=inputs) == {"F": value}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", None, "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.cpu", None, "1"),
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", None, str(64 << 20)),
        ("requests.memory", None, "0"),
        ("limits.ephemeral-storage", "1Gi", "10"),
    ],
)
def test_resource_fields(resource, divisor, value):
    wanted = ResourceFieldSelector(resource=resource, divisor=divisor)
    requirements = ResourceRequirements(limits={"cpu": "1500m", "memory": "64Mi"}, requests={"cpu": "200m"})
    variable = EnvVar(name="R", value_from=EnvVarSource(resource_field_ref=wanted))
    inputs = Inputs(allocatable={"ephemeral-storage": "10Gi"})
    assert env_of(variable, inputs=inputs, resources=requirements) == {"R": value}


def test_sources_in_order_and_references_to_what_came_before():
    settings = ConfigMap(data={"A": "cm-a", "B": "cm-b", "bad=key": "x"})
    keys = Secret(data={"B": b64("secret-b")})
    result = env_of(
        EnvVar(name="A", value="own"),
        EnvVar(name="C", value="$(A) $(X_B) $(UNKNOWN) $$(A)"),
        EnvVar(name="D", value="$(E)"),
        EnvVar(name="E", value="later"),
        env_from=(
            EnvFromSource(config_map_ref=ConfigMapEnvSource(name="settings")),
            EnvFromSource(prefix="X_", secret_ref=SecretEnvSource(name="keys")),
            EnvFromSource(config_map_ref=ConfigMapEnvSource(name="none", optional=True)),
        ),
        inputs=Inputs(config_maps={"settings": settings, "none": None}, secrets={"keys": keys}),
    )
    assert result == {
        "A": "own",
        "B": "cm-b",
        "X_B": "secret-b",
        "C": "own secret-b $(UNKNOWN) $(A)",
        "D": "$(E)",
        "E": "later",
    }


def test_keys():
    from_map = EnvVar(
        name="M", value_from=EnvVarSource(config_map_key_ref=ConfigMapKeySelector(name="settings", key="k"))
    )
    from_secret = EnvVar(name="S", value_from=EnvVarSource(secret_key_ref=SecretKeySelector(name="keys", key="k")))
    inputs = Inputs(
        config_maps={"settings": ConfigMap(data={"k": "1"})}, secrets={"keys": Secret(data={"k": b64("2")})}
    )
    assert env_of(from_map, from_secret, inputs=inputs) == {"M": "1", "S": "2"}
    assert references(Container(name="c", env=(from_map, from_secret))) == ({"settings"}, {"keys"})
    missing = Inputs(config_maps={"settings": ConfigMap()}, secrets={"keys": None})
    with pytest.raises(ConfigError, match="couldn't find key k in ConfigMap shop/settings"):
        env_of(from_map, inputs=missing)
    with pytest.raises(ConfigError, match='secret "keys" not found'):
        env_of(from_secret, inputs=missing)
    optional = SecretKeySelector(name="keys", key="k", optional=True)
    assert env_of(EnvVar(name="S", value_from=EnvVarSource(secret_key_ref=optional)), inputs=missing) == {}


def service(name, namespace="shop", ip="10.96.0.7", ports=((None, 80, "TCP"),)):
    return Service(
        metadata=ObjectMeta(name=name, namespace=namespace),
        spec=ServiceSpec(
            cluster_ip=ip, ports=tuple(ServicePort(name=n, port=p, protocol=protocol) for n, p, protocol in ports)
        ),
    )


def test_service_variables_in_all_their_forms():
    services = (
        service("my-db", ports=(("sql", 5432, "TCP"), ("log", 514, "UDP"))),
        service("headless", ip="None"),
        service("elsewhere", namespace="other"),
        service("kubernetes", namespace="default", ip="10.96.0.1", ports=(("https", 443, "TCP"),)),
    )
    result = env_of(EnvVar(name="URL", value="$(MY_DB_PORT)"), inputs=Inputs(services=services))
    assert result == {
        "URL": "tcp://10.96.0.7:5432",
        "MY_DB_SERVICE_HOST": "10.96.0.7",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL": "5432",
        "MY_DB_SERVICE_PORT_LOG": "514",
        "MY_DB_PORT": "tcp://10.96.0.7:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.96.0.7:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.96.0.7",
        "MY_DB_PORT_514_UDP": "udp://10.96.0.7:514",
        "MY_DB_PORT_514_UDP_PROTO": "udp",
        "MY_DB_PORT_514_UDP_PORT": "514",
        "MY_DB_PORT_514_UDP_ADDR": "10.96.0.7",
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        "KUBERNETES_SERVICE_PORT_HTTPS": "443",
        "KUBERNETES_PORT": "tcp://10.96.0.1:443",
        "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
        "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
        "KUBERNETES_PORT_443_TCP_PORT": "443",
        "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
    }
    container = Container(name="c")
    without = environment(pod(container, enable_service_links=False), container, Inputs(services=services))
    assert {name.partition("_")[0] for name, _ in without} == {"KUBERNETES"}


@given(st.text(alphabet="$()AB x", max_size=20))
def test_text_without_known_names_keeps_all_but_doubled_dollars(text):
    assert expand(text, {}).replace("$", "") == text.replace("$", "")
    assert expand(text.replace("$", "$$"), {"A": "no"}) == text
