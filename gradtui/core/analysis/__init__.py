"""What one tensor or one run shows when it is looked at on demand: likeness, clusters, kernels, sums by epoch."""
