"""From a run to findings: one rule a file, each a pure function of the run."""
