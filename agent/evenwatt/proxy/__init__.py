"""A process of its own that stands before an engine, passes every byte on and counts every token.

`scanner`, `lines`, `apis`, `answers`, `hiding` and `asking` are pure: bytes in, values out. `totals` keeps
what was counted, `forwarding` and `tunnel` move the bytes, `page` shows the totals, `server` puts them
together. Nothing here knows of the agent, of prices or of the configuration; the agent reads the page like
that of any engine.
"""
