"""Alerts for people: their words, messages, and how those get to somebody."""
