"""What a path would teach a network: the gradient of the planner's losses by the weights of its last layers.

It is the outer product of what the planner thinks with and of how the path pulls at what it said. What is known already
teaches nothing. As in BADGE (Ash et al. 2020, arXiv 1906.03671), but with what was driven in place of what is guessed:
in the shadow it is known.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from understudy.network.losses import path_gradient
from understudy.network.model import Network
from understudy.records import Array, Floats

_THOUGHTS = 16  # numbers that stand for what the planner thinks with: a random projection of it


def lessons(network: Network, said: Mapping[str, Array], paths: Floats) -> Array:
    """What paths (S, K, 4) would teach the network that said so of S samples, (S, L); 0 where a path is unknown.

    The modes are as the judge left them, without its stop: what it prevents need not be learned.
    """
    planner = network.planner
    choice, poses = (torch.from_numpy(said[name][:, : planner.modes]) for name in ("choice", "poses"))
    pull = path_gradient(choice, poses, torch.from_numpy(paths).float(), planner.anchors, planner.unit).numpy()
    return np.asarray((thoughts(said)[:, :_THOUGHTS, None] * pull[:, None]).reshape(len(pull), -1))


def thoughts(said: Mapping[str, Array]) -> Array:
    """What the planner thinks with, (S, 64): a random projection, which keeps distances, nearly."""
    hidden = said["hidden"]
    return np.asarray(hidden @ np.random.default_rng(0).normal(size=(hidden.shape[1], 64)) / hidden.shape[1] ** 0.5)
