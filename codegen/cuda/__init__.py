"""Programs on a GPU: kernels as CUDA C, the devices that run them, and one that simulates a GPU for tests."""
