"""The `embedding` column as a matrix: float16 unit vectors, and which rows have one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Half = NDArray[np.float16]


def embedding_matrix(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], Half]:
    """Row numbers of the rows that have an embedding, and their embeddings [N, D].

    Raises ValueError when they differ in length: they are of several models then, and cannot be compared.

    >>> column = pa.chunked_array([[[0.6, 0.8], None, [1.0, 0.0]]], pa.list_(pa.float16()))
    >>> rows, vectors = embedding_matrix(column)
    >>> rows.tolist(), vectors.shape
    ([0, 2], (2, 2))
    """
    rows = np.flatnonzero(column.is_valid().to_numpy())
    there = column.drop_null()
    widths = pc.unique(pc.list_value_length(there)).to_pylist()
    if len(widths) > 1:
        raise ValueError(f"embeddings of {sorted(widths)} numbers in one dataset; they are of several models")
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in there.chunks]
    flat = np.concatenate(parts) if parts else np.empty(0, np.float16)
    return rows, flat.reshape(len(rows), widths[0] if widths else 0)
