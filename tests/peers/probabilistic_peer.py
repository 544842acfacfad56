#!/usr/bin/env python3
"""The fits of the benchmark `probabilistic` by scikit-learn, hmmlearn and pgmpy.

    probabilistic_peer.py

reads commands from its input, one in a line, as JSON, and answers each with a line of JSON: the seconds of a fit and,
as a loss, what it reached. Every command has the names `work`, `seed`, `data`, `rows`, and what its work needs; data
are float32, row by row, or a CSV file with a header.

    mixture      full components, by scikit-learn; -log p of a row
    markov       a hidden Markov model, full covariances, by hmmlearn; -log p of a step
    network      hill climbing by BIC and Bayesian estimates, by pgmpy (0.1.26); -BIC of a row
    boltzmann    a restricted Boltzmann machine, by scikit-learn; -log pseudolikelihood of a row
"""

import contextlib
import json
import logging
import sys
import time
import warnings

import numpy as np


def numbers(command):
    rows = np.fromfile(command["data"], dtype=np.float32).reshape(-1, command["columns"])
    return rows[: command["rows"]].astype(np.float64)


def fitted(fit):
    start = time.perf_counter()
    model = fit()
    return model, time.perf_counter() - start


def mixture(command):
    from sklearn.mixture import GaussianMixture

    rows = numbers(command)
    model, seconds = fitted(lambda: GaussianMixture(
        command["components"], max_iter=command["iterations"], tol=0, random_state=command["seed"]).fit(rows))
    return seconds, -model.score(rows)


def markov(command):
    from hmmlearn.hmm import GaussianHMM

    rows = numbers(command)
    # Scaled probabilities, which take half the time of logarithms.
    model, seconds = fitted(lambda: GaussianHMM(
        command["states"], "full", n_iter=command["iterations"], tol=-np.inf, random_state=command["seed"],
        implementation="scaling").fit(rows))
    return seconds, -model.score(rows) / len(rows)


def network(command):
    import pandas as pd
    from pgmpy.estimators import BayesianEstimator, BicScore, HillClimbSearch
    from pgmpy.models import BayesianNetwork

    rows = pd.read_csv(command["data"], dtype=str, keep_default_na=False, nrows=command["rows"])

    def fit():
        found = HillClimbSearch(rows).estimate(
            scoring_method=BicScore(rows), max_indegree=command["parents"], show_progress=False)
        model = BayesianNetwork(found.edges())
        model.add_nodes_from(rows.columns)
        model.fit(rows, estimator=BayesianEstimator, prior_type="BDeu", equivalent_sample_size=1, n_jobs=1)
        return model

    model, seconds = fitted(fit)
    return seconds, -BicScore(rows).score(model) / len(rows)


def boltzmann(command):
    from sklearn.neural_network import BernoulliRBM

    rows = numbers(command).astype(np.float32)  # which takes less time
    model, seconds = fitted(lambda: BernoulliRBM(
        command["hidden"], batch_size=command["batch"], n_iter=1, random_state=command["seed"]).fit(rows))
    return seconds, -model.score_samples(rows[:10_000]).mean()


WORKS = {"mixture": mixture, "markov": markov, "network": network, "boltzmann": boltzmann}


def main():
    warnings.simplefilter("ignore")  # iterations are fixed, which is no convergence
    logging.disable(logging.INFO)
    for line in sys.stdin:
        command = json.loads(line)
        with contextlib.redirect_stdout(sys.stderr):
            seconds, loss = WORKS[command["work"]](command)
        print(json.dumps({"seconds": seconds, "losses": {"nats": [float(loss)]}}), flush=True)


if __name__ == "__main__":
    main()
