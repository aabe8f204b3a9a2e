"""Reads streams of sliceflight in a process of its own, keeping nothing: an order as JSON in, one line of JSON out.

Each request is one client with a connection of its own; all of them at the same time.
"""

import json
import sys
import threading
import time

import pyarrow.flight as flight


def main():
    order = json.load(sys.stdin)
    found = [None] * len(order["requests"])
    threads = [
        threading.Thread(target=read, args=(order["uri"], request, found, place))
        for place, request in enumerate(order["requests"])
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    errors = [one for one in found if not isinstance(one, tuple)]
    total = {"wall": wall, "streams": len(found), "failures": len(errors)}
    if errors:
        total["error"] = str(errors[0])[:300]
    rows, size = (sum(one[part] for one in found if isinstance(one, tuple)) for part in (0, 1))
    print(json.dumps(total | {"rows": rows, "arrow_bytes": size}))


def read(uri, request, found, place):
    """Reads one stream to its end: rows and bytes of it, or the error."""
    try:
        with flight.connect(uri) as client:
            rows = size = 0
            for chunk in client.do_get(flight.Ticket(json.dumps(request).encode())):
                rows += chunk.data.num_rows
                size += chunk.data.nbytes
        found[place] = rows, size
    except Exception as error:  # noqa: BLE001 - whatever a stream fails with is a result
        found[place] = error


if __name__ == "__main__":
    main()
