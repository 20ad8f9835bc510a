import json
from dataclasses import asdict

from embedding_assets.apps.evaluation import Evaluation, Score

WHOLE = Evaluation(
    apps=30, folds=10, scores={"mean": Score(0.2, 0.1, 3.0)}, p_value=0.01, coverage=0.9
)


def test_figures_are_flat_and_hold_what_is_known():
    assert WHOLE.figures() == {
        "rmse_mean": 0.2,
        "mae_mean": 0.1,
        "log_loss_mean": 3.0,
        "apps": 30,
        "folds": 10,
        "p_value": 0.01,
        "alpha": 0.05,
        "level": 0.9,
        "coverage": 0.9,
    }


def test_an_evaluation_comes_back_from_json():
    assert Evaluation.from_dict(json.loads(json.dumps(asdict(WHOLE)))) == WHOLE
