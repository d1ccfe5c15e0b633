"""The array namespace: NumPy, CuPy, or any other that follows the array API standard.

Mathematics elsewhere is written against the namespace of the arrays it is given, so that a new
device means nothing more than a new :class:`Backend`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import array_api_compat
import numpy as np

from dasklasso.errors import DependencyMissing, OptionError

Array = Any  # an array of any namespace of the array API standard


def namespace(array: Array) -> Any:
    """Return the array API namespace that ``array`` belongs to."""
    if isinstance(array, np.ndarray):  # NumPy 2 follows the standard itself
        return np
    return array_api_compat.array_namespace(array)


@dataclass(frozen=True)
class Backend:
    """Where arrays live: a namespace and a device of it.

    Attributes
    ----------
    module : str
        Import name of the namespace: ``numpy``, ``cupy``, ``array_api_strict``.
    device : str or None
        Device of that namespace; None for its default.
    """

    module: str = "numpy"
    device: str | None = None

    @property
    def on_host(self) -> bool:
        """Whether arrays are plain NumPy arrays in this process's memory."""
        return self.module == "numpy"

    @property
    def xp(self) -> Any:
        if self.module == "cupy":
            return import_module("array_api_compat.cupy")
        return import_module(self.module)

    def asarray(self, array: Array, dtype: Any = None) -> Array:
        """``array`` (of NumPy, or already here) as an array of this backend."""
        if self.on_host:
            return np.asarray(array, dtype=dtype)
        if isinstance(array, np.ndarray):
            if dtype is not None:
                array = array.astype(dtype, copy=False)
            return self.xp.asarray(array, device=self._device())
        return array if dtype is None else self.xp.astype(array, dtype_of(self.xp, dtype))

    def _device(self) -> Any:
        if self.device is None:
            return None
        return self.xp.Device(self.device)


BACKENDS = {
    "cpu": Backend(),
    "cuda": Backend("cupy"),
    "strict": Backend("array_api_strict", "device1"),
}


def dtype_of(xp: Any, dtype: Any) -> Any:
    """NumPy's ``dtype`` by its name in the namespace ``xp``."""
    dtype = np.dtype(dtype)
    return dtype if xp is np else getattr(xp, dtype.name)


def device_of(array: Array) -> Any:
    """Return what to hand a namespace's constructors as ``device``, to be where ``array`` is."""
    return None if isinstance(array, np.ndarray) else array.device


def to_numpy(array: Array) -> np.ndarray:
    """``array`` copied to host memory where it is not there already."""
    if isinstance(array, np.ndarray):
        return array
    if array_api_compat.is_cupy_array(array):
        return array.get()
    xp = namespace(array)
    if hasattr(xp, "Device"):
        array = array.to_device(xp.Device("CPU_DEVICE"))
    return np.asarray(array)


def backend_for(device: str) -> Backend:
    """Return the backend that a ``--device`` setting names.

    Parameters
    ----------
    device : {"cpu", "cuda", "strict"}
        ``strict`` is array-api-strict on a device of its own, which refuses to mix with NumPy:
        it proves on any machine that device code never leans on host arrays.

    Raises
    ------
    OptionError
        When the device is none of these.
    DependencyMissing
        When its package is not installed.
    """
    backend = backend_named(device)
    if backend.on_host:
        return backend
    try:
        import_module(backend.module)
    except ImportError:
        raise DependencyMissing(
            f"device {device!r} needs the package {backend.module!r}, which is not installed"
        ) from None
    return backend


def backend_named(device: str) -> Backend:
    """Return the backend called ``device``, whether or not its package is installed here.

    Raises
    ------
    OptionError
        When the device is none of those.
    """
    if device not in BACKENDS:
        raise OptionError(f"device: {device!r} is none of {', '.join(BACKENDS)}")
    return BACKENDS[device]
