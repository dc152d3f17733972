"""What the machine draws beside its GPUs: one module for each kind of meter, one source for all of them."""
