"""A finished job told to other places: MLflow, TensorBoard, Weights & Biases.

One file for each place; `track` is called when everything else is done. What fails there is said in
the job's events and costs the job nothing.
"""
