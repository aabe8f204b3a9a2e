"""The notebook "Slice arrays", line by line, with pyarrow and nothing of ours.

    python examples/notebook.py grpc://127.0.0.1:8815

Each cell is one request to a sliceflight server. What is sent and what comes back is printed. The
server holds the registry; the files stay in their bucket, and only the slices are read.
"""

import json
import sys

import pyarrow
import pyarrow.flight as flight

PBMC = "lndb-storage/pbmc68k.h5ad"


def main(uri):
    """Runs every cell against the server at `uri`."""
    client = flight.connect(uri)
    catalogue(client)
    anndata_file(client)
    hdf5_file(client)
    parquet_folder(client)
    collection(client)
    client.close()


def catalogue(client):
    """ln.Artifact.df(): what is there."""
    cell("What is there?")
    for info in client.list_flights():
        print(f"  {info.descriptor.path[0].decode()}")


def anndata_file(client):
    """artifact.open() of an h5ad file, then a subset of its cells."""
    cell('adata = ln.Artifact.get(key="lndb-storage/pbmc68k.h5ad").open(); adata')
    summary = action(client, "describe", {"key": PBMC})
    print(f"  AnnData with n_obs × n_vars = {summary['shape'][0]} × {summary['shape'][1]}")
    for name, members in summary["attributes"].items():
        print(f"    {name}: {members}")

    cell("adata.X")
    info = client.get_flight_info(flight.FlightDescriptor.for_path(PBMC, "X"))
    print(f"  {info.total_records} rows of {info.schema.field('X').type}; nothing of X was read")

    cell("adata[obs_idx].X")
    # The same expression picks the rows of every node of the file.
    dendritic = {"where": "cell_type IN ('Dendritic cells','CD14+ Monocytes') AND percent_mito <= 0.05"}
    table = get(client, {"key": PBMC, "node": "X", "obs": dendritic})
    x = table.column("X").combine_chunks().to_numpy_ndarray()
    print(f"  {x.shape[0]} × {x.shape[1]} {x.dtype}\n{indented(x)}")

    cell("adata[obs_idx].obs")
    table = get(client, {"key": PBMC, "node": "obs", "obs": dendritic})
    print(indented(table.to_pandas()))

    cell('adata[obs_idx].obsm["X_umap"]')
    table = get(client, {"key": PBMC, "node": "obsm/X_umap", "obs": dendritic})
    print(indented(table.column("X_umap").combine_chunks().to_numpy_ndarray()))

    cell('adata[obs_idx].obsp["distances"]: sparse, one list of (index, value) per row')
    table = get(client, {"key": PBMC, "node": "obsp/distances", "obs": dendritic})
    # With scipy: csr_matrix((entries.field("value"), entries.field("index"), rows.offsets), shape)
    rows = table.column("distances").combine_chunks()
    shape = json.loads(table.schema.field("distances").metadata[b"shape"])
    print(f"  {shape[0]} × {shape[1]} with {len(rows.flatten())} stored elements")


def hdf5_file(client):
    """artifact.open() of a plain HDF5 file."""
    key = "lndb-storage/testfile.hdf5"
    cell('backed = ln.Artifact.get(key="lndb-storage/testfile.hdf5").open(); backed.storage')
    print(indented(json.dumps(action(client, "tree", {"key": key}), indent=1)))

    cell('backed.storage["mydataset"][1:9:3]')
    table = get(client, {"key": key, "node": "mydataset", "slice": "1:9:3"})
    print(f"  {table.column('mydataset').to_pylist()}")


def parquet_folder(client):
    """A folder of parquet files as one artifact."""
    cell('backed = ln.Artifact.get(key="sharded_parquet").open(); backed.schema')
    info = client.get_flight_info(flight.FlightDescriptor.for_path("sharded_parquet"))
    print(indented(info.schema.remove_metadata()))

    cell("backed.head(5).to_pandas()")
    print(indented(get(client, {"key": "sharded_parquet", "limit": 5}).to_pandas()))


def collection(client):
    """Two of its files as a collection."""
    cell('ln.Collection.get(key="sharded_parquet_collection").open().to_table().to_pandas()')
    print(indented(get(client, {"collection": "sharded_parquet_collection"}).to_pandas()))


def get(client, request):
    """One slice: ask where it is, then read every part of it in order."""
    print(f"  request: {json.dumps(request)}")
    info = client.get_flight_info(flight.FlightDescriptor.for_command(json.dumps(request)))
    return pyarrow.concat_tables(client.do_get(endpoint.ticket).read_all() for endpoint in info.endpoints)


def action(client, name, body):
    """The JSON answer of a Flight action."""
    print(f"  action: {name} {json.dumps(body)}")
    (answer,) = client.do_action(flight.Action(name, json.dumps(body).encode()))
    return json.loads(answer.body.to_pybytes())


def cell(title):
    """Prints the notebook's line that the next request answers."""
    print(f"\n>>> {title}")


def indented(value):
    """A printed value, moved to the right."""
    return "\n".join(f"    {line}" for line in str(value).splitlines())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "grpc://127.0.0.1:8815")
