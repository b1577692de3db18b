"""Seeing a graph: the document that says what is known of it, and the forms in which it is shown.

``collect`` makes a ``Document`` of variables or a function; ``page``, ``picture``, ``text``, ``plain`` and ``network``
write it as HTML, SVG and PNG, text, JSON and a NetworkX graph; ``explain`` and ``profile`` say it in words and numbers.
"""

from symgraph.view.collect import Graph, document
from symgraph.view.document import Document
from symgraph.view.drawing import Drawn, draw
from symgraph.view.network import to_networkx

__all__ = ["Document", "Drawn", "Graph", "document", "draw", "to_networkx"]
