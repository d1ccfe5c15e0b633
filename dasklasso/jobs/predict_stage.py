"""The predict step of a job: a model and a store become predictions."""

from __future__ import annotations

from dataclasses import dataclass

from dasklasso.jobs.base import ClusterStage
from dasklasso.model.path import check_features
from dasklasso.units import parse_size


@dataclass(frozen=True, kw_only=True)
class PredictStage(ClusterStage):
    """``dasklasso predict``: a model applied to a store, out of core."""

    model: str
    alpha: float | None = None
    proba: bool = False

    def check(self) -> None:
        """Refuse, before any work, what would be refused after it."""
        from dasklasso.files.predictions import check_prediction_file

        if self.memory is not None:
            parse_size(self.memory)
        check_prediction_file(self.out, overwrite=self.overwrite)

    def run(self) -> int:
        """Predict and write; returns the number of rows."""
        from dasklasso.dataset.dataset import open_dataset
        from dasklasso.files.predictions import write_predictions
        from dasklasso.model.path import load_model
        from dasklasso.scoring.predict import predict_store

        self.check()
        path = load_model(self.model)
        data = open_dataset(self.store, empty_chunks=self.empty_chunks, require_target=False)
        check_features(path, data.feature_names, self.store)
        if self.proba:
            path.loss_of_probabilities()
        path.coefficients_at(self.alpha)  # an alpha that is not there is said before any work
        alpha = self.alpha if self.alpha is not None else path.alpha_selected
        labels = path.labels if path.predicts_classes and not self.proba else None
        write_predictions(
            self.out,
            predict_store(data, path, alpha=self.alpha, proba=self.proba, run=self._run_options()),
            n_rows=data.n_rows,
            target_names=None if path.y_is_vector or labels is not None else path.target_names,
            labels=labels,
            attributes={
                "alpha": float(path.alphas[0]) if alpha is None else alpha,
                "model_fingerprint": path.fingerprint,
                "data_fingerprint": data.fingerprint,
                **({"proba": True} if self.proba else {}),
                **({"classes": path.classes} if self.proba or labels is not None else {}),
            },
            overwrite=self.overwrite,
        )
        return int(data.n_rows)
