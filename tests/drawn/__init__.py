"""Drawn graphs: any op of the registry on values made before, judged against the reference op by op.

``moves`` says what a step may do, ``graphs`` makes a graph of steps, ``judge`` says what a result may be.
"""
