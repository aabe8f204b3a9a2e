"""The whole way on one machine: an S3-compatible server, a registry, sliceflight, and the notebook.

    make demo            runs it and ends
    make demo SERVE=1    runs it and keeps the servers up, until Ctrl-C, for your own requests

It needs the built programs and pyarrow. Everything is in a new folder that is removed at the end.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import notebook  # noqa: E402
import stack  # noqa: E402


def main():
    """Starts everything, runs the notebook, stops everything."""
    with tempfile.TemporaryDirectory(prefix="sliceflight-demo-") as folder:
        run(Path(folder), keep="--serve" in sys.argv[1:])


def run(folder, keep):
    """The demo in `folder`."""
    stack.lay_out_bucket(folder / "buckets")
    registry = folder / "sliceflight.db"
    with stack.Cloud.start(folder / "buckets", folder / "simcloud.log") as cloud:
        say(f"S3-compatible server with the bucket s3://{stack.BUCKET} at {cloud.address}")
        for words in stack.register_notebook(registry, cloud.environment()):
            say(f"$ sliceflight {shlex.join(words)}")
        with stack.Server.start(registry, cloud.environment(), folder / "sliceflight.log") as server:
            say(f"$ sliceflight serve --registry {registry}\nlistening on {server.uri}")
            notebook.main(server.uri)
            read = cloud.stats()
            say(f"\nIn all, {read['requests']} requests to the bucket, {read['bytes_sent']:,} bytes.")
            if keep:
                wait(server)


def wait(server):
    """Keeps the servers up for the user's own requests."""
    say(f"\nThe servers stay up. Try:  {shlex.quote(sys.executable)} examples/notebook.py {server.uri}\nCtrl-C ends them.")
    try:
        server.process.wait()
    except KeyboardInterrupt:
        say("")


def say(text):
    """Prints at once, also into a pipe."""
    print(text, flush=True)


if __name__ == "__main__":
    try:
        main()
    except (stack.StackError, subprocess.SubprocessError) as error:
        sys.exit(f"demo: {error}")
    except BrokenPipeError:
        os._exit(1)
