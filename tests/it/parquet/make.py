"""Makes the Parquet files of these tests with a writer that is not ours: `python3 make.py` with pyarrow."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
NUMBERS = [1, 2, 3]

customers = pa.table(
    {
        "CustomerId": [f"C{n}" for n in NUMBERS],
        "FullName": [f"Name {n}" for n in NUMBERS],
        "City": pa.array([f"Oslo {n}" for n in NUMBERS]).dictionary_encode(),
        "Score": pa.array([f"{n}.5" for n in NUMBERS]).cast(pa.decimal128(10, 2)),
        "Born": pa.array([None, 0, 3_652], pa.date32()),
    }
)
measures = pa.table({"CustomerId": ["C1", "C2"], "Spent": [12.5, 7.0], "Orders": pa.array([3, 1], pa.int64())})

pq.write_table(customers, HERE / "customers.parquet", compression="zstd", row_group_size=2)
pq.write_table(
    measures,
    HERE / "measures.parquet",
    compression="gzip",
    data_page_version="2.0",
    use_dictionary=False,
    column_encoding={"CustomerId": "DELTA_BYTE_ARRAY", "Orders": "DELTA_BINARY_PACKED", "Spent": "BYTE_STREAM_SPLIT"},
)
