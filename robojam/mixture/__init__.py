"""Mixture densities for PyTorch: a layer, and the distribution that is its output.

A mixture density network (Bishop 1994; PRML section 5.6) predicts the parameters of a
mixture of Gaussians instead of one value. The covariance of a component is of one of four
kinds (`robojam.mixture.layout`): spherical, diagonal, full, or in two dimensions correlated.
The layer's output is a `torch.distributions.Distribution`.
"""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    advice = "robojam.mixture needs torch, which is not installed: pip install 'robojam[train]'"
    raise ModuleNotFoundError(advice, name="torch") from None

from robojam.mixture.checking import checked
from robojam.mixture.clusters import Scaling
from robojam.mixture.distribution import COLD, Mixture, Reduction
from robojam.mixture.keras_models import from_keras, head_from_keras
from robojam.mixture.layer import MixtureLayer
from robojam.mixture.layout import FLOOR, Activation, Covariance, width
from robojam.mixture.recurrent import Recurrent

__all__ = [
    "COLD", "FLOOR", "Activation", "Covariance", "Mixture", "MixtureLayer", "Recurrent",
    "Reduction", "Scaling", "checked", "from_keras", "head_from_keras", "width",
]  # fmt: skip
