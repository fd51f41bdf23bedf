"""Trains the classifier of score.py; writes model.json and the sample input data/iris.csv.

python example_scripts/iris_table/train.py
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def main() -> None:
    iris = load_iris()
    names = iris.target_names[iris.target]
    seen, unseen, seen_names, unseen_names = train_test_split(
        iris.data, names, test_size=0.3, random_state=7, stratify=names
    )
    model = LogisticRegression(max_iter=1000).fit(seen, seen_names)
    print(f"accuracy on {len(unseen)} flowers that it has not seen: {model.score(unseen, unseen_names):.3f}")

    # Not a pickle: that is read without a warning only by the version of scikit-learn that wrote it.
    learnt = {
        "features": FEATURES,
        "classes": model.classes_.tolist(),
        "coef": model.coef_.tolist(),
        "intercept": model.intercept_.tolist(),
    }
    (HERE / "model.json").write_text(json.dumps(learnt, indent=1) + "\n", encoding="utf-8")

    (HERE / "data").mkdir(exist_ok=True)
    with (HERE / "data" / "iris.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", *FEATURES])
        table.writerows([number, *row] for number, row in enumerate(iris.data.tolist(), start=1))


if __name__ == "__main__":
    main()
