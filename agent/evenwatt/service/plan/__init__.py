"""`evenwatt plan`: from settings and presets to a machine on paper."""
