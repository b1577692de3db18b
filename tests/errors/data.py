"""Damaged data of the tutorials."""

import gzip

from tests.errors import case
from tutorials import data


@case
def damaged_data_file(_, folder):
    for file in data.MNIST:
        folder.joinpath(f"{file.name}.gz").write_bytes(gzip.compress(file.header + bytes(100)))
    return data.load("mnist", folder)
