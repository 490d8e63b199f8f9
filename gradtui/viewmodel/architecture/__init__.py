"""The architecture of a model as rows: what is folded, merged and sorted, and the lanes beside it."""
