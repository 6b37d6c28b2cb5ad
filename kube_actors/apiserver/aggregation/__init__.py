"""API groups that other servers serve: APIService objects, their availability, and the passing on of requests.

`book` is all that a cluster without them needs; the rest is imported when there is something to pass on.
"""

from kube_actors.apiserver.aggregation.book import GROUP, Aggregator, FrontProxy

__all__ = ["GROUP", "Aggregator", "FrontProxy"]
