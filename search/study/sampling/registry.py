"""The samplers that `sampler=NAME` chooses from. A trial's origin in the tables is this name."""

from __future__ import annotations

from search.study.sampling.random import RandomDraws
from search.study.sampling.sampler import SamplerEntry
from search.study.sampling.tpe import Tpe

SAMPLERS = {
    "tpe": SamplerEntry("multivariate, grouped, constant liar", Tpe),
    "random": SamplerEntry("independent of earlier trials", RandomDraws),
}
