"""Looks at a model on demand: features of any layer, their likeness, weights, gradients of the moment."""
