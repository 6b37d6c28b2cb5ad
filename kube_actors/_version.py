"""The version of this distribution, and of the Kubernetes API that it speaks."""

VERSION = "0.1.0"
KUBERNETES_VERSION = "v1.36.0"
