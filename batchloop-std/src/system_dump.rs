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
    /// The states. Behind each come its children, one deeper; those whose parent is not here are at depth 0.
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
    /// The point where it is and the scopes around it, from the inside out; nothing at the entrance.
    pub path: Vec<SiteDump>,
    /// What was posted and not looked at yet, as in `readable+closed`.
    pub events: Option<String>,
    /// The state that started it.
    pub parent: Option<ParentDump>,
    /// What it prints as, where that was asked for; `busy` while somebody works on it.
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
    /// Whether it lives: a child of one that has ended is an orphan.
    pub is_live: bool,
}

type Machines = [(String, Census)];

impl SystemDump {
    pub(crate) fn of(machines: &Machines) -> Self {
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

/// The records as a tree from the top: depths and indices.
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
    let parent = |record: &Record| known.get(&record.parent()?).copied();
    let mut children = vec![Vec::new(); records.len()];
    let mut pending = Vec::new();
    for (index, (_, record)) in records.iter().enumerate().rev() {
        match parent(record) {
            Some(parent) => children[parent].push(index),
            None => pending.push((0, index)),
        }
    }
    let mut tree = Vec::with_capacity(records.len());
    while let Some((depth, index)) = pending.pop() {
        tree.push((depth, index));
        // The last comes out first, and they lie in reverse.
        pending.extend(children[index].iter().map(|&child| (depth + 1, child)));
    }
    tree
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
