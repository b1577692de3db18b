"""The code that every process needs beside its programs (threads, calls from Python), kept on disk as they are."""

from __future__ import annotations

from codegen.cache import Cache
from codegen.llvm.target import COMPILER, emit_object, host
from symgraph import config


def runtime_object(text: str) -> bytes:
    """Object code of an IR text for this machine, from the disk if it is there."""
    cache = Cache(config.settings().cache, kind="runtime")
    key = Cache.key(text, repr(host()), COMPILER)
    code = cache.get(key)
    if code is None:
        code = emit_object(text, host())
        cache.put(key, code)
    return code
