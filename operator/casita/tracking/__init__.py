"""The tracking server of experiments: MLflow, behind a door that knows who everybody is."""
