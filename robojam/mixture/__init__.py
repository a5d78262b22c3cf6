"""Mixture densities: a layer for any number of dimensions, and what it yields.

A mixture density network (Bishop 1994; PRML section 5.6) gives, instead of one
answer, the parameters of a mixture of Gaussians over all answers. The covariance of
a component is of one of four kinds (`robojam.mixture.layout`): spherical, diagonal,
full, or in two dimensions correlated. What the layer yields is a
`torch.distributions.Distribution`.
"""

from robojam.mixture.checking import checked
from robojam.mixture.distribution import COLD, Mixture, Reduction
from robojam.mixture.layer import MixtureLayer
from robojam.mixture.layout import FLOOR, Covariance, width

__all__ = [
    "COLD",
    "FLOOR",
    "Covariance",
    "Mixture",
    "MixtureLayer",
    "Reduction",
    "checked",
    "width",
]
