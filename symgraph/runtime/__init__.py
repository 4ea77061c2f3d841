"""What runs a plan: arrays, kernels as functions, libraries."""
