"""The loop over a model's phases, and what keeps a run safe."""
