"""Gradient flow between two layers, in the form that suits it; one import for all of them."""

from gradtui.core.abstract_flow import Extent, Flow
from gradtui.core.flow_forms import DenseFlow, OuterFlow, SummedFlow
from gradtui.core.links import Links
from gradtui.core.sparse_flow import SparseFlow

__all__ = ["DenseFlow", "Extent", "Flow", "Links", "OuterFlow", "SparseFlow", "SummedFlow"]
