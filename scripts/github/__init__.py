"""What pipelines say on a pull request, and what people may ask of them there."""
