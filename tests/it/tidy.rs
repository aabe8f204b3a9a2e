//! The structure that `ARCHITECTURE.md` promises: which module may use which, and how long files get.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A module of `src`, and the modules of ours that it may name. `error` and `model` are open to all.
const EDGES: [(&str, &[&str]); 16] = [
    ("error", &[]),
    ("model", &[]),
    ("storage", &[]),
    ("ticket", &[]),
    ("registry", &[]),
    ("plan", &[]),
    ("format", &["storage"]),
    ("select", &[]),
    ("table", &["select"]),
    ("read", &["plan", "format"]),
    ("engine", &["registry", "storage", "format", "plan", "read", "select", "table"]),
    ("flight", &["ticket", "engine", "config"]),
    ("config", &["engine", "ticket"]),
    ("telemetry", &[]),
    ("server", &["flight", "engine", "config"]),
    ("cli", &["server", "config", "telemetry", "engine", "flight", "ticket"]),
];

/// Libraries that only one module may name, so that they can be replaced.
const OWNED: [(&str, &[&str]); 10] = [
    ("tonic", &["src/flight", "src/server.rs", "src/cli"]),
    ("arrow_flight", &["src/flight", "src/cli"]),
    ("hdf5_reader", &["src/format/hdf5/parser"]),
    ("hdf5_worker", &["src/format/hdf5/library", "src/format/hdf5/outside.rs", "src/cli"]),
    ("zarrs", &["src/format/zarr"]),
    ("datafusion", &["src/select", "src/table"]),
    ("rusqlite", &["src/registry"]),
    ("reqwest", &["src/storage"]),
    ("tokio_postgres", &["src/registry/lamindb/origin"]),
    ("rustls", &["src/registry/lamindb/origin"]),
];

/// Longest file of `src`, in lines.
const MAX_LINES: usize = 500;

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pending = vec![root.join("src")];
    let mut sources = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.push((path.strip_prefix(root).unwrap().to_path_buf(), text));
            }
        }
    }
    sources.sort();
    sources
}

/// Unit tests may look anywhere.
fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part.to_str().is_some_and(|part| part.starts_with("test")))
}

/// The module of `src` that `path` belongs to.
fn module(path: &Path) -> String {
    let part = path.iter().nth(1).unwrap().to_str().unwrap();
    part.trim_end_matches(".rs").to_owned()
}

/// Modules named as `crate::module` in the code, comments left out.
fn named(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<&str> = code.take_while(|line| !line.contains("mod tests {")).collect();
    let code = code.join("\n");
    let words = code.split("crate::").skip(1);
    let mut modules = BTreeSet::new();
    for word in words {
        if let Some(list) = word.strip_prefix('{') {
            let list = list.split('}').next().unwrap_or("");
            modules.extend(list.split(',').map(|name| name.trim().split("::").next().unwrap_or("").to_owned()));
        } else {
            modules.insert(word.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect());
        }
    }
    modules
}

#[test]
fn modules_use_only_what_the_architecture_allows() {
    let known: BTreeSet<&str> = EDGES.iter().map(|(module, _)| *module).collect();
    let mut wrong = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !is_test(path)) {
        let from = module(path);
        if matches!(from.as_str(), "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = EDGES.iter().find(|(module, _)| *module == from) else {
            wrong.push(format!("{}: module '{from}' is not in the table of edges", path.display()));
            continue;
        };
        for to in named(text) {
            let open = matches!(to.as_str(), "error" | "model");
            if known.contains(to.as_str()) && to != from && !open && !allowed.contains(&to.as_str()) {
                wrong.push(format!("{}: '{from}' may not use '{to}'", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn libraries_stay_in_their_module() {
    let mut wrong = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !is_test(path)) {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for (library, homes) in OWNED {
                let uses = line.contains(&format!("{library}::")) && !line.contains(&format!("_{library}::"));
                if uses && !homes.iter().any(|home| path.starts_with(home)) {
                    wrong.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(path, text)| !is_test(path) && text.lines().count() > MAX_LINES)
        .map(|(path, text)| format!("{}: {} lines", path.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn the_named_modules_are_found() {
    let text = "use crate::error::{Error, Result};\nuse crate::{model, plan::tasks};\n// crate::flight\n";
    let expected: BTreeSet<String> = ["error", "model", "plan"].into_iter().map(str::to_owned).collect();
    assert_eq!(named(text), expected);
}
