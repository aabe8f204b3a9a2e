"""Each command and option of the program, on a registry file and through a server."""

import io
import os
import pty
import signal
import socket
import subprocess
import threading
import time

import pandas
import pyarrow
import pyarrow.feather
import pyarrow.flight as flight
import pyarrow.ipc
import pyarrow.parquet
import pytest

import decode
import stack
from conftest import PBMC
from expect import read_anndata, same_array, same_frame
from generated import chunked_h5ad, many_objects
from wire import Client

WHERE = "cell_type = 'CD34+' OR n_genes > 1500"


@pytest.fixture(scope="module")
def whole():
    return read_anndata(stack.NOTEBOOK / "pbmc68k.h5ad")


@pytest.fixture(params=["registry", "server"])
def run(request, notebook):
    """Runs a command on the registry file, or through a server that allows writing."""
    if request.param == "registry":
        return notebook.command
    server = notebook.serve(settings="allow_register = true\n")

    def through_server(*words, **options):
        return stack.command([*words, "--server", server.uri], notebook.environment, **options)

    return through_server


class TestCatalogue:
    """register, collection create, label, rm, ls, search."""

    def test_ls(self, run):
        shown = run("ls").stdout
        for key in (PBMC, "lndb-storage/testfile.hdf5", "sharded_parquet", "sharded_parquet_collection"):
            assert key in shown

    def test_ls_by_suffix(self, run):
        shown = run("ls", "--suffix", ".hdf5").stdout
        assert "testfile.hdf5" in shown and "pbmc68k" not in shown

    def test_label_and_ls_by_label(self, run):
        run("label", "lndb-storage/testfile.hdf5", "numbers")
        shown = run("ls", "--label", "numbers").stdout
        assert "testfile.hdf5" in shown and "pbmc68k" not in shown

    def test_search(self, run):
        shown = run("search", "pbmc68k").stdout
        assert PBMC in shown and "testfile" not in shown

    def test_register_with_all_options_and_rm(self, run, notebook):
        key = "cli/one.h5ad"
        notebook.put(key, stack.NOTEBOOK / "csc.h5ad")
        words = ["--label", "first", "--label", "second", "--description", "columns of two hundred cells"]
        shown = run("register", f"s3://{stack.BUCKET}/{key}", "--key", "cli/renamed.h5ad", *words).stdout
        assert "cli/renamed.h5ad" in shown
        assert "cli/renamed.h5ad" in run("ls", "--label", "second").stdout
        assert "cli/renamed.h5ad" in run("search", "two hundred").stdout
        run("rm", "cli/renamed.h5ad")
        assert "cli/renamed.h5ad" not in run("ls").stdout
        assert (notebook.bucket / key).is_file()

    def test_register_several_urls_by_their_own_keys(self, run, notebook):
        keys = ["cli/a.h5ad", "cli/b.zarr"]
        for key, name in zip(keys, ("csc.h5ad", "variants_v3.zarr"), strict=True):
            notebook.put(key, stack.NOTEBOOK / name)
        run("register", *(f"s3://{stack.BUCKET}/{key}" for key in keys))
        shown = run("ls").stdout
        assert all(key in shown for key in keys)

    def test_collection_create(self, run):
        run("collection", "create", "cli_collection", stack.shard_key(1), stack.shard_key(0))
        table = pyarrow.ipc.open_stream(run("get", "cli_collection", "-o", "-", text=False).stdout).read_all()
        shards = [pyarrow.parquet.read_table(stack.NOTEBOOK / stack.shard_key(at), partitioning=None) for at in (1, 0)]
        assert table.column("index").to_pylist() == pyarrow.concat_tables(shards).column("index").to_pylist()

    def test_collection_of_an_unknown_artifact(self, run):
        done = run("collection", "create", "none", "no/such.parquet", check=False)
        assert done.returncode != 0 and "no/such.parquet" in done.stderr

    def test_near_matches_of_an_unknown_key(self, run):
        done = run("inspect", "lndb-storage/pbmc86k.h5ad", check=False)
        assert done.returncode != 0
        assert PBMC in done.stderr


class TestLocalFiles:
    """register takes a local path and file://."""

    @pytest.mark.parametrize("spelling", ["{path}", "file://{path}"])
    def test_register(self, tmp_path, spelling):
        registry = tmp_path / "local.db"
        environment = stack.bare_environment()
        url = spelling.format(path=stack.NOTEBOOK / "pbmc68k.h5ad")
        stack.command(["register", url, "--key", "local.h5ad", "--registry", registry], environment)
        shown = stack.command(["inspect", "local.h5ad", "--registry", registry], environment).stdout
        assert "70 × 765" in shown

    @pytest.mark.parametrize("name", ["sharded_parquet", "variants_v2.zarr"])
    def test_folders(self, tmp_path, name):
        registry = tmp_path / "local.db"
        environment = stack.bare_environment()
        stack.command(["register", stack.NOTEBOOK / name, "--key", name, "--registry", registry], environment)
        assert stack.command(["tree", name, "--registry", registry], environment).stdout.count("\n") > 10


class TestGet:
    """get: selections, and every kind of output."""

    def test_arrow(self, run, tmp_path, whole):
        out = tmp_path / "x.arrow"
        run("get", PBMC, "X", "--obs-where", WHERE, "-o", out)
        table = pyarrow.feather.read_table(out, memory_map=False)
        same_array(decode.array(table), whole[whole.obs.eval("cell_type == 'CD34+' or n_genes > 1500")].X)

    def test_parquet(self, run, tmp_path, whole):
        out = tmp_path / "obs.parquet"
        run("get", PBMC, "obs", "--rows", "10:20", "-o", out)
        # Parquet keeps values, not categories that no row has.
        expected = whole.obs.iloc[10:20].copy()
        for name in expected.select_dtypes("category"):
            expected[name] = expected[name].cat.remove_unused_categories()
        found = pyarrow.parquet.read_table(out)
        assert found.schema.names == [*expected.columns, "index"]
        found = found.to_pandas()
        for name in expected.select_dtypes("category"):
            found[name] = found[name].cat.set_categories(expected[name].cat.categories)
        pandas.testing.assert_frame_equal(found, expected)

    def test_csv(self, run, tmp_path, whole):
        out = tmp_path / "obs.csv"
        run("get", PBMC, "obs", "--columns", "n_genes,cell_type", "-o", out)
        frame = pandas.read_csv(out)
        assert list(frame.columns[:2]) == ["n_genes", "cell_type"]
        assert frame.n_genes.tolist() == whole.obs.n_genes.tolist()
        assert frame.cell_type.tolist() == whole.obs.cell_type.tolist()

    def test_stdout_is_an_arrow_stream(self, run, whole):
        done = run("get", PBMC, "X", "--rows", "::-10", "-o", "-", text=False)
        table = pyarrow.ipc.open_stream(io.BytesIO(done.stdout)).read_all()
        same_array(decode.array(table), whole.X[::-10])

    def test_default_node(self, run, tmp_path, whole):
        out = tmp_path / "obs.arrow"
        run("get", PBMC, "-o", out)
        same_frame(pyarrow.feather.read_table(out, memory_map=False), whole.obs)

    def test_unknown_ending(self, run, tmp_path):
        done = run("get", PBMC, "obs", "-o", tmp_path / "obs.xlsx", check=False)
        assert done.returncode != 0 and ".xlsx" in done.stderr
        assert not (tmp_path / "obs.xlsx").exists()

    def test_a_failed_get_leaves_no_file(self, run, tmp_path):
        out = tmp_path / "none.arrow"
        done = run("get", PBMC, "obsm/none", "-o", out, check=False)
        assert done.returncode != 0 and "obsm/none" in done.stderr
        assert not out.exists()


class TestShowing:
    """inspect, tree, explain."""

    def test_inspect(self, run):
        shown = run("inspect", PBMC).stdout
        for word in ("70 × 765", "cell_type", "X_pca", "connectivities", "louvain_colors", "highly_variable", "PCs"):
            assert word in shown

    def test_tree(self, run):
        shown = run("tree", PBMC).stdout
        for word in ("X", "float32", "cell_type", "codes", "connectivities", "indptr"):
            assert word in shown

    def test_tree_of_a_folder(self, run):
        shown = run("tree", "sharded_parquet").stdout
        assert all(f"louvain={louvain}" in shown for louvain in range(11))

    def test_explain(self, run):
        shown = run("explain", PBMC, "X", "--rows", "3:5").stdout
        assert PBMC in shown and "request" in shown and "byte" in shown.lower()

    def test_help_of_every_command(self):
        for words in ([], ["serve"], ["register"], ["collection", "create"], ["label"], ["rm"], ["ls"], ["search"],
                      ["inspect"], ["tree"], ["get"], ["explain"]):
            assert "Usage" in stack.command([*words, "--help"], stack.bare_environment()).stdout

    def test_no_progress_bar_in_a_pipe(self, notebook, tmp_path):
        done = notebook.command("get", PBMC, "X", "-o", tmp_path / "x.arrow")
        assert "\r" not in done.stderr and "\x1b[" not in done.stderr

    def test_progress_bar_on_a_terminal(self, notebook, tmp_path):
        path = notebook.folder / "chunked.h5ad"
        chunked_h5ad(path)
        notebook.register("cli/chunked.h5ad", source=path)
        words = [stack.binary("sliceflight"), "get", "cli/chunked.h5ad", "X", "-o", str(tmp_path / "x.arrow"),
                 "--registry", str(notebook.registry)]
        leader, follower = pty.openpty()
        shown = []

        def read():
            try:
                while piece := os.read(leader, 4096):
                    shown.append(piece)
            except OSError:
                pass

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        environment = notebook.environment | {"TERM": "xterm"}
        subprocess.run(words, env=environment, stderr=follower, stdout=subprocess.DEVNULL, timeout=60, check=True)
        os.close(follower)
        reader.join(5)
        assert b"\r" in b"".join(shown) or b"\x1b[" in b"".join(shown)


class TestServing:
    """serve: its one line, stopping, ports."""

    def test_sigterm_ends_it_well(self, notebook):
        server = notebook.serve()
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 5

    def test_sigint_ends_it_well(self, notebook):
        server = notebook.serve()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == 0

    def test_a_running_stream_ends_before_the_server(self, notebook):
        """SIGTERM in the middle of a stream: the stream is read to its end, new calls are refused."""
        key = "cli/slow.zarr"
        values = many_objects(notebook.folder / "slow.zarr", rows=60)
        notebook.register(key, source=notebook.folder / "slow.zarr")
        server = notebook.serve(settings='[limits]\nrequests_in_flight = 4\nrequests_in_flight_per_stream = 4\n')
        client = Client(server.uri)
        client.info((key, "values"))
        notebook.cloud.fault("slow", match="slow.zarr/values", delay_ms=100)
        try:
            reader = client.reader({"key": key, "node": "values"})
            assert reader.schema.names == ["values"]
            server.process.send_signal(signal.SIGTERM)
            same_array(decode.array(reader.read_all()), values)
        finally:
            notebook.cloud.clear_faults()
        assert server.process.wait(15) == 0
        with pytest.raises(flight.FlightError):
            Client(server.uri, seconds=5).info((key, "values"))

    def test_draining_ends_in_the_stated_time(self, notebook):
        """A stream that nobody reads does not keep the server alive."""
        key = "cli/drain.h5ad"
        path = notebook.folder / "drain.h5ad"
        chunked_h5ad(path)
        notebook.register(key, source=path)
        server = notebook.serve(settings='[limits]\ndrain_time = "2s"\n')
        reader = Client(server.uri).reader({"key": key, "node": "X"})
        reader.read_chunk()
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(12)
        assert time.monotonic() - started < 10
        del reader

    def test_a_port_in_use(self, notebook):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            done = notebook.command("serve", "--listen", address, check=False)
        assert done.returncode != 0
        assert address in done.stderr


def storage_settings(cloud, **options):
    """A configuration file with the notebook's bucket in `cloud` and these options for it."""
    options = {"aws_endpoint": cloud.address, "aws_region": "us-east-1", "aws_allow_http": "true"} | options
    spelled = ", ".join(f'{name} = "{value}"' for name, value in options.items())
    return f'[[storage]]\nroot = "s3://{stack.BUCKET}"\noptions = {{ {spelled} }}\n'


class TestConfiguration:
    """Mistakes are all reported at start, each with its key's name."""

    def refused(self, notebook, text, environment=None, flags=()):
        path = notebook.folder / "wrong.toml"
        path.write_text(text)
        words = ["serve", "--listen", "127.0.0.1:0", "--config", path, "--registry", notebook.registry, *flags]
        done = stack.command(words, notebook.environment | (environment or {}), check=False)
        assert done.returncode != 0
        return done.stderr

    def test_every_mistake_at_once(self, notebook):
        text = 'lissen = "x"\nallow_register = "perhaps"\n[limits]\nmemory_budget = "lots"\nmessage_bytes = "4 MiB"\n'
        shown = self.refused(notebook, text)
        for key in ("lissen", "allow_register", "limits.memory_budget", "limits.message_bytes"):
            assert key in shown

    def test_environment(self, notebook):
        shown = self.refused(notebook, "", {"SLICEFLIGHT_LIMITS_MEMORY_BUDGET": "lots", "SLICEFLIGHT_NONSENSE": "1"})
        assert "SLICEFLIGHT_LIMITS_MEMORY_BUDGET" in shown and "SLICEFLIGHT_NONSENSE" in shown

    def test_flag(self, notebook):
        words = ["serve", "--listen", "nowhere", "--registry", notebook.registry]
        done = stack.command(words, notebook.environment, check=False)
        assert done.returncode != 0 and "listen" in done.stderr

    def test_file_that_is_not_there(self, notebook):
        done = notebook.command("serve", "--config", "/no/such.toml", check=False)
        assert done.returncode != 0 and "/no/such.toml" in done.stderr

    def test_flag_over_environment_over_file(self, notebook):
        """The file asks for writing, the environment forbids it: the environment wins."""
        server = notebook.serve(settings="allow_register = true\n", environment={"SLICEFLIGHT_ALLOW_REGISTER": "false"})
        with pytest.raises(flight.FlightUnauthorizedError):
            Client(server.uri).action("label", {"key": PBMC, "labels": ["x"]})

    def test_a_storage_of_the_file_with_its_own_keys(self, notebook):
        """Credentials of one storage in the file, none in the environment."""
        path = notebook.folder / "storage.toml"
        keys = {"aws_access_key_id": stack.ACCESS_KEY, "aws_secret_access_key": stack.SECRET_KEY}
        path.write_text(storage_settings(notebook.cloud, **keys))
        words = ["get", PBMC, "obs", "-o", "-", "--config", path, "--registry", notebook.registry]
        done = stack.command(words, stack.bare_environment(), text=False)
        assert pyarrow.ipc.open_stream(done.stdout).read_all().num_rows == 70

    def test_an_anonymous_bucket(self, tmp_path):
        """A bucket that is read without any key."""
        stack.lay_out_bucket(tmp_path / "buckets")
        flags = ["--anonymous-bucket", stack.BUCKET]
        registry, settings = tmp_path / "open.db", tmp_path / "open.toml"
        with stack.Cloud.start(tmp_path / "buckets", tmp_path / "simcloud.log", *flags) as cloud:
            settings.write_text(storage_settings(cloud, aws_skip_signature="true"))
            where = ["--config", settings, "--registry", registry]
            bare = stack.bare_environment()
            stack.command(["register", f"s3://{stack.BUCKET}/{PBMC}", "--key", PBMC, *where], bare)
            done = stack.command(["get", PBMC, "obs", "-o", "-", *where], bare, text=False)
        assert pyarrow.ipc.open_stream(done.stdout).read_all().num_rows == 70

    def test_wrong_keys_are_refused_by_name(self, notebook):
        wrong = notebook.environment | {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}
        words = ["register", f"s3://{stack.BUCKET}/{PBMC}", "--key", "cli/wrong.h5ad", "--registry", notebook.registry]
        done = stack.command(words, wrong, check=False)
        assert done.returncode != 0
        assert PBMC in done.stderr and "not-the-secret" not in done.stderr

    def test_secrets_are_not_shown(self, notebook):
        server = notebook.serve()
        Client(server.uri).info((PBMC, "X"))
        assert stack.SECRET_KEY not in notebook.log_text()


class TestKilled:
    """The registry survives a killed program."""

    def test_kill_during_a_registration(self, notebook):
        key = "cli/killed.zarr"
        notebook.put(key, stack.NOTEBOOK / "variants_v2.zarr")
        notebook.cloud.fault("slow", match="killed.zarr", delay_ms=1000)
        try:
            words = [stack.binary("sliceflight"), "register", f"s3://{stack.BUCKET}/{key}", "--key", key,
                     "--registry", str(notebook.registry)]
            process = subprocess.Popen(words, env=notebook.environment, stderr=subprocess.DEVNULL)
            time.sleep(0.7)
            assert process.poll() is None
            process.kill()
            process.wait(10)
        finally:
            notebook.cloud.clear_faults()
        shown = notebook.command("ls").stdout
        assert PBMC in shown and key not in shown
        notebook.register(key)
        assert key in notebook.command("ls").stdout

    def test_kill_of_a_server_while_it_registers(self, notebook, whole):
        server = notebook.serve(settings="allow_register = true\n")
        client = Client(server.uri, seconds=20)
        keys = [f"cli/many-{position}.h5ad" for position in range(8)]
        done = []

        def register_all():
            try:
                for key in keys:
                    notebook.put(key, stack.NOTEBOOK / "pbmc68k.h5ad")
                    done.append(client.action("register", {"url": f"s3://{stack.BUCKET}/{key}", "key": key})["key"])
            except flight.FlightError:
                pass

        worker = threading.Thread(target=register_all)
        worker.start()
        while len(done) < 2 and worker.is_alive():
            time.sleep(0.01)
        server.kill()
        worker.join(30)
        again = Client(notebook.serve().uri)
        for key in done:
            same_array(decode.array(again.get((key, "X"))), whole.X)
        assert len(done) >= 2
