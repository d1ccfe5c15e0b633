"""Options are checked when they are made: what cannot be used is named before any work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import OptionError
from dasklasso.objective.losses.huber import Huber
from dasklasso.objective.penalties.elastic_net import ElasticNet, NonNegativeElasticNet
from dasklasso.objective.penalties.group import GroupElasticNet
from dasklasso.options import CvOptions, FitOptions, RunOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, "loss: 'hinge' is none of squared, logistic"),
        ({"loss": "huber", "huber_delta": 0.0}, "huber_delta: 0.0 found"),
        ({"solver": "sgd"}, "solver: 'sgd' is none of"),
        ({"tol": 0.0}, "tol: 0.0 found"),
        ({"tol": np.nan}, "tol: nan found"),
        ({"max_scans": 0}, "max_scans: 0 found"),
        ({"l1_ratio": 1.5}, "l1_ratio: 1.5 found"),
        ({"n_alphas": 0}, "n_alphas: 0 found"),
        ({"eps": 2.0}, "eps: 2.0 found"),
        ({"alphas": (-1.0,)}, "alpha: -1.0 found"),
        ({"epochs": 0}, "epochs: 0 found"),
        ({"stop_saturated": True, "solver": "fista"}, "stop_saturated: needs solver='gram'"),
        ({"stop_saturated": True, "loss": "huber"}, "stop_saturated: needs loss='squared'"),
        ({"class_weight": "balanced"}, "class_weight: loss squared has no classes"),
        ({"penalty": "ridge"}, "penalty: 'ridge' is none of elastic_net, nonnegative_elastic_net"),
        ({"penalty": "elastic_net", "positive": True}, "positive: cannot be together with penalty"),
        ({"grouped": True}, "grouped: needs loss softmax"),
        ({"grouped": True, "positive": True, "loss": "softmax"}, "grouped: cannot be together"),
        (
            {"loss": "softmax", "n_classes": 3, "penalty_factor": np.array([1.0, 0.0])},
            "0 found for feature 1",
        ),
    ],
    ids=str,
)
def test_a_fit_that_cannot_be_is_named(options, message):
    with pytest.raises(OptionError, match=message):
        FitOptions(**options)


def test_options_that_are_changed_are_checked_again():
    with pytest.raises(OptionError, match="tol: -1 found"):
        replace(FitOptions(), tol=-1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds: 1 found, expected at least 2"),
        ({"seed": -1}, "seed: -1 found"),
        ({"kind": "other"}, "folds: 'other' is none of"),
        ({"rule": "best"}, "rule: 'best' is none of"),
        ({"criterion": "f1"}, "criterion: 'f1' is none of"),
        ({"l1_ratios": (0.5, 2.0)}, "l1_ratio: 2.0 found"),
    ],
    ids=str,
)
def test_folds_that_cannot_be_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        CvOptions(**options)


def test_a_column_of_folds_says_how_many_there_are():
    assert CvOptions(folds=1, kind="column").scheme() == FoldScheme("column")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers: 0 found"),
        ({"workers": 10**9}, "workers: 1,000,000,000 found, expected at most .* core"),
        ({"device": "tpu"}, "device: 'tpu' is none of"),
        ({"memory": 0}, "memory: 0 found"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds: -1.0 found"),
        ({"resume": True}, "resume: needs a checkpoint folder"),
    ],
    ids=str,
)
def test_a_run_that_cannot_be_is_named(options, message):
    with pytest.raises(OptionError, match=message):
        RunOptions(**options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ElasticNet),
        ({"positive": True}, NonNegativeElasticNet),
        ({"grouped": True, "loss": "softmax"}, GroupElasticNet),
        ({"penalty": "nonnegative_elastic_net"}, NonNegativeElasticNet),
    ],
    ids=str,
)
def test_the_penalty_is_the_one_that_is_named_or_that_flags_describe(options, expected):
    assert FitOptions(**options).objective().penalty_type is expected


def test_a_penalty_has_the_weights_of_the_ratio_and_columns_of_the_classes():
    penalty = (
        FitOptions(loss="softmax", n_classes=4, grouped=True, l1_ratio=0.25).objective().penalty
    )
    assert penalty == GroupElasticNet(0.25, 0.75, 4)


def test_a_loss_takes_its_own_parameters():
    assert FitOptions(loss="huber", huber_delta=2.5).loss_value == Huber(2.5)
