"""A plan for people and for programs."""

from evenwatt.sinks.plan.document import render_csv, render_json
from evenwatt.sinks.plan.terminal import print_plan

__all__ = ["print_plan", "render_csv", "render_json"]
