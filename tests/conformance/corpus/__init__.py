"""Every file of the corpus, in the order of the table that is made of it."""

from . import anndata_files, committed, hdf5, hdf5_filters, hdf5_types, hdf5_writers, views, zarr_codecs, zarr_stores

MODULES = (hdf5, hdf5_types, hdf5_filters, hdf5_writers, zarr_stores, zarr_codecs, anndata_files, committed, views)
CASES = [case for module in MODULES for case in module.CASES]
