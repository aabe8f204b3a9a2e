"""Checks the dependencies against deny.toml: licences, banned crates and sources; offline.

    python3 tools/check_dependencies.py

Advisories need a database that has to be fetched: they are checked by cargo-deny where it is
installed and its database can be reached, and otherwise this says that they were not checked.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
ADVISORY_SECONDS = 300


def main():
    """Prints every finding; ends with 1 when there is one."""
    rules = tomllib.loads((PROJECT / "deny.toml").read_text())
    packages = dependencies()
    findings = [*licences(packages, rules), *banned(packages, rules), *sources(packages, rules)]
    for finding in findings:
        print(f"dependencies: {finding}")
    good = advisories()
    print(f"dependencies: {len(packages)} packages, {len(findings)} findings in licences, bans and sources")
    sys.exit(1 if findings or not good else 0)


def dependencies():
    """Every package that the lock file names, by cargo."""
    words = ["cargo", "metadata", "--format-version", "1", "--locked"]
    return json.loads(subprocess.run(words, cwd=PROJECT, check=True, capture_output=True).stdout)["packages"]


def licences(packages, rules):
    """Packages whose licence expression is not met by the allowed ones."""
    allowed = set(rules["licenses"]["allow"])
    exceptions = {entry["crate"]: set(entry["allow"]) for entry in rules["licenses"].get("exceptions", [])}
    for package in packages:
        expression = package["license"]
        if expression is None:
            yield f"{package['name']} {package['version']} has no licence expression"
        elif not permitted(expression, allowed | exceptions.get(package["name"], set())):
            yield f"{package['name']} {package['version']}: licence '{expression}' is not allowed"


def banned(packages, rules):
    """Packages that must not come in."""
    names = {entry["name"] for entry in rules["bans"]["deny"]}
    for package in packages:
        if package["name"] in names:
            yield f"{package['name']} {package['version']} is banned"


def sources(packages, rules):
    """Packages that come neither from this workspace nor from an allowed registry."""
    allowed = {f"registry+{url}" for url in rules["sources"]["allow-registry"]}
    assert CRATES_IO in allowed, "deny.toml allows the registry that cargo uses"
    for package in packages:
        if package["source"] is not None and package["source"] not in allowed:
            yield f"{package['name']} {package['version']} comes from {package['source']}"


def permitted(expression, allowed):
    """Whether an SPDX expression is met; `/` is the old spelling of OR."""
    words = re.findall(r"\(|\)|[^\s()/]+|/", expression)
    words = ["OR" if word == "/" else word for word in words]
    met = any_of(words, allowed)
    if words:
        raise ValueError(f"licence expression '{expression}' is not understood")
    return met


def any_of(words, allowed):
    """Takes `A OR B …` off the front of `words`."""
    met = all_of(words, allowed)
    while words and words[0] == "OR":
        words.pop(0)
        met |= all_of(words, allowed)
    return met


def all_of(words, allowed):
    """Takes `A AND B …` off the front of `words`."""
    met = one(words, allowed)
    while words and words[0] == "AND":
        words.pop(0)
        met &= one(words, allowed)
    return met


def one(words, allowed):
    """Takes one licence, with its exception, or a group in brackets off the front of `words`."""
    name = words.pop(0)
    if name == "(":
        met = any_of(words, allowed)
        if words[:1] != [")"]:
            raise ValueError("a bracket of a licence expression is not closed")
        words.pop(0)
        return met
    if words[:1] == ["WITH"]:
        name = f"{name} WITH {words[1]}"
        del words[:2]
    return name in allowed


def advisories():
    """Whether nothing is known against the dependencies; says so when that cannot be told."""
    if shutil.which("cargo-deny") is None:
        print("dependencies: advisories NOT CHECKED: cargo-deny is not installed (cargo install --locked cargo-deny)")
        return True
    words = ["cargo", "deny", "--locked", "check", "advisories"]
    try:
        done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=ADVISORY_SECONDS)
    except subprocess.TimeoutExpired:
        print("dependencies: advisories NOT CHECKED: the database did not come in time")
        return True
    if done.returncode != 0 and re.search(r"failed to (fetch|open|load|resolve|acquire)", done.stderr):
        print(f"dependencies: advisories NOT CHECKED: {done.stderr.strip().splitlines()[-1]}")
        return True
    print(done.stderr.strip())
    return done.returncode == 0


if __name__ == "__main__":
    main()
