#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets from the fixtures of the tests: fuzz/seeds.py

Needs h5py and hdf5plugin. A seed's name is the digest of its bytes, as libFuzzer names what it finds.
"""

import base64
import hashlib
import json
import struct
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the filters

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "tests" / "fixtures"
LARGEST_SEED = 64 * 1024
FILTERS = [1, 2, 3, 4, 5, 6, 307, 32000, 32001, 32004, 32008, 32015, 32013, 32026]


def write(target, seed, largest=LARGEST_SEED):
    if len(seed) <= largest:
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


def files():
    found = [path for folder in ("hdf5", "links", "shared") for path in FIXTURES.glob(f"{folder}/*.h5")]
    closed = [path for path in found if path.name != "unfinished.h5"]
    return sorted([*closed, *FIXTURES.glob("notebook/*.h*5")])


def chunks(path):
    """The first and the last chunk of every dataset of `path`, each with its filters."""
    found = []

    def visit(_, node):
        if not isinstance(node, h5py.Dataset) or node.chunks is None:
            return
        properties = node.id.get_create_plist()
        filters = [properties.get_filter(at) for at in range(properties.get_nfilters())]
        if len(filters) > 3 or any(one[0] not in FILTERS for one in filters):
            return
        head = bytes([len(filters)])
        for number, _, parameters, _ in filters:
            values = [value & 0xFFFFFFFF for value in parameters][:23]
            head += bytes([FILTERS.index(number), len(values)]) + struct.pack(f"<{len(values)}I", *values)
        size = node.dtype.itemsize
        for length in node.chunks:
            size *= length
        count = node.id.get_num_chunks()
        for at in {0, count - 1} if count else ():
            info = node.id.get_chunk_info(at)
            mask, stored = node.id.read_direct_chunk(info.chunk_offset)
            found.append(head + bytes([mask & 0xFF]) + struct.pack("<I", size) + stored)

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def stores():
    """Every array of the packed stores, and their consolidated metadata."""
    roots = [("zarr.json", 0), (".zarray", 1), (".zmetadata", 2)]
    for path in sorted(FIXTURES.glob("zarr/*.json")):
        if path.name == "expected.json":
            continue
        objects = {name: base64.b64decode(text) for name, text in json.loads(path.read_text()).items()}
        for name, metadata in objects.items():
            folder, _, last = name.rpartition("/")
            for root, kind in roots:
                if last == root:
                    below = [other for other in objects if other.startswith(folder + "/") and "z" not in other[len(folder):]]
                    chunk = b"\0" + objects[below[0]] if below else b""
                    yield bytes([kind]) + metadata + chunk


def tickets():
    yield from [json.dumps(one).encode() for one in (
        {"key": "pbmc68k.h5ad", "node": "X", "obs": {"where": "cell_type IN ('Dendritic cells') AND percent_mito <= 0.05"}},
        {"key": "a", "node": "X", "var": {"names": ["HES4", "TNFRSF4"]}, "layout": "wide", "withObs": ["cell_type"], "withIndex": True},
        {"key": "a", "axes": [{"slice": {"start": -5, "stop": None, "step": -1}}, {"index": [1, -1, 1]}], "squeeze": True},
        {"key": "a", "slice": "0:100, ::2, ...", "maxBatchBytes": "100", "max_batch_rows": 5},
        {"uid": "abc", "version": "0000", "columns": ["a", "b"], "where": "a = 1", "limit": 3, "offset": 4, "partitioning": "hive"},
        {"collection": "c", "obs": [{"mask": {"bits": "/w==", "length": 8}}, {"integer": 3}, {"all": True}]},
        {"url": "s3://bucket/path", "filter": "AAAA"},
    )]
    yield b"\x0a\x01a\x32\x01X" + b"\x3a\x07\x32\x05n > 1"
    yield b"SFT1" + b"\x0a\x06\x0a\x01a\x32\x01X\x10\x05\x18\x0a\x20\x01\x2a\x08\x0a\x03uid\x12\x01e"


def main():
    for path in files():
        write("hdf5", path.read_bytes())
        for seed in chunks(path):
            write("chunk", seed, 2048)
    for seed in stores():
        write("zarr", seed)
    for seed in tickets():
        write("ticket", seed)


if __name__ == "__main__":
    main()
