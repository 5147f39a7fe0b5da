"""Pictures: the similarity matrix, the map of the keys, an answer's weights, its reliability.

Each is a matplotlib figure, drawn without pyplot: nothing opens a window or stays in memory.
Matplotlib is the extra ``plots``; t-SNE and UMAP for the map are the extra ``maps``.
"""

from qkv.errors import MissingExtra

try:
    import matplotlib  # noqa: F401  (before the modules that cannot do without)
except ModuleNotFoundError as error:
    if error.name != "matplotlib":
        raise
    raise MissingExtra("pictures need matplotlib: pip install 'qkv[plots]'") from None

from qkv.plots.bars import weights
from qkv.plots.canvas import save
from qkv.plots.diagram import reliability
from qkv.plots.matrix import heatmap
from qkv.plots.points import key_map

__all__ = ["heatmap", "key_map", "reliability", "save", "weights"]
