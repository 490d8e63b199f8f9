"""A model's architecture as a graph, and what can be said of it without running it."""
