"""Backends: naming them, moving to and from them, and the one that refuses to mix with NumPy."""

from __future__ import annotations

from importlib.util import find_spec

import array_api_strict
import numpy as np
import pytest

from dasklasso.backend import Backend, backend_for, dtype_of, namespace, to_numpy
from dasklasso.errors import DependencyMissing, OptionError


def test_the_cpu_is_plain_numpy():
    backend = backend_for("cpu")
    array = np.arange(3.0)
    assert backend.on_host
    assert backend.asarray(array) is array
    assert to_numpy(array) is array


def test_an_unknown_device_is_an_option_error_that_names_it():
    with pytest.raises(OptionError, match=r"device: 'tpu' is none of cpu, cuda, strict"):
        backend_for("tpu")


@pytest.mark.skipif(find_spec("cupy") is not None, reason="CuPy is installed")
def test_cuda_without_cupy_is_an_error_that_names_the_package():
    with pytest.raises(DependencyMissing, match="'cuda' needs the package 'cupy'"):
        backend_for("cuda")


def test_strict_arrays_live_on_a_device_of_their_own():
    array = backend_for("strict").asarray(np.ones(2))
    assert array.device == array_api_strict.Device("device1")
    assert namespace(array) is array_api_strict


@pytest.mark.parametrize("mix", [lambda a: a + np.ones(2), lambda a: np.ones(2) @ a, np.asarray])
def test_strict_arrays_refuse_to_mix_with_numpy(mix):
    with pytest.raises((TypeError, RuntimeError, ValueError)):
        mix(backend_for("strict").asarray(np.ones(2)))


@pytest.mark.parametrize("device", ["cpu", "strict"])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_what_goes_to_a_device_comes_back_the_same(device, dtype):
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    back = to_numpy(backend_for(device).asarray(array))
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


@pytest.mark.parametrize("device", ["cpu", "strict"])
def test_asarray_casts_what_comes_and_what_is_there_already(device):
    backend = backend_for(device)
    there = backend.asarray(np.arange(3), np.float32)
    again = backend.asarray(there, np.float64)
    assert there.dtype == dtype_of(backend.xp, np.float32)
    assert again.dtype == dtype_of(backend.xp, np.float64)


def test_backends_are_values_that_compare_equal():
    assert Backend() == backend_for("cpu") != backend_for("strict")
