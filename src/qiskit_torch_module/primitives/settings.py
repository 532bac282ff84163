"""Settings that primitives and gradients share, checked whenever they are set."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.arguments import flag, noise_seed, thread_count
from .._core.shown import Shown, called
from .._reading import compat


class ThreadSettings(Shown):
    """How many threads a call takes."""

    exact_evolution: bool

    @property
    def num_threads(self) -> int:
        """Threads; 0 means ``torch.get_num_threads()``."""
        return self._num_threads

    @num_threads.setter
    def num_threads(self, value: int) -> None:
        self._num_threads = thread_count(value, "num_threads")

    def _settings(self) -> dict[str, Any]:
        """What `repr` shows, as far as it is not the default."""
        return {"num_threads": self.num_threads, "exact_evolution": self.exact_evolution}

    def __repr__(self) -> str:
        return called(self, **self._settings())


class PrimitiveSettings(ThreadSettings):
    """Those of an estimator or a sampler."""

    options: Any  # of V1 calls

    @property
    def seed(self) -> int | np.random.Generator | None:
        """Seed or generator of what is drawn, noise or shots."""
        return self._seed

    @seed.setter
    def seed(self, value: int | np.random.Generator | None) -> None:
        self._seed = noise_seed(value, "seed")

    @property
    def exact(self) -> bool | None:
        """Whether results are exact whatever a call asks for; None means where nobody asks for noise or shots."""
        return self._exact

    @exact.setter
    def exact(self, value: bool | None) -> None:
        self._exact = None if value is None else flag(value, "exact")

    def _settings(self) -> dict[str, Any]:
        own = {"seed": self.seed, "exact": self.exact, **super()._settings()}
        options = dict(vars(self.options))
        return own | ({"options": options} if options else {})

    def set_options(self, **fields: Any) -> None:
        """Updates the default options of V1 calls."""
        self.options.update_options(**fields)


class GradientSettings(ThreadSettings):
    """Those of a gradient."""

    _default_options: Any

    @property
    def options(self) -> Any:
        """Default options of `run`, which are passed on to its result."""
        return compat.Options(**vars(self._default_options))

    def update_default_options(self, **options: Any) -> None:
        """Updates the default options of `run`."""
        self._default_options.update_options(**options)
