"""Simulation of the whole engine: clock, sockets, disk, kills and chance under one seed.

tests/test_simulator.py runs it for some seconds, and benchmarks/simulator.py for hours.
"""

from support.simulator.run import Figures, SimulationError, play

__all__ = ["Figures", "SimulationError", "play"]
