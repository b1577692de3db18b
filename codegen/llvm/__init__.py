"""Programs as machine code through LLVM: text, compilation, threads, calls from Python."""
