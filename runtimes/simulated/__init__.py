"""An engine in memory: see `engine` for what it is, `behaviour` for how to script it."""

from runtimes.simulated.behaviour import Behaviour, Outcome, Output, Script
from runtimes.simulated.engine import SimulatedRuntime, open_simulated

__all__ = ["Behaviour", "Outcome", "Output", "Script", "SimulatedRuntime", "open_simulated"]
