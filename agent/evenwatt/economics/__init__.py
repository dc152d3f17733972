"""What it costs: pure functions over plain values, no clock and no input or output."""
