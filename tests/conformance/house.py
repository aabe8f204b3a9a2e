"""One server for every file of a test run: files are put into its one storage and registered through it."""

import stack
from wire import Client


class House:
    """A server that may register what lies in `files`, and how to talk to it."""

    def __init__(self, folder, settings="", seconds=60):
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        text = f'allow_register = true\n{settings}\n[[storage]]\nroot = "file://{self.files}"\n'
        (folder / "settings.toml").write_text(text)
        self.log = folder / "serve.log"
        arguments = ("--config", str(folder / "settings.toml"))
        self.server = stack.Server.start(folder / "registry.db", stack.bare_environment(), self.log, *arguments)
        self.client = Client(self.server.uri, seconds)

    def place(self, name):
        """Where the file `name` belongs; its folder is there."""
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def register(self, name):
        """Registers the file `name` under its own name."""
        return self.client.action("register", {"url": f"file://{self.files / name}", "key": name})

    def tree(self, name):
        """The server's list of nodes by path."""
        return {node["path"]: node for node in self.client.action("tree", {"key": name})["nodes"]}

    def stop(self):
        """Ends the server; gives its exit code."""
        self.client.close()
        return self.server.stop()
