"""Exports, imports and backups of a history, beside the agent that writes it."""
