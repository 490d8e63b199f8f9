"""A model's architecture, from as much of a forward pass as can be had."""
