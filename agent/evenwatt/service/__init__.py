"""The composition root: builds, schedules, publishes the snapshot, shuts down in reverse."""

from evenwatt.service.agent import Agent, Ending
from evenwatt.service.control import Control

__all__ = ["Agent", "Control", "Ending"]
