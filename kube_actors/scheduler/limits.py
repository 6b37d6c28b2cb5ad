"""Every bound and period of the scheduler, by name. Seconds unless the name says otherwise."""

from typing import Final

MIN_FEASIBLE_NODES: Final = 100
"""In a cluster with fewer nodes every node is looked at; in a larger one at least so many feasible ones are found."""

MIN_FEASIBLE_PERCENT: Final = 5

ARRAY_NODES: Final = 32
"""From so many nodes on a cycle runs on arrays; below, importing them costs more than they save."""

JOURNAL_CHANGES: Final = 65536
"""Changes of nodes and their pods that are remembered for arrays; a column that has missed more is made anew."""

COLUMNS: Final = 1024
"""Columns kept; the one that was not read for longest goes first."""

BACKOFF_INITIAL_SECONDS: Final = 1.0
BACKOFF_MAX_SECONDS: Final = 10.0
"""How long a pod that could not be placed waits before its next try, doubling from the first to the second."""

UNSCHEDULABLE_SECONDS: Final = 300.0
"""A pod that nothing has woken for so long is tried again, in case that a change was overlooked."""

SWEEP_SECONDS: Final = 30.0
"""How often such pods are looked for."""

BINDINGS: Final = 4096
"""Pods on their way to a node, or whose refusal is being written down, at one time; many may wait for volumes.
Placing waits for one of them when there are more."""

WRITES: Final = 128
"""Writes of bindings and refusals under way at one time."""

CYCLES_PER_TURN: Final = 8
"""Pods placed before other tasks get their turn."""

WRITE_ATTEMPTS: Final = 3
WRITE_RETRY_SECONDS: Final = 1.0

SHAPES: Final = 65536
"""Different demands of pods that are told apart; beyond, numbers are given anew."""

MEMO_SHAPES: Final = 64
"""Shapes of pods that a node remembers scores for."""

VOLUME_BINDING_SECONDS: Final = 600.0
"""How long a pod's volumes may take to be bound or made before the pod is placed anew."""

VOLUME_FIRST_POLL_SECONDS: Final = 0.03
VOLUME_POLL_SECONDS: Final = 1.0
