"""What every study runs on: trials, designs, Ray Tune, rows, MLflow, statistics and reports."""
