"""The agent's own alerts: judged at each tick, kept over restarts, told to whom the configuration names."""
