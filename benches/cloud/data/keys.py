"""Where each data set lies in the bucket. Imports nothing, as every measured process imports it."""

BUCKET = "bench"
#: Name of each data set, and its key in the bucket.
KEYS = {
    "gzip": "cells_gzip.h5ad",
    "lzf": "cells_lzf.h5ad",
    "none": "cells_none.h5ad",
    "zarr2": "cells_v2.zarr",
    "zarr3": "cells_v3.zarr",
    "table": "table",
    "grid": "grid.h5",
}
#: Where HSDS has the grid once it is linked.
HSDS_DOMAIN = "/home/admin/grid.h5"
