"""Values and pure functions: sessions, gradient flows, reductions, scales, edits. No disk, no clock, no threads."""
