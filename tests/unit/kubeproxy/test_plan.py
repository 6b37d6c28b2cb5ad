"""Which frontends and backends a Service has: the cases of kube-proxy, and properties that hold for any of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api.types.core_v1 import (
    ClientIPConfig,
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
    SessionAffinityConfig,
)
from kube_actors.api.types.discovery_v1 import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.kubeproxy.plan import Locality, is_proxied, routes_of, service_key_of
from kube_actors.kubeproxy.tables import Tables
from netproxy.contract import NODE_ADDRESS, Backend, Frontend, Route

HERE = Locality(node_names=frozenset({"node-1"}))
HTTP = ServicePort(name="http", port=80, protocol="TCP")


def service(*ports, labels=None, name="web", status=None, **spec):
    spec.setdefault("cluster_ip", "10.96.0.10")
    spec.setdefault("type", "ClusterIP")
    return Service(
        metadata=ObjectMeta(name=name, namespace="default", labels=labels or {}),
        spec=ServiceSpec(ports=ports or (HTTP,), **spec),
        status=status or ServiceStatus(),
    )


def endpoint(address, node="node-1", ready=True, serving=None, terminating=None):
    conditions = EndpointConditions(ready=ready, serving=serving, terminating=terminating)
    return Endpoint(addresses=(address,), node_name=node, conditions=conditions)


def slice_of(*endpoints, ports=(("http", 8080, "TCP"),), address_type="IPv4", labels=None, service_name="web"):
    return EndpointSlice(
        metadata=ObjectMeta(
            name=f"{service_name}-abc",
            namespace="default",
            labels={"kubernetes.io/service-name": service_name, **(labels or {})},
        ),
        address_type=address_type,
        endpoints=endpoints,
        ports=tuple(EndpointPort(name=name, port=port, protocol=protocol) for name, port, protocol in ports),
    )


def test_a_cluster_ip_leads_to_ready_endpoints_only():
    slices = [slice_of(endpoint("10.244.0.2"), endpoint("10.244.0.1"), endpoint("10.244.0.3", ready=False))]
    assert routes_of(service(), slices, HERE) == (
        Route(
            "default/web:http",
            (Frontend("10.96.0.10", 80),),
            (Backend("10.244.0.1", 8080), Backend("10.244.0.2", 8080)),
        ),
    )


def test_without_endpoints_there_is_a_route_that_refuses():
    (route,) = routes_of(service(), [], HERE)
    assert route.frontends and route.backends == ()


def test_conditions_that_are_not_told_count_as_ready():
    slices = [slice_of(Endpoint(addresses=("10.244.0.1",)), endpoint("10.244.0.2", ready=None))]
    (route,) = routes_of(service(), slices, HERE)
    assert len(route.backends) == 2


def test_terminating_endpoints_serve_only_while_none_is_ready():
    going = endpoint("10.244.0.1", ready=False, serving=True, terminating=True)
    gone = endpoint("10.244.0.2", ready=False, serving=False, terminating=True)
    (route,) = routes_of(service(), [slice_of(going, gone)], HERE)
    assert route.backends == (Backend("10.244.0.1", 8080),)
    (route,) = routes_of(service(), [slice_of(going, gone, endpoint("10.244.0.3"))], HERE)
    assert route.backends == (Backend("10.244.0.3", 8080),)


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster_ip": "None"},
        {"cluster_ip": None},
        {"type": "ExternalName"},
        {"labels": {"service.kubernetes.io/service-proxy-name": "other"}},
        {"labels": {"service.kubernetes.io/headless": ""}},
    ],
    ids=str,
)
def test_services_that_are_left_alone(changes):
    assert not is_proxied(service(**changes))
    assert routes_of(service(**changes), [slice_of(endpoint("10.244.0.1"))], HERE) == ()


def test_slices_that_are_left_alone():
    assert service_key_of(slice_of()) == "default/web"
    assert service_key_of(slice_of(labels={"service.kubernetes.io/service-proxy-name": "other"})) is None
    assert service_key_of(slice_of(labels={"service.kubernetes.io/headless": ""})) is None
    assert service_key_of(EndpointSlice(address_type="IPv4")) is None


def test_ports_find_their_slice_port_by_name_and_protocol():
    both = (ServicePort(name="dns", port=53, protocol="UDP"), ServicePort(name="dns-tcp", port=53, protocol="TCP"))
    slices = [slice_of(endpoint("10.244.0.1"), ports=(("dns", 5353, "UDP"), ("dns-tcp", 5354, "TCP")))]
    udp, tcp = routes_of(service(*both), slices, HERE)
    assert (udp.frontends, udp.backends) == ((Frontend("10.96.0.10", 53, "UDP"),), (Backend("10.244.0.1", 5353),))
    assert (tcp.frontends, tcp.backends) == ((Frontend("10.96.0.10", 53, "TCP"),), (Backend("10.244.0.1", 5354),))


def test_a_named_target_port_may_differ_between_pods():
    slices = [
        slice_of(endpoint("10.244.0.1"), ports=(("http", 8080, "TCP"),)),
        slice_of(endpoint("10.244.0.2"), ports=(("http", 9090, "TCP"),)),
    ]
    (route,) = routes_of(service(), slices, HERE)
    assert route.backends == (Backend("10.244.0.1", 8080), Backend("10.244.0.2", 9090))


def test_an_unnamed_port_and_a_protocol_that_cannot_be_proxied():
    sctp = ServicePort(name="sctp", port=7, protocol="SCTP")
    slices = [slice_of(endpoint("10.244.0.1"), ports=(("", 8080, None),))]
    (route,) = routes_of(service(ServicePort(port=80), sctp), slices, HERE)
    assert (route.name, route.backends) == ("default/web:80", (Backend("10.244.0.1", 8080),))


def test_node_ports_and_external_addresses_join_the_route():
    port = ServicePort(name="http", port=80, node_port=30080)
    (route,) = routes_of(service(port, type="NodePort", external_ips=("192.0.2.7",)), [], HERE)
    assert route.frontends == (
        Frontend("10.96.0.10", 80),
        Frontend("192.0.2.7", 80),
        Frontend(NODE_ADDRESS, 30080),
    )


@pytest.mark.parametrize(
    ("ingress", "served"),
    [
        (LoadBalancerIngress(ip="198.51.100.1"), True),
        (LoadBalancerIngress(ip="198.51.100.1", ip_mode="VIP"), True),
        (LoadBalancerIngress(ip="198.51.100.1", ip_mode="Proxy"), False),
        (LoadBalancerIngress(ip="203.0.113.1"), False),
        (LoadBalancerIngress(hostname="lb.example"), False),
        (LoadBalancerIngress(ip="nonsense"), False),
    ],
)
def test_load_balancer_addresses_that_lead_here_are_served(ingress, served):
    status = ServiceStatus(load_balancer=LoadBalancerStatus(ingress=(ingress,)))
    locality = Locality(load_balancer_ranges=("198.51.100.0/24",))
    (route,) = routes_of(service(type="LoadBalancer", status=status), [], locality)
    assert (Frontend("198.51.100.1", 80) in route.frontends) == served


def test_traffic_policies_look_at_local_endpoints():
    slices = [slice_of(endpoint("10.244.0.1", node="node-1"), endpoint("10.244.1.1", node="node-2"))]
    near, far = Backend("10.244.0.1", 8080), Backend("10.244.1.1", 8080)
    port = ServicePort(name="http", port=80, node_port=30080)

    inside, outside = routes_of(service(port, type="NodePort", external_traffic_policy="Local"), slices, HERE)
    assert (inside.backends, outside.backends) == ((near, far), (near,))
    assert outside.frontends == (Frontend(NODE_ADDRESS, 30080),)

    inside, outside = routes_of(service(port, type="NodePort", internal_traffic_policy="Local"), slices, HERE)
    assert (inside.backends, outside.backends) == ((near,), (near, far))

    both = service(port, type="NodePort", internal_traffic_policy="Local", external_traffic_policy="Local")
    (route,) = routes_of(both, slices, HERE)
    assert route.backends == (near,)

    nowhere = Locality(node_names=frozenset({"node-3"}))
    inside, outside = routes_of(service(port, type="NodePort", external_traffic_policy="Local"), slices, nowhere)
    assert outside.backends == ()


def test_a_local_terminating_endpoint_serves_when_the_ready_ones_are_elsewhere():
    going = endpoint("10.244.0.1", node="node-1", ready=False, serving=True, terminating=True)
    slices = [slice_of(going, endpoint("10.244.1.1", node="node-2"))]
    (route,) = routes_of(service(internal_traffic_policy="Local"), slices, HERE)
    assert route.backends == (Backend("10.244.0.1", 8080),)


def test_affinity_has_the_services_time_or_three_hours():
    assert routes_of(service(session_affinity="None"), [], HERE)[0].affinity_seconds is None
    assert routes_of(service(session_affinity="ClientIP"), [], HERE)[0].affinity_seconds == 10800
    config = SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=30))
    affine = service(session_affinity="ClientIP", session_affinity_config=config)
    assert routes_of(affine, [], HERE)[0].affinity_seconds == 30


def test_two_families_are_two_routes():
    dual = service(cluster_ips=("10.96.0.10", "fd00:96::10"), cluster_ip="10.96.0.10")
    slices = [slice_of(endpoint("10.244.0.1")), slice_of(endpoint("fd00:244::1"), address_type="IPv6")]
    four, six = routes_of(dual, slices, HERE)
    assert (four.frontends, four.backends) == ((Frontend("10.96.0.10", 80),), (Backend("10.244.0.1", 8080),))
    assert (six.frontends, six.backends) == ((Frontend("fd00:96::10", 80),), (Backend("fd00:244::1", 8080),))
    assert four.name != six.name


addresses = st.sampled_from([f"10.244.{node}.{pod}" for node in (0, 1) for pod in (1, 2, 3)])
conditions = st.sampled_from([None, True, False])
endpoints = st.builds(
    lambda address, ready, serving, terminating: endpoint(
        address, f"node-{int(address.split('.')[2]) + 1}", ready, serving, terminating
    ),
    addresses,
    conditions,
    conditions,
    conditions,
)
slices = st.lists(st.lists(endpoints, max_size=5).map(lambda some: slice_of(*some)), max_size=3)
policies = st.sampled_from([None, "Cluster", "Local"])


@given(slices, policies, policies)
def test_backends_are_always_endpoints_that_may_be_used(some, internal, external):
    port = ServicePort(name="http", port=80, node_port=30080)
    routes = routes_of(
        service(port, type="NodePort", internal_traffic_policy=internal, external_traffic_policy=external), some, HERE
    )
    every = [one for slice_ in some for one in slice_.endpoints]
    ready = {one.addresses[0] for one in every if one.conditions.ready is not False}
    serving = {
        one.addresses[0] for one in every if one.conditions.serving is not False and one.conditions.terminating is True
    }
    assert len({route.name for route in routes}) == len(routes)
    frontends = [frontend for route in routes for frontend in route.frontends]
    assert sorted(frontends) == [Frontend(NODE_ADDRESS, 30080), Frontend("10.96.0.10", 80)]
    for route in routes:
        used = [backend.address for backend in route.backends]
        assert used == sorted(set(used))
        assert set(used) <= ready or not set(used) & ready
        assert set(used) <= ready | serving
        local = internal == "Local" if Frontend("10.96.0.10", 80) in route.frontends else external == "Local"
        if not local and ready:
            assert set(used) == ready
        if local:
            assert all(address.startswith("10.244.0.") for address in used)


def distinct(some):
    """Each address once: one told twice with different conditions has no right answer, the last word on it counts."""
    seen = set()
    found = []
    for slice_ in some:
        new = [each for each in slice_.endpoints if each.addresses[0] not in seen]
        kept = list({each.addresses[0]: each for each in new}.values())
        seen |= {each.addresses[0] for each in kept}
        found.append(slice_of(*kept))
    return found


@given(slices, st.randoms())
def test_the_order_of_slices_and_endpoints_does_not_matter(some, random):
    some = distinct(some)
    shuffled = [
        slice_of(*random.sample(list(slice_.endpoints), len(slice_.endpoints)))
        for slice_ in random.sample(some, len(some))
    ]
    assert routes_of(service(), shuffled, HERE) == routes_of(service(), some, HERE)


def test_only_named_services_are_computed_again():
    services = {"default/a": service(name="a", cluster_ip="10.96.0.1"), "default/b": service(name="b")}
    behind = {"default/a": [slice_of(endpoint("10.244.0.1"))], "default/b": []}
    asked = []

    def slices_of(key):
        asked.append(key)
        return behind[key]

    tables = Tables(HERE, services.get, slices_of)
    assert tables.update(services)
    first = tables.table()
    assert [route.name for route in first.routes] == ["default/a:http", "default/b:http"]
    asked.clear()
    assert not tables.update({"default/b"})  # nothing about it has changed
    behind["default/b"] = [slice_of(endpoint("10.244.0.2"))]
    assert tables.update({"default/b"})
    assert asked == ["default/b", "default/b"]
    assert tables.table().routes[0] is first.routes[0]
    del services["default/a"]
    assert tables.update({"default/a", "default/unknown"})
    assert [route.name for route in tables.table().routes] == ["default/b:http"]
    assert tables.owner_of("default/b:http") == "default/b"
    assert tables.owner_of("default/a:http") == ""
