"""API prices: what is offered, what was accepted, and the commands over both."""
