"""`examples/notebook.ipynb` and the lines of the issue: run against the server, with the published results."""

import json

import pandas
import pyarrow.compute as pc
import pytest

import sliceflight as sf
import stack

from . import cells

# What LaminDB's notebook prints for its cells (docs/arrays.ipynb of lamindb 1.3.0, run on 2.12.1).
PUBLISHED = {
    "adata": """AnnDataAccessor object with n_obs × n_vars = 70 × 765
  constructed for the AnnData object pbmc68k.h5ad
    obs: ['cell_type', 'index', 'louvain', 'n_genes', 'percent_mito']
    obsm: ['X_pca', 'X_umap']
    obsp: ['connectivities', 'distances']
    uns: ['louvain', 'louvain_colors', 'neighbors', 'pca']
    var: ['highly_variable', 'index', 'n_counts']
    varm: ['PCs']""",
    "adata.X": '<HDF5 dataset "X": shape (70, 765), type "<f4">',
    "adata_subset": """AnnDataAccessorSubset object with n_obs × n_vars = 35 × 765
  obs: ['cell_type', 'index', 'louvain', 'n_genes', 'percent_mito']
  obsm: ['X_pca', 'X_umap']
  obsp: ['connectivities', 'distances']
  uns: ['louvain', 'louvain_colors', 'neighbors', 'pca']
  var: ['highly_variable', 'index', 'n_counts']
  varm: ['PCs']""",
    "adata_subset.X": """array([[-0.326, -0.191,  0.499, ..., -0.21 , -0.636, -0.49 ],
       [ 0.811, -0.191, -0.728, ..., -0.21 ,  0.604, -0.49 ],
       [-0.326, -0.191,  0.643, ..., -0.21 ,  2.303, -0.49 ],
       ...,
       [-0.326, -0.191, -0.728, ..., -0.21 ,  0.626, -0.49 ],
       [-0.326, -0.191, -0.728, ..., -0.21 , -0.636, -0.49 ],
       [-0.326, -0.191, -0.728, ..., -0.21 , -0.636, -0.49 ]],
      shape=(35, 765), dtype=float32)""",
    "adata_subset.to_memory()": """AnnData object with n_obs × n_vars = 35 × 765
    obs: 'cell_type', 'n_genes', 'percent_mito', 'louvain'
    var: 'n_counts', 'highly_variable'
    uns: 'louvain', 'louvain_colors', 'neighbors', 'pca'
    obsm: 'X_pca', 'X_umap'
    varm: 'PCs'
    obsp: 'connectivities', 'distances'""",
    "backed.storage": '<HDF5 file "testfile.hdf5" (mode r)>',
    "backed.head(5).to_pandas()": """                                     cell_type  n_genes  percent_mito
index
CGTTATACAGTACC-8           CD4+/CD45RO+ Memory     1034      0.010163
AGATATTGACCACA-1           CD4+/CD45RO+ Memory     1078      0.012831
GCAGGGCTGTATGC-8  CD8+/CD45RA+ Naive Cytotoxic     1055      0.012287
TTATGGCTGGCAAG-2               CD4+/CD25 T Reg     1236      0.023963
CACGACCTGGGAGT-7               CD4+/CD25 T Reg     1010      0.016620""",
    "backed.to_table().to_pandas()": """                                     cell_type  n_genes  percent_mito
index
CGTTATACAGTACC-8           CD4+/CD45RO+ Memory     1034      0.010163
AGATATTGACCACA-1           CD4+/CD45RO+ Memory     1078      0.012831
GCAGGGCTGTATGC-8  CD8+/CD45RA+ Naive Cytotoxic     1055      0.012287
TTATGGCTGGCAAG-2               CD4+/CD25 T Reg     1236      0.023963
CACGACCTGGGAGT-7               CD4+/CD25 T Reg     1010      0.016620
AATCTCACTCAGTG-3           CD4+/CD45RO+ Memory     1183      0.016056
CTAGTTTGGCTTAG-4           CD4+/CD45RO+ Memory     1002      0.018922
ACGCCGGAAGCCTA-6  CD8+/CD45RA+ Naive Cytotoxic     1292      0.018315
CTGACCACCATGGT-4  CD8+/CD45RA+ Naive Cytotoxic     1559      0.024427
AGTTAAACAAACAG-1                       CD19+ B     1005      0.019806
CTACGCACAGGGTG-3           CD4+/CD45RO+ Memory     1053      0.012073
CAGACAACAAAACG-7               CD4+/CD25 T Reg     1109      0.012702
GAGGGTGACCTATT-1               CD4+/CD25 T Reg     1003      0.012971
TGACTGGAACCATG-7               Dendritic cells     1277      0.012961
ACGACCCTGTCTGA-3               Dendritic cells     1074      0.017466
GTTATGCTACCTCC-3               CD14+ Monocytes     1201      0.016839
GTGTCAGATCTACT-6               CD14+ Monocytes     1014      0.025417
AAGAACGAACTCTT-6               CD14+ Monocytes     1067      0.019530
TACTCTGACGTAGT-1               Dendritic cells     1118      0.012069
TAAGCTCTTCTGGA-4               CD14+ Monocytes     1059      0.021497""",
}


def lines_of(text):
    """Lines without the blanks at their ends, which pandas prints."""
    return [line.rstrip() for line in text.splitlines()]


@pytest.fixture(scope="module")
def notebook_run(notebook):
    """The notebook's code cells with what they print now."""
    file = cells.read()
    codes = [cell for cell in file["cells"] if cells.is_code(cell)]
    return list(zip(codes, cells.run(file, notebook.serve().uri), strict=True))


def test_the_notebook_prints_what_the_file_keeps(notebook_run):
    assert len(notebook_run) > 25
    for cell, output in notebook_run:
        assert lines_of(output) == lines_of(cells.stored(cell)), cells.source(cell)


@pytest.mark.parametrize("last_line", PUBLISHED)
def test_the_published_results(notebook_run, last_line):
    outputs = [output for cell, output in notebook_run if cells.source(cell).splitlines()[-1] == last_line]
    assert len(outputs) == 1
    assert lines_of(outputs[0]) == lines_of(PUBLISHED[last_line])


def test_the_file_is_a_notebook():
    file = json.loads(cells.NOTEBOOK.read_text())
    assert (file["nbformat"], file["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in file["cells"]}) == len(file["cells"])


def test_the_lines_of_the_issue(notebook):
    """Each line as the issue has it, but for the address."""
    notebook.register("iris.parquet", "--label", "setosa", source=stack.NOTEBOOK / stack.shard_key(2))
    ln = sf.connect(notebook.serve("--allow-register").uri)
    artifact = ln.Artifact.get(key="lndb-storage/pbmc68k.h5ad")
    adata = artifact.open()
    adata.X  # noqa: B018
    obs_idx = adata.obs.cell_type.isin(["Dendritic cells", "CD14+ Monocytes"]) & (adata.obs.percent_mito <= 0.05)
    subset = adata[obs_idx]
    subset.X
    subset.to_memory()  # noqa: E702, B018
    assert adata[adata.col("percent_mito") <= 0.05, ["CD3D", "LYZ"]].X.shape == (70, 2)
    assert ln.Artifact.get(key="lndb-storage/testfile.hdf5").open()["mydataset"][-1] == 9
    dataset = ln.Artifact.get(key="sharded_parquet").open()
    assert dataset.head(3).num_rows == 3
    assert dataset.to_table(columns=["n_genes"], filter=pc.field("n_genes") > 1500).num_rows == 4
    assert dataset.scanner().to_table().num_rows == sum(batch.num_rows for batch in dataset.to_batches()) == 70
    assert dataset.schema.names[0] == "cell_type" and dataset.count_rows() == 70
    assert ln.Collection.get(key="sharded_parquet_collection").open().to_table().to_pandas().shape == (20, 3)
    df = ln.Artifact.filter(ulabels=ln.ULabel.lookup().setosa, suffix=".parquet").first().load()
    assert isinstance(df, pandas.DataFrame) and len(df) == 10
    artifact.path.view_tree()
    ln.Artifact.search("pbmc")
    ln.ULabel.lookup()
    artifact.register()  # noqa: E702
    ln.close()
