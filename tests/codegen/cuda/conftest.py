"""These tests compile the text of kernels for the host; where that cannot be done they say why."""

import pytest

from codegen.cuda.simulate import compiler
from symgraph.errors import BackendError


@pytest.fixture(autouse=True, scope="session")
def host_compiler():
    try:
        compiler()
    except BackendError as error:
        pytest.skip(str(error).splitlines()[0])
