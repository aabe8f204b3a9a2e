"""A real PostgreSQL server in a temporary folder, and the tables of a SQLite file in it."""

import os
import pwd
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

OWNER_PASSWORD, READER_PASSWORD = "owner", "reader-secret"
START_SECONDS = 60
#: A server does not run as root: then it runs as the user that the package made.
USER = "postgres" if os.getuid() == 0 else None


def programs():
    """The folder of the server's programs; None where PostgreSQL is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -float(folder.parent.name))
    found = [folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()]
    if found:
        return found[0]
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def missing():
    """Why there is no server here; None when there is one."""
    if programs() is None:
        return "PostgreSQL is not installed (Debian: postgresql)"
    if shutil.which("psql") is None:
        return "psql is not installed (Debian: postgresql-client)"
    if USER is not None:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return f"there is no user {USER} to run PostgreSQL as"
    return None


class Postgres:
    """One server; `remove` ends it."""

    def __init__(self, tls=False):
        # Its user must reach it: no folder of pytest's.
        self.folder = Path(tempfile.mkdtemp(prefix="sliceflight-postgres-"))
        self.data, self.port = self.folder / "data", free_port()
        self.certificate = self.folder / "certificate.pem"
        password = self.folder / "password"
        password.write_text(OWNER_PASSWORD)
        for path in (self.folder, password):
            if USER is not None:
                shutil.chown(path, USER)
        self.run("initdb", "-D", self.data, "-U", "owner", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8")
        settings = [f"port = {self.port}", "listen_addresses = '127.0.0.1'", f"unix_socket_directories = '{self.folder}'"]
        settings += ["fsync = off", "shared_buffers = '16MB'", "max_connections = 20"]
        if tls:
            self.make_certificate()
            settings += ["ssl = on", f"ssl_cert_file = '{self.certificate}'", f"ssl_key_file = '{self.folder}/key.pem'"]
        with open(self.data / "postgresql.conf", "a") as file:
            file.write("\n".join(settings) + "\n")
        self.start()

    def start(self):
        """Starts the server and waits until it answers."""
        self.run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "-t", START_SECONDS, "start")

    def stop(self):
        """Stops the server."""
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def remove(self):
        """Stops the server and removes its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def run(self, program, *arguments):
        """Runs a program of the server as its user."""
        command = [str(programs() / program), *map(str, arguments)]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        # A pipe would stay open in the server.
        with open(self.folder / f"{program}.log", "a") as log:
            done = subprocess.run(command, user=USER, env=environment, cwd="/", stdout=log, stderr=log, timeout=120)
        assert done.returncode == 0, Path(log.name).read_text()

    def make_certificate(self):
        """A certificate for localhost that only those trust who have it."""
        key = self.folder / "key.pem"
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", *names]
        subprocess.run([*command, "-keyout", key, "-out", self.certificate], check=True, capture_output=True)
        key.chmod(0o600)
        if USER is not None:
            shutil.chown(key, USER)

    def url(self, database, role="owner", password=OWNER_PASSWORD, host="127.0.0.1", **options):
        """The URL of a database."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://{role}:{password}@{host}:{self.port}/{database}" + (f"?{query}" if query else "")

    def execute(self, database, sql):
        """Runs a script; all of it or nothing."""
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-d", self.url(database), "-f", "-"]
        done = subprocess.run(command, input=sql, text=True, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr

    def load(self, database, path):
        """Makes the database of the tables of a SQLite file, and a role `reader` that may only read them."""
        command = ["psql", "-X", "-q", "-d", self.url("postgres"), "-c", f"CREATE DATABASE {database}"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        self.execute(database, converted(path))
        self.execute(
            database,
            f"""DO $$ BEGIN CREATE ROLE reader LOGIN PASSWORD '{READER_PASSWORD}';
            EXCEPTION WHEN duplicate_object THEN NULL; END $$;
            GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;""",
        )


def converted(path):
    """The tables of a SQLite file as SQL of PostgreSQL, with the types that LaminDB has there."""
    script = ["SET TIME ZONE 'UTC';"]
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source:
        tables = source.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name LIKE 'lamindb_%'")
        for table, ddl in tables.fetchall():
            columns = source.execute("SELECT name, type FROM pragma_table_info(?) ORDER BY cid", [table]).fetchall()
            types = [kind(name, declared, ddl) for name, declared in columns]
            fields = ", ".join(f'"{name}" {type}' for (name, _), type in zip(columns, types, strict=True))
            script.append(f"CREATE TABLE {table} ({fields});")
            for row in source.execute(f"SELECT * FROM {table}").fetchall():
                values = ", ".join(literal(value, type) for value, type in zip(row, types, strict=True))
                script.append(f"INSERT INTO {table} VALUES ({values});")
    return "\n".join(script)


def kind(name, declared, ddl):
    if f'JSON_VALID("{name}")' in ddl:
        return "jsonb"
    return {"bool": "boolean", "datetime": "timestamptz"}.get(declared, declared)


def literal(value, type):
    if value is None:
        return "NULL"
    if type == "boolean":
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return "'" + re.sub("'", "''", str(value)) + "'"


def free_port():
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
