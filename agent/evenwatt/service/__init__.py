"""The composition root: builds, schedules, publishes the snapshot, shuts down in reverse.

Nothing is imported here: a command that only asks the running agent must not load an agent of its own.
"""
