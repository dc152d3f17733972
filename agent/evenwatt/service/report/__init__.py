"""`evenwatt report`: gathered from the history."""
