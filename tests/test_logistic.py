"""Logistic models with a prior, against scikit-learn and by their own definition."""

from __future__ import annotations

import numpy as np
import pytest

from qkv.calibration.logistic import Logistic, fit_choice, fit_logistic

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3))
Y = (RNG.random(400) < 1 / (1 + np.exp(-(X @ [1.0, -2.0, 0.5] + 0.3)))).astype(float)
FLAT = Logistic((0.0, 0.0, 0.0), 0.0)


def test_without_examples_the_prior_is_the_answer() -> None:
    prior = Logistic((1.0, 2.0), -3.0)
    none = np.zeros((0, 2))
    assert fit_logistic(none, np.zeros(0), np.zeros(0), prior) == prior
    assert fit_choice(np.zeros((0, 1, 2)), np.ones((0, 1), bool), np.zeros(0, int), [1.0, 2.0])[
        1
    ] == pytest.approx(2.0)


def test_agrees_with_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    theirs = linear.LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(X, Y)
    ours = fit_logistic(X, Y, np.ones(400), FLAT, np.array([1, 1, 1, 0.0]))
    np.testing.assert_allclose(ours.coefficients, theirs.coef_[0], atol=1e-5)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-5)


def test_a_choice_of_two_is_a_logistic_regression() -> None:
    """P(first of two) depends on the difference of their features alone."""
    pairs = np.stack((X, np.zeros_like(X)), axis=1)
    chosen = np.where(Y == 1, 0, 1)
    two = fit_choice(pairs, np.ones((400, 2), bool), chosen, np.zeros(3), 1.0)
    one = fit_logistic(X, Y, np.ones(400), FLAT, np.array([1, 1, 1, 1e12]))
    np.testing.assert_allclose(two, one.coefficients, atol=1e-5)


def test_a_candidate_that_is_not_there_changes_nothing() -> None:
    pairs = np.stack((X, np.zeros_like(X), X + 100), axis=1)
    there = np.tile([True, True, False], (400, 1))
    chosen = np.where(Y == 1, 0, 1)
    np.testing.assert_allclose(
        fit_choice(pairs, there, chosen, np.zeros(3)),
        fit_choice(pairs[:, :2], there[:, :2], chosen, np.zeros(3)),
    )


def test_separable_examples_stay_finite() -> None:
    x = np.linspace(-1, 1, 20)[:, None]
    fitted = fit_logistic(x, (x[:, 0] > 0).astype(float), np.ones(20), Logistic((0.0,), 0.0))
    assert np.isfinite(fitted.coefficients).all()
    assert fitted.coefficients[0] > 1


def test_a_weight_is_a_repetition() -> None:
    weights = RNG.integers(0, 3, size=400).astype(float)
    repeated = np.repeat(np.arange(400), weights.astype(int))
    one = fit_logistic(X, Y, weights, FLAT)
    other = fit_logistic(X[repeated], Y[repeated], np.ones(len(repeated)), FLAT)
    np.testing.assert_allclose(one.coefficients, other.coefficients, atol=1e-8)


def test_a_firm_prior_holds() -> None:
    prior = Logistic((5.0, 5.0, 5.0), 5.0)
    fitted = fit_logistic(X, Y, np.ones(400), prior, 1e9)
    np.testing.assert_allclose(fitted.coefficients, prior.coefficients, atol=1e-4)
