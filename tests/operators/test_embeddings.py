from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from operators.embeddings import embedding_matrix

KIND = pa.list_(pa.float16())


def column(*chunks: list[list[float] | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(chunk, KIND) for chunk in chunks], KIND)


def test_rows_without_an_embedding_are_left_out_across_chunks_and_slices() -> None:
    rows, vectors = embedding_matrix(column([None, [1.0, 2.0]], [[3.0, 4.0], None, [5.0, 6.0]]).slice(1))
    assert rows.tolist() == [0, 1, 3]
    assert vectors.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert vectors.dtype == np.float16


@pytest.mark.parametrize("empty", [column(), column([]), column([None, None])])
def test_a_column_without_embeddings_is_an_empty_matrix(empty: pa.ChunkedArray) -> None:
    rows, vectors = embedding_matrix(empty)
    assert (len(rows), vectors.shape) == (0, (0, 0))


def test_embeddings_of_several_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"embeddings of \[1, 2\] numbers in one dataset"):
        embedding_matrix(column([[1.0, 2.0]], [[3.0]]))
