//! The objects of a file to a [`Tree`]: gives every object the paths that lead to it.
//!
//! A link that leads back to a group above it, out of the file or nowhere becomes an unreadable node
//! with the reason, so that a listing always ends and never hides a name.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::parser::{ADDRESS_KEY, Link, Target};
use super::walk::Graph;
use crate::error::{Error, Result};
use crate::model::data_type::DataType;
use crate::model::tree::{Attributes, Node, Tree, join};

/// Nodes of one tree at most; links to links can ask for more than there are objects.
const MAX_NODES: usize = 1_000_000;
/// Groups inside groups at most.
const MAX_DEPTH: usize = 256;
/// Soft links followed to find one target.
const MAX_SOFT_LINKS: usize = 64;

/// Key of the JSON object that stands for an object reference in attributes.
const REFERENCE_KEY: &str = "reference";

/// What a file is made of.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// All paths from the root.
    pub(crate) tree: Tree,
    /// Paths of objects by address where data refers to them.
    pub(crate) paths: Vec<(u64, String)>,
    /// Paths of what is refused by name and may be a dataset that libhdf5 reads, with its attributes.
    pub(crate) refused: Vec<(String, Attributes)>,
}

/// All paths from the root.
///
/// # Errors
/// `ResourceExhausted` when there are too many paths, `DataLoss` when the root is no group.
pub(crate) fn assemble(graph: &Graph) -> Result<Assembled> {
    let children = graph
        .objects
        .iter()
        .map(|(address, object)| (*address, object.links.iter().map(|link| (link.name.as_str(), link)).collect()))
        .collect();
    let tree = Tree::default();
    let (paths, refused) = (HashMap::new(), Vec::new());
    let mut assembly = Assembly { graph, children, tree, paths, refused, above: Vec::new() };
    assembly.place(String::new(), graph.root)?;
    match assembly.tree.nodes.get("") {
        Some(Node::Group { .. }) => {}
        Some(Node::Unreadable { reason }) => return Err(Error::unimplemented(format!("the root group: {reason}"))),
        _ => return Err(Error::data_loss("the root object is no group")),
    }
    let Assembly { mut tree, paths, mut refused, .. } = assembly;
    refused.iter_mut().for_each(|(_, attributes)| name_references(attributes, &paths));
    let refers = tree.nodes.values().any(|node| matches!(node, Node::Array(array) if has_references(&array.data_type)));
    for node in tree.nodes.values_mut() {
        match node {
            Node::Group { attributes } => name_references(attributes, &paths),
            Node::Array(array) => name_references(&mut array.attributes, &paths),
            Node::Unreadable { .. } => {}
        }
    }
    let mut paths: Vec<_> = if refers { paths.into_iter().collect() } else { Vec::new() };
    paths.sort_unstable();
    Ok(Assembled { tree, paths, refused })
}

fn has_references(data_type: &DataType) -> bool {
    match data_type {
        DataType::Reference => true,
        DataType::List { element, .. } | DataType::FixedArray { element, .. } => has_references(element),
        DataType::Struct { fields, .. } => fields.iter().any(|field| has_references(&field.data_type)),
        _ => false,
    }
}

struct Assembly<'a> {
    graph: &'a Graph,
    children: HashMap<u64, HashMap<&'a str, &'a Link>>,
    tree: Tree,
    /// The path by which an object was found first; links are taken in order, hard ones first.
    paths: HashMap<u64, String>,
    refused: Vec<(String, Attributes)>,
    /// Groups above the current path: their addresses.
    above: Vec<u64>,
}

impl<'a> Assembly<'a> {
    fn place(&mut self, path: String, address: u64) -> Result<()> {
        if let Some(depth) = self.above.iter().position(|group| *group == address) {
            let group: Vec<&str> = path.split('/').take(depth).collect();
            let group = group.join("/");
            self.tree.cycles.insert(path.clone(), group.clone());
            return self.add(path, unreadable(format!("link back to the group '/{group}', which contains it")));
        }
        let Some(object) = self.graph.objects.get(&address) else {
            return self.add(path, unreadable(format!("link to an object at {address:#x} that was not found")));
        };
        if self.above.len() >= MAX_DEPTH {
            return Err(Error::resource_exhausted(format!("groups nest deeper than {MAX_DEPTH} levels at '/{path}'")));
        }
        self.add(path.clone(), object.node.clone())?;
        if let Some(attributes) = &object.refused {
            self.refused.push((path.clone(), attributes.clone()));
        }
        self.paths.entry(address).or_insert_with(|| path.clone());
        self.above.push(address);
        let (hard, others): (Vec<&Link>, Vec<&Link>) =
            object.links.iter().partition(|link| matches!(link.target, Target::Hard(_)));
        for link in hard.into_iter().chain(others) {
            self.follow(&path, address, link)?;
        }
        self.above.pop();
        Ok(())
    }

    fn follow(&mut self, parent: &str, group: u64, link: &Link) -> Result<()> {
        if link.name.is_empty() || link.name.contains('/') {
            return Err(Error::data_loss(format!("group '/{parent}' has a link named '{}'", link.name)));
        }
        let path = join(parent, &link.name);
        match &link.target {
            Target::Hard(address) => self.place(path, *address),
            Target::Elsewhere(reason) => self.add(path, unreadable(reason.clone())),
            Target::Soft(target) => match self.resolve(group, target, &mut 0) {
                Ok(address) => self.place(path, address),
                Err(reason) => self.add(path, unreadable(format!("soft link to '{target}': {reason}"))),
            },
        }
    }

    /// The object at `target`, from the root or from `group`.
    fn resolve(&self, group: u64, target: &str, followed: &mut usize) -> Result<u64, String> {
        *followed += 1;
        if *followed > MAX_SOFT_LINKS {
            return Err(format!("more than {MAX_SOFT_LINKS} soft links, perhaps a cycle"));
        }
        let mut at = if target.starts_with('/') { self.graph.root } else { group };
        for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
            let link: Option<&&'a Link> = self.children.get(&at).and_then(|links| links.get(part));
            let link = link.ok_or_else(|| format!("there is no '{part}'"))?;
            at = match &link.target {
                Target::Hard(address) => *address,
                Target::Soft(next) => self.resolve(at, next, followed)?,
                Target::Elsewhere(reason) => return Err(reason.clone()),
            };
        }
        Ok(at)
    }

    fn add(&mut self, path: String, node: Node) -> Result<()> {
        if self.tree.nodes.len() >= MAX_NODES {
            return Err(Error::resource_exhausted(format!("the tree has more than {MAX_NODES} nodes")));
        }
        self.tree.nodes.insert(path, node);
        Ok(())
    }
}

fn unreadable(reason: String) -> Node {
    Node::Unreadable { reason }
}

/// Puts paths in the place of the addresses of object references.
fn name_references(attributes: &mut Attributes, paths: &HashMap<u64, String>) {
    attributes.values_mut().for_each(|value| name_reference(value, paths));
}

fn name_reference(value: &mut Value, paths: &HashMap<u64, String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| name_reference(item, paths)),
        Value::Object(fields) => {
            if let Some(address) = fields.get(ADDRESS_KEY).and_then(Value::as_u64) {
                *value = match paths.get(&address) {
                    Some(path) => json!({ REFERENCE_KEY: format!("/{path}") }),
                    None => json!({ "unsupported": "object reference to an object without a path" }),
                };
                return;
            }
            fields.values_mut().for_each(|field| name_reference(field, paths));
        }
        _ => {}
    }
}
