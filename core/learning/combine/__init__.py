"""What is done with finished models without training again: merges, mixtures, calibration and
plain evaluation."""
