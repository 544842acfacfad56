#!/usr/bin/env python3
"""Judges a synthetic table from outside, with scikit-learn (Debian: python3-sklearn) and numpy alone.

    tabular_judge.py DATA SYNTHETIC --label COLUMN [--test-fraction 0.2] [--seed 0] [--only shapes,pairs]

DATA is split as `bench.sh tabular` splits it; SYNTHETIC was made from the training part by the same seed. Prints one
line of JSON. A column is numeric when every value that is there parses as a number; empty and ? are missing in it, and
a category of a text column. The label is a category whatever its values.

    classifiers   logistic regression, random forest, histogram gradient boosting: F1 of the rarer class (macro over
                  more than two), AUROC (one against the rest); trained on real rows and on synthetic, tested on real
    shape, pairs  column shape and pair trend against the training part, mean over columns and pairs
    detection     AUROC of gradient boosting telling synthetic rows from training rows, five folds
    distance      median distance of 2,000 synthetic rows to their closest training row, over that of the test rows
    copies        share of synthetic rows that equal a training row, and the same of the test rows
"""

import argparse
import csv
import itertools
import json
import math
import warnings

import numpy as np

MISSING = ("", "?")
NEIGHBOURS = 2000


class SplitMix64:
    """The generator of the protocol's splits."""

    MASK = (1 << 64) - 1

    def __init__(self, seed):
        self.state = seed & self.MASK

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & self.MASK
        return z ^ (z >> 31)

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.next() % (i + 1)
            items[i], items[j] = items[j], items[i]
        return items


def as_number(text):
    """The number, NaN where it is missing, None where it is something else."""
    if text in MISSING:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read(path):
    """The column names (their numbers where there is no header) and the rows, as text without outer spaces."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = [line for line in file if line.strip() and not line.startswith("#@")]
    separator = max(",;\t", key=lines[0].count)
    rows = [[value.strip() for value in row]
            for row in csv.reader(lines, delimiter=separator, skipinitialspace=True)]
    ragged = next((i for i, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if ragged is not None:
        raise SystemExit(f"{path}: line {ragged + 1} has {len(rows[ragged])} values, not {len(rows[0])}")
    headless = any(value not in MISSING and as_number(value) is not None for value in rows[0])
    names = [str(i) for i in range(len(rows[0]))] if headless else rows.pop(0)
    return names, rows


class Table:
    """Columns as arrays: floats for numbers, codes for categories."""

    def __init__(self, rows, kinds):
        self.columns = []
        for c, categories in enumerate(kinds):
            values = [row[c] for row in rows]
            if categories is None:
                self.columns.append(np.array([as_number(value) for value in values], dtype=float))
            else:
                self.columns.append(np.array([categories[value] for value in values], dtype=int))

    def part(self, rows):
        some = Table([], [])
        some.columns = [column[rows] for column in self.columns]
        return some


def kinds_of(real, synthetic, label):
    """None for a column of numbers, the code of each category for another."""
    kinds = []
    for c in range(len(real[0])):
        numbers = [as_number(row[c]) for row in real]
        if c != label and all(n is not None for n in numbers) and not all(math.isnan(n) for n in numbers):
            wrong = next((row[c] for row in synthetic if as_number(row[c]) is None), None)
            if wrong is not None:
                raise SystemExit(f"column {c} holds numbers, but a synthetic row has '{wrong}'")
            kinds.append(None)
        else:
            values = sorted({row[c] for row in real} | {row[c] for row in synthetic})
            kinds.append({value: code for code, value in enumerate(values)})
    return kinds


class Encoder:
    """Numbers z-scored by the training part (and whether they are missing), categories one-hot."""

    def __init__(self, train, kinds):
        self.kinds = kinds
        self.scales = []
        for column, kind in zip(train.columns, kinds):
            if kind is None:
                present = column[~np.isnan(column)]
                mean, deviation = (present.mean(), present.std()) if len(present) else (0.0, 0.0)
                self.scales.append((mean, deviation if deviation > 0 else 1.0, np.isnan(column).any()))
            else:
                self.scales.append(None)

    def encode(self, table, without=None, one_hot=1.0):
        parts = []
        for c, (column, kind, scale) in enumerate(zip(table.columns, self.kinds, self.scales)):
            if c == without:
                continue
            if kind is None:
                mean, deviation, has_missing = scale
                parts.append(np.nan_to_num((column - mean) / deviation, nan=0.0)[:, None])
                if has_missing:
                    parts.append(np.isnan(column).astype(float)[:, None])
            else:
                parts.append((column[:, None] == np.arange(len(kind))[None, :]) * one_hot)
        return np.hstack(parts).astype(np.float64)


def classifiers(seed):
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    return {
        "logistic": LogisticRegression(max_iter=1000),
        "forest": RandomForestClassifier(n_estimators=100, random_state=seed),
        "boosting": HistGradientBoostingClassifier(random_state=seed),
    }


def grade(model, x_train, y_train, x_test, y_test, classes, rarer):
    """F1 and AUROC on the test rows of a model that may never have seen some of the classes."""
    from sklearn.metrics import f1_score, roc_auc_score
    seen = np.unique(y_train)
    if len(seen) < 2:
        predicted = np.full(len(y_test), seen[0])
        chances = np.zeros((len(y_test), classes))
    else:
        model.fit(x_train, y_train)
        predicted = model.predict(x_test)
        chances = np.zeros((len(y_test), classes))
        chances[:, model.classes_] = model.predict_proba(x_test)
    if rarer is not None:
        return (f1_score(y_test == rarer, predicted == rarer, zero_division=0),
                roc_auc_score(y_test == rarer, chances[:, rarer]))
    present = [k for k in range(classes) if 0 < np.sum(y_test == k) < len(y_test)]
    return (f1_score(y_test, predicted, average="macro", zero_division=0),
            np.mean([roc_auc_score(y_test == k, chances[:, k]) for k in present]))


def utility(train, test, synthetic, kinds, label, seed):
    encoder = Encoder(train, kinds)
    x_train, x_test, x_synthetic = (encoder.encode(t, without=label) for t in (train, test, synthetic))
    y_train, y_test, y_synthetic = (t.columns[label] for t in (train, test, synthetic))
    present = np.unique(y_train)
    counts = np.bincount(y_train, minlength=len(kinds[label]))
    rarer = int(min(present, key=lambda k: counts[k])) if len(present) == 2 else None
    result = {}
    for name in classifiers(seed):
        scores = {}
        for source, x, y in (("real", x_train, y_train), ("synthetic", x_synthetic, y_synthetic)):
            f1, auroc = grade(classifiers(seed)[name], x, y, x_test, y_test, len(kinds[label]), rarer)
            scores[source] = {"f1": f1, "auroc": auroc}
        result[name] = scores
    result["mean"] = {
        source: {measure: float(np.mean([result[name][source][measure] for name in classifiers(seed)]))
                 for measure in ("f1", "auroc")}
        for source in ("real", "synthetic")}
    return result


def shares(codes, count):
    return np.bincount(codes, minlength=count) / max(len(codes), 1)


def column_shape(real, synthetic, kind):
    if kind is not None:
        return 1 - np.abs(shares(real, len(kind)) - shares(synthetic, len(kind))).sum() / 2
    a, b = (np.sort(column[~np.isnan(column)]) for column in (real, synthetic))
    if len(a) == 0 or len(b) == 0:
        return float(len(a) == len(b))
    points = np.concatenate([a, b])
    return 1 - np.abs(np.searchsorted(a, points, "right") / len(a)
                      - np.searchsorted(b, points, "right") / len(b)).max()


def correlation(a, b):
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if len(a) < 2 or a.min() == a.max() or b.min() == b.max():
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def binned(column, kind, low, high):
    """Categories as they are; numbers in ten bins of equal width over the training range, an eleventh for none."""
    if kind is not None:
        return column, len(kind)
    width = (high - low) / 10
    bins = np.zeros(len(column), dtype=int)
    there = ~np.isnan(column)
    if width > 0:
        bins[there] = np.clip(np.floor((column[there] - low) / width), 0, 9).astype(int)
    bins[~there] = 10
    return bins, 11


def pair_trend(real, synthetic, kinds, i, j, ranges):
    if kinds[i] is None and kinds[j] is None:
        return 1 - abs(correlation(real.columns[i], real.columns[j])
                       - correlation(synthetic.columns[i], synthetic.columns[j])) / 2
    joint = []
    for table in (real, synthetic):
        a, _ = binned(table.columns[i], kinds[i], *ranges[i])
        b, count = binned(table.columns[j], kinds[j], *ranges[j])
        joint.append(a.astype(np.int64) * count + b)
    size = int(max(joint[0].max(), joint[1].max())) + 1
    return 1 - np.abs(shares(joint[0], size) - shares(joint[1], size)).sum() / 2


def ranges_of(table, kinds):
    return [(np.nanmin(column), np.nanmax(column)) if kind is None and not np.isnan(column).all() else (0.0, 0.0)
            for column, kind in zip(table.columns, kinds)]


def detection(train, synthetic, kinds, seed):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    encoder = Encoder(train, kinds)
    x = np.vstack([encoder.encode(train), encoder.encode(synthetic)])
    y = np.concatenate([np.zeros(len(train.columns[0]), int), np.ones(len(synthetic.columns[0]), int)])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    chance = cross_val_predict(
        HistGradientBoostingClassifier(random_state=seed), x, y, cv=folds, method="predict_proba")[:, 1]
    return float(np.mean([roc_auc_score(y[test], chance[test]) for _, test in folds.split(x, y)]))


def distances(train, test, synthetic, kinds):
    """Median distances to the closest training row: of synthetic rows, of test rows, and the first over the second."""
    encoder = Encoder(train, kinds)
    known = encoder.encode(train, one_hot=math.sqrt(0.5))
    known_squares = (known ** 2).sum(axis=1)
    medians = []
    for table in (synthetic, test):
        rows = encoder.encode(table.part(slice(0, NEIGHBOURS)), one_hot=math.sqrt(0.5))
        closest = [math.sqrt(max(0.0, float((known_squares - 2 * known @ row).min() + row @ row))) for row in rows]
        medians.append(float(np.median(closest)))
    ratio = medians[0] / medians[1] if medians[1] > 1e-6 else (1.0 if medians[0] <= 1e-6 else None)
    return {"synthetic": medians[0], "test": medians[1], "ratio": ratio}


def copies(train, test, synthetic):
    def keys(table):
        return list(zip(*(np.where(np.isnan(c), np.inf, c) if c.dtype == float else c for c in table.columns)))
    known = set(keys(train))
    return {name: float(np.mean([key in known for key in keys(table)]))
            for name, table in (("synthetic", synthetic), ("test", test))}


def judge(data, synthetic_path, label, test_fraction=0.2, seed=0, only=()):
    names, real = read(data)
    other_names, made = read(synthetic_path)
    if other_names != names:
        raise SystemExit(f"the synthetic table has the columns {other_names}, not {names}")
    if label in names:
        at = names.index(label)
    elif label.isdigit() and int(label) < len(names):
        at = int(label)
    else:
        raise SystemExit(f"there is no column '{label}'; there are: {', '.join(names)}")
    kinds = kinds_of(real, made, at)
    order = SplitMix64(seed).shuffle(list(range(len(real))))
    trained = math.floor((1 - test_fraction) * len(real) + 1e-9)
    everything, synthetic = Table(real, kinds), Table(made, kinds)
    train, test = everything.part(order[:trained]), everything.part(order[trained:])

    wanted = set(only) or {"utility", "shapes", "pairs", "detection", "distance", "copies"}
    result = {"seed": seed, "rows": {"train": trained, "test": len(real) - trained, "synthetic": len(made)}}
    if "shapes" in wanted:
        result["shapes"] = {name: float(column_shape(train.columns[c], synthetic.columns[c], kinds[c]))
                            for c, name in enumerate(names)}
        result["shape"] = float(np.mean(list(result["shapes"].values())))
    if "pairs" in wanted:
        ranges = ranges_of(train, kinds)
        trends = {f"{names[i]} × {names[j]}": float(pair_trend(train, synthetic, kinds, i, j, ranges))
                  for i, j in itertools.combinations(range(len(names)), 2)}
        result["trends"] = trends
        result["pairs"] = float(np.mean(list(trends.values()))) if trends else 1.0
    if "distance" in wanted:
        result["distance"] = distances(train, test, synthetic, kinds)
    if "copies" in wanted:
        result["copies"] = copies(train, test, synthetic)
    if "detection" in wanted:
        result["detection"] = detection(train, synthetic, kinds, seed)
    if "utility" in wanted:
        result["utility"] = utility(train, test, synthetic, kinds, at, seed)
        mean = result["utility"]["mean"]
        result["f1_loss"] = mean["real"]["f1"] - mean["synthetic"]["f1"]
        result["auroc_loss"] = mean["real"]["auroc"] - mean["synthetic"]["auroc"]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("synthetic")
    parser.add_argument("--label", required=True)
    parser.add_argument("--test-fraction", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="some of: utility,shapes,pairs,detection,distance,copies")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    only = [part for part in asked.only.split(",") if part]
    print(json.dumps(judge(asked.data, asked.synthetic, asked.label, asked.test_fraction, asked.seed, only)))


if __name__ == "__main__":
    main()
