//! Every live state of every machine, as data.

use std::{collections::HashMap, fmt};

use batchloop_core::{Census, Events, Lineage, Record, Site, Standing, TypeName};
#[cfg(feature = "serde")]
use serde::Serialize;

/// The live states of several machines, as a tree by parent; made by [`dump_all`](crate::dump_all).
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(Serialize))]
#[non_exhaustive]
pub struct SystemDump {
    /// The machines, in the order in which they were registered.
    pub machines: Vec<MachineDump>,
    /// The states. Each is followed by its children, one deeper; those whose parent is not listed are at depth 0.
    pub states: Vec<StateDump>,
}

/// A machine of a [`SystemDump`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(Serialize))]
#[non_exhaustive]
pub struct MachineDump {
    /// The name that it was registered under.
    pub name: String,
    /// The type of its states, without the path.
    pub state: &'static str,
    /// How many slots have a state or are reserved for one.
    pub live: usize,
    /// How many slots there are.
    pub slots: usize,
}

/// A state of a [`SystemDump`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(Serialize))]
#[non_exhaustive]
pub struct StateDump {
    /// How many of its ancestors are above it in the dump.
    pub depth: usize,
    /// The name of its machine.
    pub machine: String,
    /// The index of its slot.
    pub slot: usize,
    /// The version of its slot, as `v` and a number.
    pub version: String,
    /// `waiting`, `active` or `in a batch`.
    pub standing: &'static str,
    /// The point where it is and the scopes around it, from the inside out; empty at the entrance.
    pub path: Vec<SiteDump>,
    /// The events that were posted and not taken yet, as in `readable+closed`.
    pub events: Option<String>,
    /// The state that started it.
    pub parent: Option<ParentDump>,
    /// What it prints as, where that was asked for; `busy` if it was locked.
    pub state: Option<String>,
}

/// A program point or scope of a [`StateDump`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(Serialize))]
#[non_exhaustive]
pub struct SiteDump {
    /// The name, if it has one.
    pub name: Option<&'static str>,
    /// The source file.
    pub file: &'static str,
    /// The line in the file, from 1.
    pub line: u32,
    /// The column in the line, from 1.
    pub column: u32,
    /// The iteration of a scope, else 0.
    pub iteration: u32,
}

/// The parent of a [`StateDump`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(Serialize))]
#[non_exhaustive]
pub struct ParentDump {
    /// The name of its machine, or if that is not registered, the type of its states.
    pub machine: String,
    /// The index of its slot.
    pub slot: usize,
    /// The version of its slot, as `v` and a number.
    pub version: String,
    /// Whether it lives; if not, its child is an orphan.
    pub is_live: bool,
}

type Machines = [(String, Census)];

impl SystemDump {
    pub(super) fn of(machines: &Machines) -> Self {
        let records: Vec<(&str, Record)> = machines
            .iter()
            .flat_map(|(name, census)| census.records().map(|record| (name.as_str(), record)))
            .collect();
        let states = by_parent(&records)
            .into_iter()
            .map(|(depth, index)| {
                let (name, record) = &records[index];
                StateDump::of(depth, name, record, machines)
            })
            .collect();
        let machines = machines.iter().map(|(name, census)| MachineDump {
            name: name.clone(),
            state: census.state_name(),
            live: census.live(),
            slots: census.slots(),
        });
        SystemDump {
            machines: machines.collect(),
            states,
        }
    }
}

/// The records as a tree from the top: depths and indices. Each comes once, even if parents go round in a circle.
#[allow(
    clippy::mutable_key_type,
    reason = "what is hashed of a lineage is an address and two numbers, which do not change"
)]
fn by_parent(records: &[(&str, Record)]) -> Vec<(usize, usize)> {
    let known: HashMap<Lineage, usize> = records
        .iter()
        .enumerate()
        .map(|(index, (_, record))| (record.lineage(), index))
        .collect();
    let parents: Vec<Option<usize>> = records
        .iter()
        .map(|(_, record)| known.get(&record.parent()?).copied())
        .collect();
    tree(&parents)
}

/// Depths and numbers of what has these parents, in the order of the numbers: first what has none, with all below it, then
/// each circle from its lowest number.
fn tree(parents: &[Option<usize>]) -> Vec<(usize, usize)> {
    let mut children = vec![Vec::new(); parents.len()];
    for (child, parent) in parents.iter().enumerate().rev() {
        if let Some(parent) = *parent {
            children[parent].push(child);
        }
    }
    let tops = (0..parents.len()).filter(|&index| parents[index].is_none());
    let mut tree = Vec::with_capacity(parents.len());
    let mut is_listed = vec![false; parents.len()];
    // In a circle, or below one, is what no top leads to.
    for top in tops.chain(lowest_of_circles(parents)) {
        let mut pending = vec![(0, top)];
        while let Some((depth, index)) = pending.pop() {
            if !std::mem::replace(&mut is_listed[index], true) {
                tree.push((depth, index));
                // The last comes out first, and they lie in reverse.
                pending.extend(children[index].iter().map(|&child| (depth + 1, child)));
            }
        }
    }
    tree
}

/// The lowest number of each circle of parents.
fn lowest_of_circles(parents: &[Option<usize>]) -> Vec<usize> {
    // From where each was come to first; a way up that ends at one of its own has been round.
    let mut seen_from = vec![None; parents.len()];
    let mut lowest = Vec::new();
    for start in 0..parents.len() {
        let mut next = Some(start);
        while let Some(index) = next.filter(|&index| seen_from[index].is_none()) {
            seen_from[index] = Some(start);
            next = parents[index];
        }
        if let Some(first) = next.filter(|&index| seen_from[index] == Some(start)) {
            let mut low = first;
            let mut at = parents[first];
            while let Some(index) = at.filter(|&index| index != first) {
                low = low.min(index);
                at = parents[index];
            }
            lowest.push(low);
        }
    }
    lowest.sort_unstable();
    lowest
}

impl StateDump {
    fn of(depth: usize, machine: &str, record: &Record, machines: &Machines) -> Self {
        let is_posted = record.events() != Events::NONE;
        StateDump {
            depth,
            machine: machine.to_string(),
            slot: record.slot(),
            version: record.version().to_string(),
            standing: match record.standing() {
                Standing::Waiting => "waiting",
                Standing::Active => "active",
                Standing::InBatch => "in a batch",
            },
            path: record.path().map(SiteDump::of).collect(),
            events: is_posted.then(|| format!("{:?}", record.events())),
            parent: record
                .parent()
                .map(|parent| ParentDump::of(parent, machines)),
            state: record.has_state().then(|| record.state().to_string()),
        }
    }
}

impl SiteDump {
    fn of(site: Site) -> Self {
        SiteDump {
            name: site.point.name(),
            file: site.point.file(),
            line: site.point.line(),
            column: site.point.column(),
            iteration: site.iteration,
        }
    }
}

impl ParentDump {
    fn of(parent: Lineage, machines: &Machines) -> Self {
        let machine = machines.iter().find(|(_, census)| census.is_of(parent));
        ParentDump {
            machine: match machine {
                Some((name, _)) => name.clone(),
                None => parent.state_type().to_string(),
            },
            slot: parent.slot(),
            version: parent.version().to_string(),
            is_live: parent.is_live(),
        }
    }
}

impl fmt::Display for SystemDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for machine in &self.machines {
            let MachineDump {
                name,
                state,
                live,
                slots,
            } = machine;
            let state = TypeName::new(state);
            writeln!(f, "{name}: {state}, {live} of {slots} slots")?;
        }
        self.states
            .iter()
            .try_for_each(|state| writeln!(f, "{state}"))
    }
}

impl fmt::Display for StateDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = 2 * self.depth;
        write!(
            f,
            "{:indent$}{}#{}{} ",
            "", self.machine, self.slot, self.version
        )?;
        f.write_str(match self.standing {
            "waiting" => "waits at ",
            "active" => "active at ",
            _ => "in a batch from ",
        })?;
        let mut separator = "";
        for site in &self.path {
            write!(f, "{separator}{site}")?;
            separator = " in ";
        }
        if self.path.is_empty() {
            f.write_str("the entrance")?;
        }
        if let Some(events) = &self.events {
            write!(f, ", {events}")?;
        }
        // Where the parent is in the dump, it is the line above that is indented less.
        if let Some(parent) = &self.parent
            && self.depth == 0
        {
            write!(f, ", child of {parent}")?;
        }
        if let Some(state) = &self.state {
            write!(f, ": {state}")?;
        }
        Ok(())
    }
}

impl fmt::Display for SiteDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name {
            write!(f, "\"{name}\" ")?;
        }
        write!(f, "({}:{}:{})", self.file, self.line, self.column)?;
        if self.iteration != 0 {
            write!(f, "[{}]", self.iteration)?;
        }
        Ok(())
    }
}

impl fmt::Display for ParentDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = if self.is_live { "" } else { " (ended)" };
        write!(f, "{}#{}{}{ended}", self.machine, self.slot, self.version)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Whatever the parents of five states are: each is listed once, below its parent, and at the top only if it has none or
    /// is the lowest in a circle.
    #[test]
    fn each_number_is_listed_once_below_its_parent() {
        const N: usize = 5;
        for mut code in 0..(N + 1).pow(N as u32) {
            let parents: [Option<usize>; N] = std::array::from_fn(|_| {
                let digit = code % (N + 1);
                code /= N + 1;
                digit.checked_sub(1)
            });
            let tree = tree(&parents);
            let mut listed: Vec<usize> = tree.iter().map(|&(_, index)| index).collect();
            listed.sort_unstable();
            assert!(listed.into_iter().eq(0..N), "{parents:?}: {tree:?}");
            let mut above: Vec<usize> = Vec::new();
            for &(depth, index) in &tree {
                above.truncate(depth);
                match above.last() {
                    Some(&parent) => assert_eq!(parents[index], Some(parent), "{parents:?}"),
                    None => assert!(is_top(&parents, index), "{parents:?}: {tree:?}"),
                }
                above.push(index);
            }
        }
    }

    fn is_top(parents: &[Option<usize>], index: usize) -> bool {
        let mut at = parents[index];
        for _ in 0..parents.len() {
            match at {
                // A lower one of the same circle would be the top.
                Some(above) if above == index => return true,
                Some(above) if above < index => return false,
                Some(above) => at = parents[above],
                None => return parents[index].is_none(),
            }
        }
        false
    }
}
