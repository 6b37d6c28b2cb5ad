"""Pytest plugin: the `kube_cluster` fixture."""
