# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""A small network with normalisation, its batches, and a step by hand."""

import torch
from torch import nn


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))


def batch(step):
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(step))


def descend(model):
    """A step by hand, of what gradients there are."""
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.1 * p.grad


def take_step(model, optimizer, step):
    """A whole step of an optimizer, with the batch of that number."""
    optimizer.zero_grad()
    model(batch(step)).sum().backward()
    optimizer.step()
