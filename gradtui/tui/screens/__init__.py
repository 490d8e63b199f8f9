"""Screens and views: what stands where, and what a key does there."""
